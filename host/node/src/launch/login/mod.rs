//! Logs in through a tool that leads to another machine or user, until the child at its other end
//! has said hello.
//!
//! [`Login`] does the I/O: it waits for input, lets its state (`state.rs`) and the prompts
//! (`prompts.rs`) decide what that means, and does what they say. What the child says comes from
//! the tool's standard output, and nothing else does.

mod asker;
mod askpass;
mod explain;
mod io;
mod lent;
mod prompts;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod tool;

use std::process::Command;
use std::time::Duration;

use offshoot_proto::handshake::HelloReceived;
use offshoot_proto::login::{self, LoginError, classify};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::error::ConnectError;
use super::greeted::HandshakenChild;
use super::progress::Progress;
use super::remote_command::RemoteCommand;
use crate::async_fd::read;
use asker::Asker;
pub use asker::parent_of;
use io::{Printed, accept_helper, read_terminal, send, write_password};
use prompts::Environment;
use state::{Effect, End, ExpectPrompt, FarEnd, State};

pub use askpass::help;
pub(in crate::launch) use askpass::{Askpass, Passphrase};
pub use lent::{LEND, lend};
pub(in crate::launch) use prompts::Prompts;
pub(in crate::launch) use terminal::Terminal;
pub(in crate::launch) use tool::{TerminalUse, Tool};

/// How often to look whether a prompt can be answered, once there is one.
const LOOK: Duration = Duration::from_millis(5);

/// A tool to log in with, and what to run at its other end.
pub(in crate::launch) struct ToolLogin {
    pub(in crate::launch) kind: login::Tool,
    /// For messages.
    pub(in crate::launch) program: String,
    /// The tool's own path.
    pub(in crate::launch) path: String,
    pub(in crate::launch) command: Command,
    pub(in crate::launch) terminal: TerminalUse,
    pub(in crate::launch) prompts: Prompts,
    pub(in crate::launch) remote: RemoteCommand,
}

impl ToolLogin {
    /// Starts the tool, and waits for the hello of the child at its other end.
    ///
    /// It may take `patience` since it was `started`. Dropping the future ends both.
    pub(in crate::launch) async fn run(
        self,
        started: Instant,
        patience: Duration,
        progress: &Progress,
    ) -> Result<HandshakenChild, ConnectError> {
        let program = self.program;
        let tool = Tool::start(self.command, self.terminal);
        let tool = tool.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConnectError::ToolMissing {
                tool: self.path,
                reason: source.to_string(),
            },
            _ => ConnectError::Start {
                program: program.clone(),
                source,
            },
        })?;
        let login = Login {
            kind: self.kind,
            program,
            tool,
            errors: Printed::default(),
            progress,
            started,
            patience,
        };
        let (prompts, far_end) = (Box::new(self.prompts), FarEnd::new(self.remote));
        login
            .run(State::ExpectPrompt(ExpectPrompt { prompts, far_end }))
            .await
    }
}

/// One login, from a tool that runs to the hello of the child at its other end.
pub(in crate::launch) struct Login<'a> {
    kind: login::Tool,
    /// For messages.
    program: String,
    tool: Tool,
    errors: Printed,
    progress: &'a Progress,
    started: Instant,
    /// How long it may take since then.
    patience: Duration,
}

/// What a login waits for.
enum Input {
    Stdout(std::io::Result<usize>),
    Stderr(std::io::Result<usize>),
    Terminal(std::io::Result<usize>),
    Sent(std::io::Result<usize>),
    Helper(Option<UnixStream>),
    Look,
    TimedOut,
}

impl<'a> Login<'a> {
    /// The login to a machine that a client of ours has authenticated at: a prompt there is not the
    /// server's, and is not answered. Waits for the child's hello.
    ///
    /// Dropping the future ends the tool.
    pub(in crate::launch) async fn run_authenticated(
        program: String,
        tool: Tool,
        remote: RemoteCommand,
        started: Instant,
        patience: Duration,
        progress: &'a Progress,
    ) -> Result<HandshakenChild, ConnectError> {
        let login = Self {
            kind: login::Tool::Ssh,
            program,
            tool,
            errors: Printed::default(),
            progress,
            started,
            patience,
        };
        login.run(State::ExpectCommand(FarEnd::new(remote))).await
    }

