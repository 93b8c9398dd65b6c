//! Descriptors that the runtime watches.

use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the current runtime watch `descriptor`, which should not block.
pub(crate) fn watched(descriptor: OwnedFd, interest: Interest) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same descriptor, and keeps it open until it is
    // dropped, which `AsyncFd` does only after it has taken back its registration.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}
