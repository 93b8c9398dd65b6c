//! The one error of the public interface, split by who must act.

use std::fmt;
use std::time::Duration;

use offshoot_abi::CallError;
pub use offshoot_proto::DeadKind as ChannelErrorKind;
use offshoot_proto::{Dead, SendError};

use crate::plugin::PluginError;
use offshoot_node::launch::{ConnectError, Seconds};

/// Why something did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The function ran, or was about to, and has no value to give. Look at the function.
    #[error(transparent)]
    Call(Box<CallError>),
    /// There will be no answer. Look at the machines between here and there.
    #[error(transparent)]
    Channel(ChannelError),
    /// There was no answer in time.
    #[error("{what} did not answer within {}", Seconds(*after))]
    Timeout {
        /// Who was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// A context could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A plugin cannot be used as it is.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A message is something else than what its reader expects.
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A select of receivers cannot do that.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A latch that has been closed.
    #[error(transparent)]
    Latch(#[from] LatchError),
    /// The context was made by another router, whose contexts have ids of their own.
    #[error("context `{context}` is not one of this router's: it was made by another one")]
    ForeignContext {
        /// Its name.
        context: String,
    },
    /// The program uses this library in a way that cannot work.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// What kind of error it is, as a word that programs can compare: `--json` prints it.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Call(call) => call.failure.kind.as_str(),
            Error::Channel(_) => "channel",
            Error::Timeout { .. } => "timeout",
            Error::Connect(_) => "connect",
            Error::Plugin(_) => "plugin",
            Error::Malformed { .. } => "malformed",
            Error::Select(_) => "select",
            Error::Latch(_) => "latch",
            Error::ForeignContext { .. } => "foreign_context",
            Error::Usage(_) => "usage",
        }
    }

    /// A router that was shut down.
    pub(crate) fn shut_down() -> Self {
        let dead = Dead::new(ChannelErrorKind::Closed, offshoot_node::driver::SHUT_DOWN);
        Self::Channel(ChannelError::new("", &dead))
    }

    /// A message that did not leave.
    pub(crate) fn unsent(context: &str, error: &SendError) -> Self {
        Self::Channel(ChannelError {
            context: context.to_owned(),
            kind: match error {
                SendError::NoRoute(_) => ChannelErrorKind::NoRoute,
                SendError::TooLarge { .. } => ChannelErrorKind::TooLarge,
                SendError::Reserved(_) => return Self::Usage(error.to_string()),
                SendError::Backlog(_)
                | SendError::ReceiverFull(_)
                | SendError::Exhausted(_)
                | SendError::NeedsIds => ChannelErrorKind::Exhausted,
            },
            reason: error.to_string(),
            may_have_run: false,
        })
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

/// Why there will be no answer, or no more messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelError {
    /// Name of the context that was to answer; empty when it could be any.
    pub context: String,
    /// What kind of end it is.
    pub kind: ChannelErrorKind,
    /// What happened.
    pub reason: String,
    /// Whether the context was lost after the message left, so that a call may have run.
    pub may_have_run: bool,
}

impl ChannelError {
    pub(crate) fn new(context: &str, dead: &Dead) -> Self {
        Self {
            context: context.to_owned(),
            kind: dead.kind,
            reason: dead.reason.clone(),
            may_have_run: false,
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.context.is_empty() {
            write!(f, "channel closed: {}", self.reason)?;
        } else {
            write!(f, "no answer from {}: {}", self.context, self.reason)?;
        }
        if self.may_have_run {
            f.write_str("; the function may have run")?;
        }
        Ok(())
    }
}

impl std::error::Error for ChannelError {}

/// A [`Latch`](crate::Latch) that was closed gives nothing and takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the latch has been closed")]
#[non_exhaustive]
pub struct LatchError;

/// A select was used in a way that cannot work; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The select has no sources.
    #[error("cannot get(), Select instance is empty")]
    NoSources,
    /// The source would be told of its messages twice.
    #[error("cannot add: Receiver is already owned by another Select")]
    Owned,
    /// The select would wait for itself.
    #[error("adding this Select instance would create a Select cycle")]
    Cycle,
    /// More selects would be nested in each other than a stack has room for.
    #[error("adding this Select instance would nest more than 64 Selects")]
    TooDeep,
    /// It cannot be removed, as it is not there.
    #[error("instance is not a member of this Select")]
    NotMember,
    /// It was closed while someone waited.
    #[error("the Select instance has been closed")]
    Closed,
}
