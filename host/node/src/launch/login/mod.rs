//! Has the conversation with a tool that leads to another machine or user, until the child at its
//! other end has said hello.
//!
//! What the child says comes from the tool's standard output, and nothing else does. Questions
//! come from its terminal, its error stream or a helper, and are answered once at most, and only
//! until the far end has said anything of ours.

mod asker;
mod askpass;
mod explain;
mod io;
mod lent;
mod terminal;
mod tool;

use std::process::Command;
use std::time::Duration;

use offshoot_proto::bootstrap::{BootstrapError, ConnectStage, Conversation, Step};
use offshoot_proto::control::Password;
use offshoot_proto::handshake::{ExpectHello, HandshakeError, HelloReceived};
use offshoot_proto::login::{
    self, AccessError, Asked, LoginError, PasswordError, Prompt, ToolOutput, classify,
};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::STEPS;
use super::error::ConnectError;
use super::greeted::HandshakenChild;
use super::payload::Payload;
use super::remote_command::{RemoteCommand, What};
use crate::BUILD_ID;
use crate::async_fd::read;
use asker::Asker;
pub use asker::parent_of;
use io::{Printed, Sending, next_question, read_terminal, send, type_in};

pub use askpass::help;
pub(in crate::launch) use askpass::{Askpass, Passphrase};
pub use lent::{LEND, lend};
pub(in crate::launch) use terminal::Terminal;
pub(in crate::launch) use tool::{Tool, Wants};

/// How often to look whether a question can be answered, once there is one.
const LOOK: Duration = Duration::from_millis(5);

/// How long a line that looks like a question may stand before it is taken for one.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be said, and by which tool.
pub(in crate::launch) struct Talk {
    pub(in crate::launch) tool: login::Tool,
    /// For messages.
    pub(in crate::launch) program: String,
    /// The tool's own path.
    pub(in crate::launch) path: String,
    pub(in crate::launch) command: Command,
    pub(in crate::launch) wants: Wants,
    pub(in crate::launch) secrets: Secrets,
    pub(in crate::launch) errand: RemoteCommand,
}

/// How questions come.
pub(in crate::launch) enum Secrets {
    /// Not at all any more: who we are was shown before.
    Shown,
    /// By a helper.
    Helper(Askpass),
    /// As a prompt.
    Prompt {
        prompt: Prompt,
        password: Option<Password>,
        /// Whether it is shown and answered on the terminal; else it is shown on the error stream,
        /// and answered on the standard input.
        on_terminal: bool,
    },
}

/// Whether a tool asks because the password has expired.
fn wants_a_new_one(tool: login::Tool, said: &ToolOutput) -> Option<LoginError> {
    let error = classify(tool, &said.words)?;
    matches!(error, LoginError::Access(AccessError::AccountExpired(_))).then_some(error)
}

impl Talk {
    /// Starts the tool, and waits for the hello of the child at its other end.
    ///
    /// Dropping the future ends both.
    pub(in crate::launch) async fn greet(
        self,
        patience: Duration,
    ) -> Result<HandshakenChild, ConnectError> {
        let started = Instant::now();
        let program = self.program;
        let tool = Tool::start(self.command, self.wants).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConnectError::ToolMissing {
                tool: self.path,
                reason: source.to_string(),
            },
            _ => ConnectError::Start {
                program: program.clone(),
                source,
            },
        })?;
        let visit = Visit {
            kind: self.tool,
            program,
            secrets: self.secrets,
            errand: self.errand,
            stage: ConnectStage::Connect,
            started,
            patience,
        };
        visit.greet(tool).await
    }
}

/// What is to be said to whom, once a tool runs.
pub(in crate::launch) struct Visit {
    pub(in crate::launch) kind: login::Tool,
    pub(in crate::launch) program: String,
    pub(in crate::launch) secrets: Secrets,
    pub(in crate::launch) errand: RemoteCommand,
    /// How far it has come.
    pub(in crate::launch) stage: ConnectStage,
    pub(in crate::launch) started: Instant,
    /// How long it may take since then.
    pub(in crate::launch) patience: Duration,
}

