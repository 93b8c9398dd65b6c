//! What a user sends, before it is cut into frames and after it is put together again.

use alloc::borrow::ToOwned;
use alloc::string::String;

use bytes::Bytes;
use offshoot_text::commands_a_terminal;
use serde::{Deserialize, Serialize};

use crate::id::{ContextId, Handle};
use crate::limits::REASON_MAX;

/// A message for a handle in a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub dst: ContextId,
    /// Where it comes from.
    pub src: ContextId,
    /// On whose authority: usually its source's.
    pub auth: ContextId,
    /// The address in the destination.
    pub handle: Handle,
    /// The address in the source that an answer goes to, or [`Handle::NONE`].
    pub reply_to: Handle,
    /// Whether it is one of a stream, for which `reply_to` is given credit.
    pub stream: bool,
    /// Whether it is the answer of a node, and not of a program.
    pub answer: bool,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Bytes, whose meaning is the handle's business.
    Data(Bytes),
    /// There will be no answer, or no more messages.
    Dead(Dead),
}

/// Why there will be no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// What kind of reason.
    pub kind: DeadKind,
    /// The reason in words, for people.
    pub reason: String,
}

/// The kinds of reason why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeadKind {
    /// The other end closed on purpose.
    Closed,
    /// A context on the way, or at its end, is gone. A call may have run.
    Disconnected,
    /// Nobody knows the way to the destination.
    NoRoute,
    /// The destination does not know the handle.
    NoHandle,
    /// The destination, or a context on the way, does not allow it.
    Refused,
    /// The message exceeds what a context on the way accepts.
    TooLarge,
    /// A table or queue on the way is full.
    Exhausted,
    /// The message was not understood.
    Malformed,
}

impl Dead {
    /// A reason, cut to a length that any message can carry, and without what a terminal would
    /// act on: it may be a stranger's word, and people will read it.
    pub fn new(kind: DeadKind, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.chars().any(commands_a_terminal) {
            reason = reason.replace(commands_a_terminal, " ");
        }
        if reason.len() > REASON_MAX {
            let end = (0..=REASON_MAX)
                .rev()
                .find(|&end| reason.is_char_boundary(end));
            reason.truncate(end.unwrap_or(0));
        }
        Self { kind, reason }
    }

    /// Whether a call that ends with this may have run.
    pub const fn may_have_run(&self) -> bool {
        matches!(self.kind, DeadKind::Disconnected | DeadKind::Closed)
    }

    /// The form in a frame.
    pub(crate) fn to_bytes(&self) -> Bytes {
        postcard::to_allocvec(self).unwrap_or_default().into()
    }

    /// Reads the form in a frame; what a peer cannot express properly is malformed.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        postcard::from_bytes::<Self>(bytes).map_or_else(
            |_| {
                Self::new(
                    DeadKind::Malformed,
                    "the peer gave no readable reason".to_owned(),
                )
            },
            |dead| Self::new(dead.kind, dead.reason),
        )
    }
}
