//! What is asked of [`connect`](super::connect()), and why it can fail.

use std::time::Duration;

use offshoot_proto::control::Traces;
use offshoot_proto::{ContextId, SendError};

use super::error::ConnectError;
use super::local::LocalSpec;

/// How long a child may take to say hello, unless its maker says otherwise (`B011`).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A context that is wanted.
pub struct ConnectRequest<M = LocalSpec> {
    /// Whose child it is to be; `None` is this context's.
    pub via: Option<ContextId>,
    /// Its name, if it is not the default one.
    pub name: Option<String>,
    /// The most verbose level of its log records, 0 for none to 5 for traces.
    pub log_level: u8,
    /// What it writes about itself on its own machine.
    pub traces: Traces,
    /// How long it may take to come up.
    pub timeout: Duration,
    /// The way to make it.
    pub spec: M,
}

/// Why a context was not made.
#[derive(Debug)]
pub enum NewContextError {
    /// It could not be made.
    Connect(ConnectError),
    /// It could not even be asked for.
    Unsent(SendError),
}

impl From<ConnectError> for NewContextError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<SendError> for NewContextError {
    fn from(error: SendError) -> Self {
        Self::Unsent(error)
    }
}