impl Visit {
    /// Waits for the hello of the child at the tool's other end.
    pub(in crate::launch) async fn greet(
        self,
        tool: Tool,
    ) -> Result<HandshakenChild, ConnectError> {
        let (program, started, patience) = (self.program, self.started, self.patience);
        let (stage0, conversation, payloads) = match self.errand.what {
            What::Stage0(stage0, payloads) => (true, Some(Conversation::new(&stage0)), payloads),
            What::Child { .. } => (false, None, Vec::new()),
        };
        let mut driver = LoginTask {
            kind: self.kind,
            tool,
            secrets: Some(self.secrets),
            conversation,
            payloads,
            expect: ExpectHello::new(&self.errand.nonce, BUILD_ID),
            sending: None,
            stage: self.stage,
            errors: Printed::default(),
            question_since: None,
        };
        if !stage0 {
            tracing::debug!(target: STEPS, "there");
            tracing::debug!(program, "a child is there already");
        }
        let left = patience.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, driver.run()).await {
            Ok(Ok(hello)) => {
                tracing::debug!(target: STEPS, "hello");
                let took = started.elapsed();
                tracing::debug!(program, ?took, "the child has said hello");
                Ok(driver.greeted(hello, program))
            }
            Ok(Err(end)) => Err(driver.explain(end, program).await),
            Err(_) => Err(ConnectError::Timeout {
                stage: driver.stage,
                after: patience,
                printed: driver.printed(),
                program,
            }),
        }
    }
}

struct LoginTask {
    kind: login::Tool,
    tool: Tool,
    /// Gone once one was let in.
    secrets: Option<Secrets>,
    /// Gone once the child has been started.
    conversation: Option<Conversation>,
    /// What can be sent, in the order in which the command offers it.
    payloads: Vec<std::sync::Arc<Payload>>,
    expect: ExpectHello,
    sending: Option<Sending>,
    stage: ConnectStage,
    errors: Printed,
    /// Since when something is asked that cannot be answered yet.
    question_since: Option<Instant>,
}

/// Why there will be no hello.
enum End {
    Bootstrap(BootstrapError),
    Handshake(HandshakeError),
    Login(LoginError),
    /// The tool closed its output.
    Closed,
    Io(std::io::Error),
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// What can happen.
enum Input {
    Output(std::io::Result<usize>),
    Errors(std::io::Result<usize>),
    Terminal(std::io::Result<usize>),
    Sent(std::io::Result<usize>),
    Question(Option<UnixStream>),
    Look,
}

impl LoginTask {
    async fn run(&mut self) -> Result<HelloReceived, End> {
        let (mut output, mut errors, mut terminal) = ([0; 4096], [0; 1024], [0; 1024]);
        let (mut errors_open, mut terminal_open) = (true, true);
        loop {
            let askpass = match &self.secrets {
                Some(Secrets::Helper(askpass)) => Some(askpass),
                _ => None,
            };
            let look = self.question_since.is_some();
            let input = tokio::select! {
                read = read(&self.tool.input, &mut output) => Input::Output(read),
                read = read(&self.tool.errors, &mut errors), if errors_open => Input::Errors(read),
                read = read_terminal(&self.tool, &mut terminal), if terminal_open => Input::Terminal(read),
                sent = send(&self.tool, self.sending.as_ref()) => Input::Sent(sent),
                question = next_question(askpass) => Input::Question(question),
                () = tokio::time::sleep(LOOK), if look => Input::Look,
            };
            match input {
                Input::Output(Ok(0)) => return Err(self.closed()),
                Input::Output(count) => {
                    if let Some(hello) = self.hear(&output[..count?])? {
                        return Ok(hello);
                    }
                }
                Input::Errors(Ok(0) | Err(_)) => errors_open = false,
                Input::Errors(Ok(count)) => self.hear_errors(&errors[..count])?,
                Input::Terminal(Ok(0) | Err(_)) => terminal_open = false,
                Input::Terminal(Ok(count)) => self.hear_terminal(&terminal[..count])?,
                Input::Sent(count) => self.has_sent(count)?,
                Input::Question(stream) => self.hear_helper(stream).await,
                Input::Look => self.look_at_question()?,
            }
        }
    }

