//! Has the conversation with a tool that leads to another machine or user, until the child at its
//! other end has said hello.
//!
//! What the child says comes from the tool's standard output, and nothing else does. Questions
//! come from its terminal, its error stream or a helper, and are answered once at most, and only
//! until the far end has said anything of ours.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use offshoot_proto::bootstrap::{BootstrapError, Conversation, Moment, Stage, Step};
use offshoot_proto::control::Password;
use offshoot_proto::handshake::{ExpectHello, Greeted as Hello, HandshakeError};
use offshoot_proto::login::{
    self, AccessError, Asked, LoginError, PasswordError, Prompt, Said, classify,
};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::askpass::Askpass;
use super::command::{Errand, What};
use super::error::StreamError;
use super::exchange::{Printed, Sending, next_question, read_terminal, send, type_in};
use super::payload::Payload;
use super::platform;
use super::process::describe;
use super::terminal::read;
use super::tool::{Tool, Wants};
use super::{Greeted, STEPS};
use crate::BUILD_ID;

/// How often to look whether a question can be answered, once there is one.
const LOOK: Duration = Duration::from_millis(5);

/// How long a line that looks like a question may stand before it is taken for one.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an ended tool's last words, and its status, may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The status that OpenSSH's client ends with when it failed itself.
const SSH_FAILED: i32 = 255;

/// What is to be said, and by which tool.
pub(super) struct Talk {
    pub(super) tool: login::Tool,
    /// For messages.
    pub(super) program: String,
    /// The tool's own path.
    pub(super) path: String,
    pub(super) command: Command,
    pub(super) wants: Wants,
    pub(super) secrets: Secrets,
    pub(super) errand: Errand,
}

/// How questions come.
pub(super) enum Secrets {
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

impl Talk {
    /// Starts the tool, and waits for the hello of the child at its other end.
    ///
    /// Dropping the future ends both.
    pub(super) async fn greet(self, patience: Duration) -> Result<Greeted, StreamError> {
        let started = Instant::now();
        let program = self.program;
        let tool = Tool::start(self.command, self.wants).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => StreamError::ToolMissing {
                tool: self.path,
                reason: source.to_string(),
            },
            _ => StreamError::Start {
                program: program.clone(),
                source,
            },
        })?;
        let (stage0, conversation, payloads) = match self.errand.what {
            What::Stage0(stage0, payloads) => (true, Some(Conversation::new(&stage0)), payloads),
            What::Child { .. } => (false, None, Vec::new()),
        };
        let mut driver = Driver {
            kind: self.tool,
            tool,
            secrets: Some(self.secrets),
            conversation,
            payloads,
            expect: ExpectHello::new(&self.errand.nonce, BUILD_ID),
            sending: None,
            stage: Stage::Connect,
            errors: Printed::default(),
            question_since: None,
        };
        if !stage0 {
            tracing::debug!(target: STEPS, "there");
            tracing::debug!(program, "a child is there already");
        }
        match tokio::time::timeout(patience, driver.run()).await {
            Ok(Ok(hello)) => {
                tracing::debug!(target: STEPS, "hello");
                let took = started.elapsed();
                tracing::debug!(program, ?took, "the child has said hello");
                Ok(driver.greeted(hello, program))
            }
            Ok(Err(end)) => Err(driver.explain(end, program).await),
            Err(_) => Err(StreamError::Timeout {
                stage: driver.stage,
                after: patience,
                printed: driver.printed(),
                program,
            }),
        }
    }
}

