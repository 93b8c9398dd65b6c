//! Names for the things that messages mention.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A context in the tree. The controller is 0; ids are never used twice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct ContextId(pub u32);

impl ContextId {
    /// The process that the user started.
    pub const CONTROLLER: Self = Self(0);
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A link of this context to a neighbour. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// A numbered address inside a context. 0 addresses nobody.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Handle(pub u64);

impl Handle {
    /// Addresses nobody: a message whose `reply_to` it is wants no answer.
    pub const NONE: Self = Self(0);
    /// The first frame on a link, in each direction.
    pub const HELLO: Self = Self(1);
    /// Calls a function; a [`CallBody`](crate::control::CallBody). From an ancestor.
    pub const CALL_FUNCTION: Self = Self(101);
    /// One log record, towards the controller; a [`LogRecord`](crate::control::LogRecord).
    pub const FORWARD_LOG: Self = Self(102);
    /// Announces where a new context will be; an [`AddRoute`](crate::control::AddRoute). From the
    /// parent, or from a child for an id that was granted to a context there.
    pub const ADD_ROUTE: Self = Self(103);
    /// Announces which contexts are gone; a [`DelRoute`](crate::control::DelRoute). From a child,
    /// or from the parent for contexts elsewhere that were sent to.
    pub const DEL_ROUTE: Self = Self(104);
    /// Asks the controller for ids; an [`AllocateId`](crate::control::AllocateId), answered with an
    /// [`IdBlock`](crate::control::IdBlock).
    pub const ALLOCATE_ID: Self = Self(105);
    /// Ends the context. From an ancestor.
    pub const SHUTDOWN: Self = Self(106);
    /// A plugin image, or where to pass one on; see `depot.rs`. From the parent.
    pub const LOAD_IMAGE: Self = Self(107);
    /// Says which image runs with which grants; a [`Bind`](crate::control::Bind). From an
    /// ancestor.
    pub const BIND: Self = Self(108);
    /// Makes a new context below the receiver; a [`Connect`](crate::control::Connect). From an
    /// ancestor.
    pub const CONNECT: Self = Self(109);
    /// Ends a call that nobody waits for any more. From an ancestor: the one that made the call.
    pub const CANCEL: Self = Self(110);
    /// Says to whom a block of ids is granted; a [`GrantIds`](crate::control::GrantIds). From the
    /// parent.
    pub const GRANT_IDS: Self = Self(111);
    /// Forgets a chain of calls, and whether one of them has failed. From an ancestor: the one
    /// that made the calls.
    pub const FORGET_CHAIN: Self = Self(112);
    /// Monitors the receiver: the contexts on the way tell the sender when the receiver is lost.
    /// Empty, and never answered by the receiver; `reply_to` is the handle that waits. From any
    /// context.
    pub const MONITOR: Self = Self(113);
    /// Gives up a child that the receiver was asked for, or ends it if it is up already. From an
    /// ancestor.
    pub const CANCEL_CONNECT: Self = Self(114);
    /// Lets the context outlive its parent. From an ancestor.
    pub const DETACH: Self = Self(115);
    /// Says that the context will outlive its parent, which must not end it. From a child.
    pub const DETACHING: Self = Self(116);
    /// A keepalive probe. Between neighbours.
    pub const HEARTBEAT: Self = Self(120);
    /// The reply to it. Between neighbours.
    pub const ALIVE: Self = Self(121);
    /// Pauses large messages for a context beyond the neighbour, or resumes them; a
    /// [`Pause`](crate::control::Pause). Between neighbours.
    pub const PAUSE: Self = Self(122);

    /// Handles below this one are the router's own.
    pub const FIRST_FREE: u64 = 200;
    /// Handles from here on are allotted while running. Those between are for programs that agree
    /// on a number beforehand.
    pub const FIRST_DYNAMIC: u64 = 1000;

    /// Whether the router keeps it for itself.
    pub const fn is_reserved(self) -> bool {
        self.0 < Self::FIRST_FREE
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