    /// What comes from the far end.
    fn hear(&mut self, bytes: &[u8]) -> Result<Option<HelloReceived>, End> {
        let Some(conversation) = &mut self.conversation else {
            return self.hear_child(bytes);
        };
        conversation.handle_bytes(bytes);
        while let Some(step) = self.conversation.as_mut().and_then(Conversation::poll_step) {
            self.let_in()?;
            match step {
                Step::Upload {
                    platform,
                    encoding,
                    directory,
                } => self.begin_to_send(platform, encoding, &directory)?,
                Step::Serving { behind, noise } => {
                    if !noise.is_empty() {
                        let noise = String::from_utf8_lossy(&noise);
                        tracing::debug!(
                            noise = crate::text::quote(&noise),
                            "printed before its hello"
                        );
                    }
                    tracing::debug!(target: STEPS, "runs");
                    self.conversation = None;
                    self.sending = None;
                    self.stage = ConnectStage::Hello;
                    return self.hear_child(&behind);
                }
                Step::Failed(error) => return Err(End::Bootstrap(error)),
            }
        }
        let stage = self.conversation.as_ref().map(Conversation::stage);
        if stage == Some(ConnectStage::Look) {
            self.let_in()?;
            self.stage = ConnectStage::Look;
        }
        Ok(None)
    }

    fn hear_child(&mut self, bytes: &[u8]) -> Result<Option<HelloReceived>, End> {
        let hello = self.expect.on_bytes(bytes).map_err(End::Handshake)?;
        if hello.is_some() {
            self.let_in()?;
        }
        Ok(hello)
    }

    /// The far end has said something of ours. Nothing that is asked from now on is answered.
    fn let_in(&mut self) -> Result<(), End> {
        if let Some(secrets) = self.secrets.take() {
            self.warn_of_host_key(&secrets);
            tracing::debug!(target: STEPS, "let-in");
            self.question_since = None;
            if let (Some(terminal), Wants::Everything) = (&self.tool.terminal, self.tool.wants) {
                terminal.make_silent()?;
            }
        }
        Ok(())
    }

    fn begin_to_send(
        &mut self,
        platform: usize,
        encoding: offshoot_proto::bootstrap::Encoding,
        directory: &str,
    ) -> Result<(), End> {
        let payload = self.payloads.get(platform);
        let payload = payload.ok_or_else(|| std::io::Error::other("there is no child to send"))?;
        let bytes = payload.encoded(encoding)?;
        let total = bytes.len();
        tracing::info!(target: "offshoot::launch", directory, total, ?encoding, "sends the child");
        tracing::debug!(target: STEPS, "sends {total} bytes to {directory}");
        self.stage = ConnectStage::Upload;
        self.sending = Some(Sending {
            bytes,
            sent: 0,
            told: 0,
        });
        Ok(())
    }

    fn has_sent(&mut self, count: std::io::Result<usize>) -> Result<(), End> {
        let Some(sending) = &mut self.sending else {
            return Ok(());
        };
        let total = sending.bytes.len();
        match count {
            Ok(count) => sending.sent += count,
            // Who does not read any more is found out by what is printed.
            Err(_) => sending.sent = total,
        }
        let sent = sending.sent;
        if sent == total || sent - sending.told >= total / 8 {
            sending.told = sent;
            tracing::debug!(target: "offshoot::launch", sent, total, "sends the child");
        }
        if sent == total {
            tracing::debug!(target: STEPS, "sent");
            self.sending = None;
            self.stage = ConnectStage::Hello;
        }
        Ok(())
    }

    fn hear_errors(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.errors.push(bytes);
        match &mut self.secrets {
            Some(Secrets::Prompt {
                prompt,
                on_terminal: false,
                ..
            }) => {
                prompt.handle_bytes(bytes);
                self.look_at_question()
            }
            _ => Ok(()),
        }
    }

    fn hear_terminal(&mut self, bytes: &[u8]) -> Result<(), End> {
        match &mut self.secrets {
            Some(Secrets::Prompt {
                prompt,
                on_terminal: true,
                ..
            }) => {
                prompt.handle_bytes(bytes);
                self.look_at_question()
            }
            _ => Ok(()),
        }
    }

