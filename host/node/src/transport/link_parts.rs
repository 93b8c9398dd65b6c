//! The byte stream of one link, before the driver has it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;

use super::lifecycle::Transport;

/// Bytes that a pipe of a link should hold: large transfers then need fewer turns.
pub const PIPE_SIZE: usize = 256 * 1024;

/// What a link to a child is made of.
pub struct LinkParts {
    /// Where its bytes come from.
    pub input: AsyncFd<Arc<OwnedFd>>,
    /// Where its bytes go; must not block.
    pub output: OwnedFd,
    /// What carries it to the child at its other end.
    pub transport: Transport,
}