    async fn run(mut self, mut state: State) -> Result<HandshakenChild, ConnectError> {
        let (mut output, mut errors, mut terminal) = ([0; 4096], [0; 1024], [0; 1024]);
        let (mut errors_open, mut terminal_open) = (true, true);
        let mut timeout = std::pin::pin!(tokio::time::sleep(
            self.patience.saturating_sub(self.started.elapsed())
        ));
        loop {
            let is_pending = state.prompts().is_some_and(Prompts::is_pending);
            let input = tokio::select! {
                () = &mut timeout => Input::TimedOut,
                read = read(&self.tool.input, &mut output) => Input::Stdout(read),
                read = read(&self.tool.errors, &mut errors), if errors_open => Input::Stderr(read),
                read = read_terminal(&self.tool, &mut terminal), if terminal_open => {
                    Input::Terminal(read)
                }
                sent = send(&self.tool, state.unsent()) => Input::Sent(sent),
                stream = accept_helper(state.prompts()) => Input::Helper(stream),
                () = tokio::time::sleep(LOOK), if is_pending => Input::Look,
            };
            let next = match input {
                Input::TimedOut => return Err(self.timed_out(&state)),
                Input::Stdout(Ok(0)) => return Err(self.closed(state).await),
                Input::Stdout(Ok(count)) => self.on_stdout(state, &output[..count]),
                Input::Stdout(Err(error)) => Err(error.into()),
                Input::Stderr(Ok(0) | Err(_)) => {
                    errors_open = false;
                    Ok(state)
                }
                Input::Stderr(Ok(count)) => self.on_stderr(state, &errors[..count]),
                Input::Terminal(Ok(0) | Err(_)) => {
                    terminal_open = false;
                    Ok(state)
                }
                Input::Terminal(Ok(count)) => self.on_terminal(state, &terminal[..count]),
                Input::Sent(count) => self.on_sent(state, count),
                Input::Helper(stream) => Ok(on_helper(state, stream).await),
                Input::Look => self.answer_prompt(state),
            };
            state = match next {
                Ok(State::Greeted(hello)) => return Ok(self.into_child(hello)),
                Ok(state) => state,
                Err(end) => return Err(self.error(end)),
            };
        }
    }

    fn on_stdout(&self, state: State, bytes: &[u8]) -> Result<State, End> {
        let mut effects = Vec::new();
        let next = state.on_stdout(bytes, &mut effects);
        self.perform(effects)?;
        next
    }

    fn on_sent(&self, state: State, count: std::io::Result<usize>) -> Result<State, End> {
        let mut effects = Vec::new();
        let next = state.on_sent(count, &mut effects);
        self.perform(effects)?;
        Ok(next)
    }

    fn on_stderr(&mut self, mut state: State, bytes: &[u8]) -> Result<State, End> {
        self.errors.push(bytes);
        if let Some(prompts) = state.prompts_mut() {
            prompts.on_bytes(false, bytes);
        }
        self.answer_prompt(state)
    }

    fn on_terminal(&self, mut state: State, bytes: &[u8]) -> Result<State, End> {
        if let Some(prompts) = state.prompts_mut() {
            prompts.on_bytes(true, bytes);
        }
        self.answer_prompt(state)
    }

    /// Types the password if the tool asks for it, and it is the tool that asks.
    fn answer_prompt(&self, mut state: State) -> Result<State, End> {
        if let Some(Prompts::Printed(printed)) = state.prompts_mut() {
            let around = ToolSurroundings {
                tool: &self.tool,
                on_terminal: printed.on_terminal,
            };
            let errors = self.errors.text();
            let password = printed.answer(self.kind, &errors, &around, Instant::now())?;
            if let Some(password) = password {
                write_password(&self.tool, printed.on_terminal, &password)?;
            }
        }
        Ok(state)
    }

    fn perform(&self, effects: Vec<Effect>) -> Result<(), End> {
        for effect in effects {
            match effect {
                Effect::Authenticated(prompts) => self.authenticated(&prompts)?,
                Effect::Report(event) => self.progress.report(event),
                Effect::LogNoise(noise) => {
                    let noise = String::from_utf8_lossy(&noise);
                    let noise = crate::text::quote(&noise);
                    tracing::debug!(noise, "printed before its hello");
                }
            }
        }
        Ok(())
    }

    /// The far end has answered. What was typed is not shown any more, and what OpenSSH's client
    /// says of a host key that its configuration lets pass is repeated.
    fn authenticated(&self, prompts: &Prompts) -> std::io::Result<()> {
        if let Prompts::Helper(_) = prompts
            && let Some(LoginError::HostKey(error)) = classify(self.kind, &self.errors.text())
        {
            tracing::warn!("{error}");
        }
        match (&self.tool.terminal, self.tool.terminal_use) {
            (Some(terminal), TerminalUse::Stdio) => terminal.make_silent(),
            _ => Ok(()),
        }
    }

    fn into_child(self, hello: HelloReceived) -> HandshakenChild {
        let HelloReceived { hello, rest, .. } = hello;
        let (parts, errors, terminal) = self.tool.into_link();
        HandshakenChild {
            hello,
            parts,
            rest,
            errors,
            terminal,
            program: self.program,
        }
    }
}

/// Answers the question of a helper.
async fn on_helper(mut state: State, stream: Option<UnixStream>) -> State {
    if let (Some(Prompts::Helper(askpass)), Some(stream)) = (state.prompts_mut(), stream) {
        askpass.answer(stream).await;
    }
    state
}

/// A tool, as far as it decides about a prompt.
struct ToolSurroundings<'a> {
    tool: &'a Tool,
    on_terminal: bool,
}

impl Environment for ToolSurroundings<'_> {
    fn asker(&self) -> Asker {
        Asker::of(&self.tool.transport)
    }

    fn hides_input(&self) -> bool {
        match (&self.tool.terminal, self.tool.terminal_use) {
            (Some(terminal), TerminalUse::Stdio) => terminal.hides_input(),
            (Some(terminal), _) if self.on_terminal => terminal.hides_input(),
            _ => true,
        }
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }
}