    async fn hear_helper(&mut self, stream: Option<UnixStream>) {
        if let (Some(Secrets::Helper(askpass)), Some(stream)) = (&mut self.secrets, stream) {
            askpass.answer(stream).await;
            if askpass.has_answered() {
                self.stage = ConnectStage::Authenticate;
            }
        }
    }

    /// Answers the tool's question if there is one, and it is the tool's own.
    fn look_at_question(&mut self) -> Result<(), End> {
        let Some(Secrets::Prompt {
            prompt,
            password,
            on_terminal,
        }) = &mut self.secrets
        else {
            return Ok(());
        };
        let said = |prompt: &Prompt| {
            let mut printed = self.errors.text();
            if *on_terminal {
                printed.push_str(&prompt.printed());
            }
            ToolOutput::new(self.kind.name(), &printed)
        };
        let asked = prompt.asked();
        if asked == Asked::Nothing {
            self.question_since = None;
            return Ok(());
        }
        let since = *self.question_since.get_or_insert_with(Instant::now);
        match asked {
            Asked::Password => {
                let (name, asker) = (self.kind.name(), Asker::of(&self.tool.transport));
                let withheld = |reason| {
                    let said = said(prompt);
                    Err(End::Login(PasswordError::Withheld { reason, said }.into()))
                };
                match (&asker, &password) {
                    // A line of the other user's start files may look like this for a moment.
                    (Asker::Other(_), _) if since.elapsed() < PAUSE => return Ok(()),
                    (Asker::Other(why), _) => {
                        return withheld(format!(
                            "the prompt is not from {name} itself, which {why}"
                        ));
                    }
                    (_, None) if rustix::process::geteuid().is_root() => {
                        return withheld(format!(
                            "root is asked for none; have {name} let root in without one"
                        ));
                    }
                    (_, None) => {
                        return Err(End::Login(PasswordError::Required(said(prompt)).into()));
                    }
                    // Nothing but sudo knows its own prompt.
                    (Asker::Hidden, _) if !prompt.is_own() => {
                        return withheld(format!(
                            "/proc hides the process of {name}, so that nobody can tell whether \
                             it is the one that asks; mount it without `hidepid`, or with a `gid` \
                             of this user's"
                        ));
                    }
                    (Asker::Tool | Asker::Hidden, Some(_)) => {}
                }
                let is_hidden = match (&self.tool.terminal, self.tool.wants, *on_terminal) {
                    (Some(terminal), _, true) | (Some(terminal), Wants::Everything, _) => {
                        terminal.hides_input()
                    }
                    _ => true,
                };
                if let Some(password) = password.take_if(|_| is_hidden) {
                    type_in(&self.tool, *on_terminal, &password)?;
                    prompt.answer();
                    self.stage = ConnectStage::Authenticate;
                    self.question_since = None;
                }
                Ok(())
            }
            Asked::Again => {
                let said = said(prompt);
                let expired = wants_a_new_one(self.kind, &said);
                Err(End::Login(
                    expired.unwrap_or_else(|| PasswordError::Incorrect(said).into()),
                ))
            }
            Asked::Perhaps(question) if since.elapsed() >= PAUSE => {
                let expired = wants_a_new_one(self.kind, &said(prompt));
                let prompt = question;
                let said = ToolOutput::new(self.kind.name(), &self.errors.text());
                Err(End::Login(expired.unwrap_or_else(|| {
                    PasswordError::UnknownPrompt { prompt, said }.into()
                })))
            }
            Asked::Perhaps(_) | Asked::Nothing => Ok(()),
        }
    }

    fn closed(&mut self) -> End {
        let Some(conversation) = &mut self.conversation else {
            return End::Closed;
        };
        conversation.handle_closed();
        match conversation.poll_step() {
            Some(Step::Failed(error)) => End::Bootstrap(error),
            _ => End::Closed,
        }
    }

    fn greeted(self, hello: HelloReceived, program: String) -> HandshakenChild {
        let HelloReceived { hello, rest, .. } = hello;
        let (parts, errors, terminal) = self.tool.into_link();
        HandshakenChild {
            hello,
            parts,
            rest,
            errors,
            terminal,
            program,
        }
    }
}
