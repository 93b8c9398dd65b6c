//! The states of a login, and what the output of the far end makes of them. Nothing here does I/O.
//!
//! ```text
//! ExpectPrompt -> ExpectStage0 <-> Uploading
//!                      |
//! ExpectCommand -------+--> ExpectHello --> Greeted
//! ```
//!
//! A command that runs a child directly, without stage 0, goes from its first state to `Greeted`.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use offshoot_proto::bootstrap::{BootstrapError, Conversation, Encoding, Platform, Step};
use offshoot_proto::control::{ConnectEvent, ConnectStage};
use offshoot_proto::handshake::{ExpectHello, HandshakeError, HelloReceived};
use offshoot_proto::login::LoginError;

use super::super::payload::Payload;
use super::super::remote_command::{RemoteCommand, What};
use super::prompts::Prompts;
use crate::BUILD_ID;

/// Parts of an upload that are reported.
const REPORTS: usize = 16;

/// How far a login has come.
pub(super) enum State {
    /// The far end has not answered. Until it does, the tool may ask for a password.
    ExpectPrompt(ExpectPrompt),
    /// The user is authenticated, and the far end has not answered. Nothing is asked any more.
    ExpectCommand(FarEnd),
    /// Stage 0 runs, and may ask for the child.
    ExpectStage0(Stage0Reader),
    /// Stage 0 has asked for the child, and not all of it is sent.
    Uploading(Uploading),
    /// The child was started.
    ExpectHello(ExpectHello),
    /// The child has said hello.
    Greeted(HelloReceived),
}

/// A tool that may ask for a password, and what reads its output.
pub(super) struct ExpectPrompt {
    pub(super) prompts: Box<Prompts>,
    pub(super) far_end: FarEnd,
}

/// What reads the output of a command that has not answered.
pub(super) enum FarEnd {
    Stage0(Stage0Reader),
    Child(ExpectHello),
}

/// Reads what stage 0 prints.
pub(super) struct Stage0Reader {
    conversation: Conversation,
    /// What can be sent, in the order in which the command offers it.
    payloads: Vec<Arc<Payload>>,
    nonce: String,
}

/// A child on its way.
pub(super) struct Uploading {
    stage0: Stage0Reader,
    directory: String,
    bytes: Bytes,
    sent: usize,
    reported: usize,
}

/// What has to be done as a state changes.
pub(super) enum Effect {
    /// The far end has answered: no prompt is answered from here on.
    Authenticated(Box<Prompts>),
    Report(ConnectEvent),
    /// Bytes that were printed ahead of the child's hello.
    LogNoise(Vec<u8>),
}

