//! The sending side of a link.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use offshoot_proto::{LinkId, Node};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// Bytes to take from the node for one write.
const BATCH: usize = 128 * 1024;

/// A link's pipe and the bytes that were taken from the node and not yet written.
pub(crate) struct Output {
    pub(crate) pipe: Arc<AsyncFd<OwnedFd>>,
    /// Wakes the link's task, which waits for room, or has to learn that this is gone.
    pub(crate) wake: Arc<Notify>,
    staged: Vec<u8>,
    written: usize,
    /// Whether the pipe was full at the last try.
    pub(crate) full: bool,
}

impl Output {
    pub(crate) fn new(pipe: Arc<AsyncFd<OwnedFd>>, wake: Arc<Notify>) -> Self {
        Self {
            pipe,
            wake,
            staged: Vec::new(),
            written: 0,
            full: false,
        }
    }

    /// Writes what the node has for the link, until there is no more or no room.
    ///
    /// # Errors
    ///
    /// Fails when the peer has closed its end.
    pub(crate) fn write(&mut self, link: LinkId, node: &mut Node) -> Result<(), Errno> {
        loop {
            if self.written == self.staged.len() {
                self.written = 0;
                self.staged.clear();
                if !node.poll_transmit(link, &mut self.staged, BATCH) {
                    // A burst must not stay in memory for the life of an idle link.
                    self.staged.shrink_to(4096);
                    self.full = false;
                    return Ok(());
                }
            }
            match rustix::io::write(self.pipe.as_fd(), &self.staged[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.full = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Output {
    /// The link's task holds the pipe as well, and must let go of it for the peer to see its end.
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}