struct Driver {
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
    stage: Stage,
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

impl Driver {
    async fn run(&mut self) -> Result<Hello, End> {
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
    fn hear(&mut self, bytes: &[u8]) -> Result<Option<Hello>, End> {
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
                            noise = crate::logs::quote(&noise),
                            "printed before its hello"
                        );
                    }
                    tracing::debug!(target: STEPS, "runs");
                    self.conversation = None;
                    self.sending = None;
                    self.stage = Stage::Hello;
                    return self.hear_child(&behind);
                }
                Step::Failed(error) => return Err(End::Bootstrap(error)),
            }
        }
        let moment = self.conversation.as_ref().map(Conversation::moment);
        if moment == Some(Moment::WhileLooking) {
            self.let_in()?;
            self.stage = Stage::Look;
        }
        Ok(None)
    }

    fn hear_child(&mut self, bytes: &[u8]) -> Result<Option<Hello>, End> {
        let hello = self.expect.on_bytes(bytes).map_err(End::Handshake)?;
        if hello.is_some() {
            self.let_in()?;
        }
        Ok(hello)
    }

    /// The far end has said something of ours. Nothing that is asked from now on is answered.
    fn let_in(&mut self) -> Result<(), End> {
        if self.secrets.take().is_some() {
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
        self.stage = Stage::Upload;
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
            self.stage = Stage::Hello;
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
                self.stage = Stage::Authenticate;
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
            Said::new(self.kind.name(), &printed)
        };
        let asked = prompt.asked();
        if asked == Asked::Nothing {
            self.question_since = None;
            return Ok(());
        }
        let since = *self.question_since.get_or_insert_with(Instant::now);
        match asked {
            Asked::Password if password.is_none() => {
                Err(End::Login(PasswordError::Required(said(prompt)).into()))
            }
            Asked::Password => {
                let hidden = match (&self.tool.terminal, self.tool.wants, *on_terminal) {
                    (Some(terminal), _, true) | (Some(terminal), Wants::Everything, _) => {
                        terminal.hides_input()
                    }
                    _ => true,
                };
                // sudo's own prompt is like no other. The rest can be imitated by whatever they
                // have started.
                let own = self.kind == login::Tool::Sudo || self.tool.is_alone();
                if let (true, true, Some(password)) = (hidden, own, password.take()) {
                    type_in(&self.tool, *on_terminal, &password)?;
                    prompt.answer();
                    self.stage = Stage::Authenticate;
                    self.question_since = None;
                }
                Ok(())
            }
            Asked::Again => Err(End::Login(PasswordError::Incorrect(said(prompt)).into())),
            Asked::Perhaps(question) if since.elapsed() >= PAUSE => {
                let prompt = question;
                let said = Said::new(self.kind.name(), &self.errors.text());
                Err(End::Login(
                    PasswordError::UnknownPrompt { prompt, said }.into(),
                ))
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

    /// What was printed where the child's greeting should have been, and on the error stream.
    fn printed(&self) -> String {
        let output = match &self.conversation {
            Some(conversation) => conversation.printed(),
            None => self.expect.noise_text(),
        };
        let shown = match &self.secrets {
            Some(Secrets::Prompt {
                prompt,
                on_terminal: true,
                ..
            }) => prompt.printed(),
            _ => String::new(),
        };
        let all = [output, self.errors.text(), shown].join("\n");
        Said::new("", &all).words
    }

    /// Makes an error of what happened, with the tool's own last words.
    async fn explain(mut self, end: End, program: String) -> StreamError {
        let (when, printed) = match end {
            End::Login(error) => return error.into(),
            End::Io(source) => return StreamError::Start { program, source },
            End::Handshake(error) => {
                return StreamError::Handshake {
                    program,
                    reason: error.to_string(),
                };
            }
            End::Bootstrap(BootstrapError::ClosedEarly { when, printed }) => (Some(when), printed),
            End::Bootstrap(BootstrapError::UnsupportedPlatform { uname }) => {
                let offered = self.payloads.iter().map(|one| one.platform(false));
                return platform::unsupported(uname, &offered.collect::<Vec<_>>());
            }
            End::Bootstrap(BootstrapError::NoDirectory(refused)) => {
                return StreamError::NoDirectory(refused);
            }
            End::Bootstrap(error) => {
                return StreamError::Handshake {
                    program,
                    reason: error.to_string(),
                };
            }
            End::Closed => (None, self.expect.noise_text()),
        };
        let status = self.hear_the_end().await;
        // Once the far end has said something of ours, the tool had let us in.
        let outside = matches!(when, None | Some(Moment::BeforeMarker))
            && self.stage < Stage::Look
            && self.secrets.is_some();
        if outside && let Some(error) = self.refusal(status, &printed) {
            return error;
        }
        let status = status.map(|status| describe(self.tool.process.id(), status));
        let status = status.unwrap_or_else(|| "it closed its output".to_owned());
        let words = Said::new("", &format!("{printed}\n{}", self.errors.text())).words;
        let reason = match &*words {
            "" => status,
            words => format!("{status}; it printed: {words}"),
        };
        StreamError::ClosedEarly {
            program,
            stage: self.stage,
            reason,
        }
    }

    /// Takes in what the tool says last, and how it ended.
    async fn hear_the_end(&mut self) -> Option<ExitStatus> {
        let status = self.tool.process.status(LAST_WORDS).await;
        let mut buffer = [0; 1024];
        let rest = async {
            while let Ok(count @ 1..) = read(&self.tool.errors, &mut buffer).await {
                self.errors.push(&buffer[..count]);
            }
        };
        // Something that the tool has left behind may still have it open.
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        let Some(terminal) = &self.tool.terminal else {
            return status;
        };
        if let Some(Secrets::Prompt {
            prompt,
            on_terminal: true,
            ..
        }) = &mut self.secrets
        {
            while let Ok(count @ 1..) = rustix::io::read(terminal.ours.get_ref(), &mut buffer) {
                prompt.handle_bytes(&buffer[..count]);
            }
        }
        status
    }

    /// What the tool meant, if it did not let us in.
    fn refusal(&self, status: Option<ExitStatus>, printed: &str) -> Option<StreamError> {
        let mut words = self.errors.text();
        match &self.secrets {
            Some(Secrets::Helper(askpass)) => {
                if status.and_then(|status| status.code()) == Some(SSH_FAILED) {
                    let error = classify(self.kind, &words);
                    let refused = matches!(
                        error,
                        Some(LoginError::Access(
                            AccessError::AuthenticationRefused { .. }
                        )) | None
                    );
                    return match askpass.complaint(&words).filter(|_| refused) {
                        Some(complaint) => Some(LoginError::from(complaint).into()),
                        None => error.map(Into::into),
                    };
                }
            }
            Some(Secrets::Prompt {
                prompt,
                on_terminal,
                ..
            }) => {
                if *on_terminal {
                    words.push_str(&prompt.printed());
                }
                if let Some(error) = classify(self.kind, &words) {
                    return Some(error.into());
                }
            }
            None => return None,
        }
        let status = status?;
        status.code()?;
        let status = describe(self.tool.process.id(), status);
        let said = Said::new(self.kind.name(), &format!("{printed}\n{words}"));
        Some(LoginError::from(AccessError::ShellRefused { status, said }).into())
    }

    fn greeted(self, hello: Hello, program: String) -> Greeted {
        let Hello { hello, rest, .. } = hello;
        let (parts, errors, terminal) = self.tool.into_link();
        Greeted {
            hello,
            parts,
            rest,
            errors,
            terminal,
            program,
        }
    }
}
