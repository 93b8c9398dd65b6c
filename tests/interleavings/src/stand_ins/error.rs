//! The errors of queues.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("closed")]
    Channel,
    #[error("{what} did not answer within {after:?}")]
    Timeout { what: String, after: Duration },
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error(transparent)]
    Latch(#[from] LatchError),
    #[error("{0}")]
    Usage(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("closed")]
pub struct LatchError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("no sources")]
    NoSources,
    #[error("owned")]
    Owned,
    #[error("cycle")]
    Cycle,
    #[error("too deep")]
    TooDeep,
    #[error("not a member")]
    NotMember,
    #[error("closed")]
    Closed,
}
