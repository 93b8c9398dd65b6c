//! The link to the parent, in a child's main thread.
//!
//! This thread does nothing else than to read, to do at once what can be done at once, and to
//! write. It simply blocks in the read: a call then costs its context one read and one write,
//! and no more than a bare pipe would.

use std::os::fd::OwnedFd;
use std::time::Duration;

use offshoot_proto::{LinkId, Node};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::{Zeroize as _, Zeroizing};

use super::output::{Output, Signals};
use super::{Driver, State, lock_again};
use crate::allocator;

/// Bytes to read at once: as few as calls need, as many as a burst fills.
const READ_MIN: usize = 16 * 1024;
const READ_MAX: usize = 256 * 1024;

/// Reads in a row that needed no more than the least, after which a burst counts as over: a context
/// at rest must not hold memory for the next one.
const CALM: u32 = 64;

/// How long nothing may come after a burst until it counts as over, too.
const REST: Duration = Duration::from_millis(500);

/// How often to see whether the parent is still there while it is not read.
const LOOK_UP: Duration = Duration::from_millis(50);

impl Driver {
    /// Serves the parent until it is gone or ends this context. `input` must block, and `output`
    /// must not: a parent that does not read must not stop us from hearing that it is gone. With
    /// `lost_after`, one that gives no sign of life for so long counts as gone.
    pub fn serve_parent(
        &self,
        link: LinkId,
        input: &OwnedFd,
        output: OwnedFd,
        rest: Zeroizing<Vec<u8>>,
        lost_after: Option<Duration>,
    ) {
        self.drive(|state, now| {
            state
                .outputs
                .insert(link, Output::new(None, output, Signals::default()));
            state.node.handle_bytes(link, &rest, now);
        });
        drop(rest);
        let interval = lost_after.map(|lost_after| {
            self.keep_alive(link, lost_after);
            Node::keepalive_interval(lost_after)
        });
        let mut buffer = vec![0; READ_MIN];
        let mut calm = 0;
        while self.wait_until_readable(link, input) {
            let holds = buffer.len() > READ_MIN || allocator::holds();
            let rest = holds.then_some(REST);
            if let Some(patience) = interval.into_iter().chain(rest).min()
                && !wait_for_input(input, Some(patience))
            {
                if holds {
                    buffer = vec![0; READ_MIN];
                    allocator::give_back();
                }
                if interval.is_some() {
                    self.probe_links();
                }
                continue;
            }
            match rustix::io::read(input, &mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let has_secrets = self.drive(|state, now| {
                        state.node.handle_bytes(link, &buffer[..count], now);
                        state.node.took_in_secrets()
                    });
                    if has_secrets {
                        buffer[..count].zeroize();
                    }
                    if count == buffer.len() && count < READ_MAX {
                        buffer = vec![0; 2 * count];
                    }
                    if count == READ_MAX {
                        allocator::keep();
                    }
                    calm = if count > READ_MIN { 0 } else { calm + 1 };
                    if calm == CALM && holds {
                        buffer = vec![0; READ_MIN];
                        allocator::give_back();
                    }
                }
                Err(Errno::INTR) => {}
                // Somebody shares it with us and has made it so, or it is also our output.
                Err(Errno::AGAIN) => {
                    wait_for_input(input, None);
                }
                Err(_) => return,
            }
        }
    }

    /// Ends the children, and waits for them, so that nobody else has to reap them.
    pub fn end_children(&self, patience: Duration) {
        let Some(runtime) = self.runtime.get() else {
            return;
        };
        runtime.block_on(async {
            let _ = tokio::time::timeout(patience, self.close()).await;
        });
    }

    /// Waits while what came from the parent stands in front of a link that is too slow. Says
    /// whether to go on at all.
    fn wait_until_readable(&self, link: LinkId, input: &OwnedFd) -> bool {
        let mut state = self.lock();
        while !state.ended && !state.node.may_read(link) {
            let (woken, waited) = lock_again(self.resumed.wait_timeout(state, LOOK_UP));
            state = woken;
            // What does not read may be stuck for good, and we must not outlive our parent.
            if waited.timed_out() && is_hung_up(input) {
                return false;
            }
        }
        !state.ended
    }

    /// The state has changed so that reading may go on.
    pub(super) fn resume_reading(&self, state: &State) {
        self.resumed.notify_all();
        for output in state.outputs.values() {
            output.signals.reader.notify_one();
        }
    }
}

/// Waits until there is something to read, or nothing ever will be; says whether that is so, or
/// `patience` is over.
fn wait_for_input(input: &OwnedFd, patience: Option<Duration>) -> bool {
    let mut pipes = [PollFd::new(input, PollFlags::IN)];
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    // An error shows in the next read.
    !matches!(
        poll(&mut pipes, patience.as_ref()),
        Ok(0) | Err(Errno::INTR)
    )
}

/// Whether nobody writes to the pipe any more, even if there is still something to read.
fn is_hung_up(input: &OwnedFd) -> bool {
    let mut pipes = [PollFd::new(input, PollFlags::empty())];
    poll(&mut pipes, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
