//! What is asked of [`connect`](super::connect()), and why it can fail.

use std::time::Duration;

use offshoot_proto::control::ConnectOptions;
use offshoot_proto::{ContextId, SendError};

use super::error::ConnectError;
use super::local::LocalSpec;
use super::progress::Progress;

/// How long a child may take to say hello, unless its maker says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A context to make.
#[derive(Clone, Debug)]
pub struct ConnectRequest<M = LocalSpec> {
    /// Whose child it is to be; `None` is this context's.
    pub via: Option<ContextId>,
    /// What it is to be.
    pub options: ConnectOptions,
    /// Where its progress is reported.
    pub progress: Progress,
    /// How to make it.
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
