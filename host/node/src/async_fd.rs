//! Descriptors that the runtime watches.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What keeps one descriptor open for as long as it exists.
pub trait Owns: AsRawFd {}

impl Owns for OwnedFd {}
impl Owns for Arc<OwnedFd> {}

/// Has the current runtime watch `descriptor`, which should not block.
pub fn watched<T: Owns>(descriptor: T, interest: Interest) -> std::io::Result<AsyncFd<T>> {
    // SAFETY: an `Owns` always gives the same descriptor, and keeps it open until it is dropped,
    // which `AsyncFd` does only after it has taken back its registration.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}

/// Reads what there is. 0 is the end, which a terminal reports as an error.
///
/// Cancel-safe: what was read is given.
pub(crate) async fn read<T: Owns + AsFd>(
    input: &AsyncFd<T>,
    buffer: &mut [u8],
) -> std::io::Result<usize> {
    let read = input.async_io(Interest::READABLE, |input| {
        loop {
            match rustix::io::read(input, &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::IO) => return Ok(0),
                result => return result.map_err(Into::into),
            }
        }
    });
    read.await
}
