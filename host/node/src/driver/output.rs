//! The ends of a link's pipes.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_proto::{LinkId, Node};
use rustix::io::Errno;
use tokio::sync::Notify;
use zeroize::Zeroize as _;

/// Bytes to take from the node for one write.
const BATCH: usize = 128 * 1024;

/// A link's pipes and the bytes that were taken from the node and not yet written.
pub(super) struct Output {
    /// Where the peer's bytes come from; `None` where a thread reads them.
    pub(super) input: Option<Arc<OwnedFd>>,
    pub(super) pipe: Arc<OwnedFd>,
    pub(super) signals: Signals,
    staged: Vec<u8>,
    written: usize,
    /// Whether a password may be in what is staged.
    is_secret: bool,
    /// Whether the pipe was full at the last try. A task waits for room then.
    pub(super) full: bool,
}

/// Wakes the tasks of a link.
#[derive(Clone, Default)]
pub(super) struct Signals {
    /// The one that reads: it may go on, or has to learn that the link was closed.
    pub(super) reader: Arc<Notify>,
    /// The one that waits for room: the link was closed.
    pub(super) writer: Arc<Notify>,
    /// Whether the child is to outlive its link.
    detached: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn detach(&self) {
        self.detached.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Relaxed)
    }
}

/// How a try to write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// There is no room for the rest.
    Full,
    /// The peer does not read any more.
    Broken,
}

impl Output {
    pub(super) fn new(input: Option<Arc<OwnedFd>>, pipe: OwnedFd, signals: Signals) -> Self {
        Self {
            input,
            pipe: Arc::new(pipe),
            signals,
            staged: Vec::new(),
            written: 0,
            is_secret: false,
            full: false,
        }
    }

    /// Writes what the node has for the link, until there is no more or no room.
    pub(super) fn write(&mut self, link: LinkId, node: &mut Node) -> Written {
        loop {
            if self.written == self.staged.len() {
                self.written = 0;
                self.clear();
                if !node.poll_transmit(link, &mut self.staged, BATCH) {
                    // A burst must not stay in memory for the life of an idle link.
                    self.staged.shrink_to(4096);
                    self.full = false;
                    return Written::All;
                }
                self.is_secret = node.gave_out_secrets();
            }
            match rustix::io::write(self.pipe.as_fd(), &self.staged[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.full = true;
                    return Written::Full;
                }
                Err(_) => return Written::Broken,
            }
        }
    }
}

impl Output {
    fn clear(&mut self) {
        match std::mem::take(&mut self.is_secret) {
            true => self.staged.zeroize(),
            false => self.staged.clear(),
        }
    }
}

impl Drop for Output {
    /// Tasks of the link hold the pipe as well, and must let go of it for the peer to see its
    /// end.
    fn drop(&mut self) {
        self.clear();
        self.signals.reader.notify_one();
        self.signals.writer.notify_one();
    }
}