/// Why there will be no hello.
#[derive(Debug)]
pub(super) enum End {
    UnsupportedPlatform {
        uname: String,
        offered: Vec<Platform>,
    },
    Bootstrap(BootstrapError),
    Handshake(HandshakeError),
    Login(LoginError),
    Io(std::io::Error),
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl State {
    /// Goes on with output of the far end.
    pub(super) fn on_stdout(self, bytes: &[u8], effects: &mut Vec<Effect>) -> Result<Self, End> {
        match self {
            Self::ExpectPrompt(ExpectPrompt { prompts, far_end }) => {
                match far_end.on_stdout(bytes)? {
                    ControlFlow::Continue(far_end) => {
                        Ok(Self::ExpectPrompt(ExpectPrompt { prompts, far_end }))
                    }
                    ControlFlow::Break(answered) => {
                        effects.push(Effect::Authenticated(prompts));
                        effects.push(Effect::Report(ConnectEvent::Authenticated));
                        answered.enter(effects)
                    }
                }
            }
            Self::ExpectCommand(far_end) => match far_end.on_stdout(bytes)? {
                ControlFlow::Continue(far_end) => Ok(Self::ExpectCommand(far_end)),
                ControlFlow::Break(answered) => answered.enter(effects),
            },
            Self::ExpectStage0(mut stage0) => {
                stage0.conversation.handle_bytes(bytes);
                stage0.take_steps(effects)
            }
            Self::Uploading(mut uploading) => {
                uploading.stage0.conversation.handle_bytes(bytes);
                uploading.take_steps(effects)
            }
            Self::ExpectHello(expect) => expect_hello(expect, bytes),
            Self::Greeted(hello) => Ok(Self::Greeted(hello)),
        }
    }

    /// Goes on once so much of an upload was sent. A far end that does not read any more is found
    /// out by what it prints, so a failure counts as the end of the upload.
    pub(super) fn on_sent(self, count: std::io::Result<usize>, effects: &mut Vec<Effect>) -> Self {
        let Self::Uploading(mut uploading) = self else {
            return self;
        };
        let total = uploading.bytes.len();
        uploading.sent = count.map_or(total, |count| uploading.sent + count);
        let sent = uploading.sent;
        if sent == total || sent - uploading.reported >= total / REPORTS {
            uploading.reported = sent;
            effects.push(Effect::Report(uploading.event()));
        }
        match sent == total {
            true => Self::ExpectStage0(uploading.stage0),
            false => Self::Uploading(uploading),
        }
    }

    /// What is still to be sent, if anything.
    pub(super) fn unsent(&self) -> Option<&[u8]> {
        match self {
            Self::Uploading(uploading) => Some(&uploading.bytes[uploading.sent..]),
            _ => None,
        }
    }

    /// The prompts that may still be answered.
    pub(super) fn prompts(&self) -> Option<&Prompts> {
        match self {
            Self::ExpectPrompt(expect) => Some(&expect.prompts),
            _ => None,
        }
    }

    pub(super) fn prompts_mut(&mut self) -> Option<&mut Prompts> {
        match self {
            Self::ExpectPrompt(expect) => Some(&mut expect.prompts),
            _ => None,
        }
    }

    /// What is under way.
    pub(super) fn stage(&self) -> ConnectStage {
        match self {
            Self::ExpectPrompt(expect) if expect.prompts.is_answered() => {
                ConnectStage::Authenticate
            }
            Self::ExpectPrompt(_) => ConnectStage::Connect,
            Self::ExpectCommand(_) => ConnectStage::Command,
            // All of the child was sent.
            Self::ExpectStage0(stage0) if stage0.conversation.stage() == ConnectStage::Upload => {
                ConnectStage::Hello
            }
            Self::ExpectStage0(_) => ConnectStage::Look,
            Self::Uploading(_) => ConnectStage::Upload,
            Self::ExpectHello(_) | Self::Greeted(_) => ConnectStage::Hello,
        }
    }

    /// What was printed where the child's greeting should have been.
    pub(super) fn printed(&self) -> String {
        match self {
            Self::ExpectPrompt(ExpectPrompt { far_end, .. }) | Self::ExpectCommand(far_end) => {
                match far_end {
                    FarEnd::Stage0(stage0) => stage0.conversation.printed(),
                    FarEnd::Child(expect) => expect.noise_text(),
                }
            }
            Self::ExpectStage0(stage0) => stage0.conversation.printed(),
            Self::Uploading(uploading) => uploading.stage0.conversation.printed(),
            Self::ExpectHello(expect) => expect.noise_text(),
            Self::Greeted(_) => String::new(),
        }
    }

    /// The state that the first answer of a far end has led to.
    fn enter(self, effects: &mut Vec<Effect>) -> Result<Self, End> {
        match self {
            Self::ExpectStage0(stage0) => {
                effects.push(Effect::Report(ConnectEvent::Probing));
                stage0.take_steps(effects)
            }
            other => {
                effects.push(Effect::Report(ConnectEvent::Started));
                Ok(other)
            }
        }
    }
}

impl FarEnd {
    /// The far end of a command that is about to run.
    pub(super) fn new(command: RemoteCommand) -> Self {
        match command.what {
            What::Stage0(stage0, payloads) => Self::Stage0(Stage0Reader {
                conversation: Conversation::new(&stage0),
                payloads,
                nonce: command.nonce,
            }),
            What::Child { .. } => Self::Child(ExpectHello::new(&command.nonce, BUILD_ID)),
        }
    }

