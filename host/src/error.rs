//! The one error of the public interface, split by who must act.

use std::fmt;
use std::time::Duration;

use offshoot_proto::{Dead, DeadKind, SendError};

use crate::plugin::PluginError;
use offshoot_node::launch::{Seconds, StreamError};

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
    Stream(#[from] StreamError),
    /// A plugin cannot be used as it is.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A message is something else than what its reader expects (`S152`).
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A select of receivers cannot do that (`S042`).
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A latch that has been closed (`B032`).
    #[error(transparent)]
    Latch(#[from] LatchError),
    /// The program uses this library in a way that cannot work.
    #[error("{0}")]
    Usage(String),
}

/// A call that its context answered without a value (`S161`).
///
/// `Display` is one line; the alternate form, `{:#}`, adds where the error came from and the
/// plugin's stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// Name of the context that ran it.
    pub context: String,
    /// `plugin::function`.
    pub function: String,
    /// What kind of end it was.
    pub kind: CallErrorKind,
    /// Rust's name of the error's type; empty unless the function returned it.
    pub type_name: String,
    /// What it says.
    pub message: String,
    /// What its sources say, outermost first.
    pub causes: Vec<String>,
    /// `file:line:column` in the plugin, when known.
    pub location: Option<String>,
    /// Names of the functions on the plugin's stack, innermost first.
    pub backtrace: Vec<String>,
}

/// The kinds of end without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// The function returned an error.
    Function,
    /// The function did not understand its arguments and did not run.
    BadArguments,
    /// The plugin has no such function.
    UnknownFunction,
    /// The caller was compiled with other types than the function.
    SignatureMismatch,
    /// The plugin panicked or trapped; its state is gone.
    Trapped,
    /// The plugin wanted more than its limits; its state is gone.
    LimitExceeded,
    /// The plugin broke the ABI; its state is gone.
    Misbehaved,
    /// The plugin could not be made ready, and the function did not run.
    CannotLoad,
    /// The call was taken back.
    Cancelled,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: ", self.function, self.context)?;
        match self.kind {
            CallErrorKind::Function | CallErrorKind::Misbehaved => {}
            CallErrorKind::BadArguments => f.write_str("bad arguments: ")?,
            CallErrorKind::UnknownFunction => f.write_str("unknown function: ")?,
            CallErrorKind::SignatureMismatch => f.write_str("version mismatch: ")?,
            CallErrorKind::Trapped => f.write_str("the plugin crashed: ")?,
            CallErrorKind::LimitExceeded => f.write_str("limit exceeded: ")?,
            CallErrorKind::CannotLoad => f.write_str("cannot load the plugin: ")?,
            CallErrorKind::Cancelled => f.write_str("cancelled: ")?,
        }
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        if f.alternate() {
            if !self.type_name.is_empty() {
                write!(f, "\n  error type: {}", self.type_name)?;
            }
            if let Some(location) = &self.location {
                write!(f, "\n  raised at: {location}")?;
            }
            for (depth, name) in self.backtrace.iter().enumerate() {
                write!(f, "\n  {depth:>4}: {name}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}

impl Error {
    /// What kind of error it is, as a word that programs can compare: `--json` prints it.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Call(call) => match call.kind {
                CallErrorKind::Function => "function",
                CallErrorKind::BadArguments => "bad_arguments",
                CallErrorKind::UnknownFunction => "unknown_function",
                CallErrorKind::SignatureMismatch => "signature_mismatch",
                CallErrorKind::Trapped => "trapped",
                CallErrorKind::LimitExceeded => "limit_exceeded",
                CallErrorKind::Misbehaved => "misbehaved",
                CallErrorKind::CannotLoad => "cannot_load",
                CallErrorKind::Cancelled => "cancelled",
            },
            Error::Channel(_) => "channel",
            Error::Timeout { .. } => "timeout",
            Error::Stream(_) => "stream",
            Error::Plugin(_) => "plugin",
            Error::Malformed { .. } => "malformed",
            Error::Select(_) => "select",
            Error::Latch(_) => "latch",
            Error::Usage(_) => "usage",
        }
    }

    /// A router that was shut down.
    pub(crate) fn shut_down() -> Self {
        let dead = Dead::new(DeadKind::Closed, offshoot_node::driver::SHUT_DOWN);
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
                SendError::Backlog(_) | SendError::Exhausted(_) | SendError::NeedsIds => {
                    ChannelErrorKind::Exhausted
                }
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

/// Why there will be no answer, or no more messages (`S162`).
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

/// The kinds of end without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelErrorKind {
    /// One of the ends was closed on purpose.
    Closed,
    /// A context on the way, or at its end, is gone.
    Disconnected,
    /// Nobody knows the way to the context.
    NoRoute,
    /// Nobody listens on the handle.
    NoHandle,
    /// The other end, or a context on the way, does not allow it.
    Refused,
    /// The message exceeds what a context on the way accepts.
    TooLarge,
    /// A table or queue on the way is full.
    Exhausted,
    /// What was sent, or the answer, makes no sense.
    Malformed,
}

impl ChannelError {
    pub(crate) fn new(context: &str, dead: &Dead) -> Self {
        Self {
            context: context.to_owned(),
            kind: match dead.kind {
                DeadKind::Closed => ChannelErrorKind::Closed,
                DeadKind::Disconnected => ChannelErrorKind::Disconnected,
                DeadKind::NoRoute => ChannelErrorKind::NoRoute,
                DeadKind::NoHandle => ChannelErrorKind::NoHandle,
                DeadKind::Refused => ChannelErrorKind::Refused,
                DeadKind::TooLarge => ChannelErrorKind::TooLarge,
                DeadKind::Exhausted => ChannelErrorKind::Exhausted,
                DeadKind::Malformed => ChannelErrorKind::Malformed,
            },
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

/// A [`Latch`](crate::Latch) that was closed gives nothing and takes nothing (`B032`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the latch has been closed")]
#[non_exhaustive]
pub struct LatchError;

/// A select was used in a way that cannot work; nothing was changed (`S042`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// It has no source that could give anything.
    #[error("cannot get(), Select instance is empty")]
    Empty,
    /// The source would be told of its messages twice.
    #[error("cannot add: Receiver is already owned by another Select")]
    Owned,
    /// The select would wait for itself.
    #[error("adding this Select instance would create a Select cycle")]
    Cycle,
    /// It cannot be removed, as it is not there.
    #[error("instance is not a member of this Select")]
    NotMember,
    /// It was closed while someone waited.
    #[error("the Select instance has been closed")]
    Closed,
}
