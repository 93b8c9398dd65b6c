//! Descriptors that the runtime watches.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What keeps one descriptor open for as long as it exists.
pub(crate) trait Owns: AsRawFd {}

impl Owns for OwnedFd {}
impl Owns for Arc<OwnedFd> {}

/// Has the current runtime watch `descriptor`, which should not block.
pub(crate) fn watched<T: Owns>(descriptor: T, interest: Interest) -> std::io::Result<AsyncFd<T>> {
    // SAFETY: an `Owns` always gives the same descriptor, and keeps it open until it is dropped,
    // which `AsyncFd` does only after it has taken back its registration.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}