    /// Breaks with the state that follows once the far end has answered.
    fn on_stdout(self, bytes: &[u8]) -> Result<ControlFlow<State, Self>, End> {
        match self {
            Self::Stage0(mut stage0) => {
                stage0.conversation.handle_bytes(bytes);
                if stage0.conversation.stage() > ConnectStage::Command {
                    return Ok(ControlFlow::Break(State::ExpectStage0(stage0)));
                }
                match stage0.conversation.poll_step() {
                    Some(Step::Failed(error)) => Err(End::Bootstrap(error)),
                    _ => Ok(ControlFlow::Continue(Self::Stage0(stage0))),
                }
            }
            Self::Child(expect) => Ok(match expect_hello(expect, bytes)? {
                State::ExpectHello(expect) => ControlFlow::Continue(Self::Child(expect)),
                greeted => ControlFlow::Break(greeted),
            }),
        }
    }
}

impl Stage0Reader {
    fn take_steps(mut self, effects: &mut Vec<Effect>) -> Result<State, End> {
        match self.conversation.poll_step() {
            None => Ok(State::ExpectStage0(self)),
            Some(Step::Upload {
                platform,
                encoding,
                directory,
            }) => self
                .upload(platform, encoding, directory, effects)?
                .take_steps(effects),
            Some(Step::Serving { behind, noise }) => {
                if !noise.is_empty() {
                    effects.push(Effect::LogNoise(noise));
                }
                effects.push(Effect::Report(ConnectEvent::Started));
                expect_hello(ExpectHello::new(&self.nonce, BUILD_ID), &behind)
            }
            Some(Step::Failed(BootstrapError::UnsupportedPlatform { uname })) => {
                let offered = self.payloads.iter().map(|one| one.platform(false));
                let offered = offered.collect();
                Err(End::UnsupportedPlatform { uname, offered })
            }
            Some(Step::Failed(error)) => Err(End::Bootstrap(error)),
        }
    }

    fn upload(
        self,
        platform: usize,
        encoding: Encoding,
        directory: String,
        effects: &mut Vec<Effect>,
    ) -> Result<Uploading, End> {
        let payload = self.payloads.get(platform);
        let payload = payload.ok_or_else(|| std::io::Error::other("there is no child to send"))?;
        let uploading = Uploading {
            bytes: payload.encoded(encoding)?,
            stage0: self,
            directory,
            sent: 0,
            reported: 0,
        };
        effects.push(Effect::Report(uploading.event()));
        Ok(uploading)
    }
}

impl Uploading {
    /// Stage 0 may refuse the directory, or ask for another child, before all of this one is sent.
    fn take_steps(self, effects: &mut Vec<Effect>) -> Result<State, End> {
        let Self {
            stage0,
            directory,
            bytes,
            sent,
            reported,
        } = self;
        Ok(match stage0.take_steps(effects)? {
            State::ExpectStage0(stage0) => State::Uploading(Self {
                stage0,
                directory,
                bytes,
                sent,
                reported,
            }),
            other => other,
        })
    }

    fn event(&self) -> ConnectEvent {
        ConnectEvent::Uploading {
            directory: self.directory.clone(),
            sent: self.sent as u64,
            total: self.bytes.len() as u64,
        }
    }
}

fn expect_hello(mut expect: ExpectHello, bytes: &[u8]) -> Result<State, End> {
    match expect.on_bytes(bytes).map_err(End::Handshake)? {
        Some(hello) => Ok(State::Greeted(hello)),
        None => Ok(State::ExpectHello(expect)),
    }
}
