//! The task of one link to a child: reads it, and sees to its end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use offshoot_proto::{ContextId, LinkId};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::output::{Output, Signals, Written};
use super::{ContextInfo, Driver};
use crate::transport::{LinkParts, Transport};

/// Bytes to read at once. One buffer of the thread serves all its links.
const READ: usize = 256 * 1024;

/// How long a child may take to end after its link was closed. It ends at once, unless the
/// machine is very busy.
const GRACE: Duration = Duration::from_secs(3);

/// What each context gives its children less than it was given itself, so that it is still there
/// to end those that do not end by themselves.
const GRACE_STEP: Duration = Duration::from_millis(200);

/// How long to wait for the reason why a link ended: the system reports the end of the pipe and
/// that of the process separately.
const REASON_WAIT: Duration = Duration::from_millis(200);

impl Driver {
    /// Adds the link to a child that said hello, with what it sent behind that; gives the parts
    /// back when the node does not expect the child any more.
    pub fn attach_child(
        &self,
        id: ContextId,
        known: ContextInfo,
        parts: LinkParts,
        rest: &[u8],
    ) -> Result<LinkId, LinkParts> {
        let LinkParts {
            input,
            output,
            transport,
        } = parts;
        let signals = Signals::default();
        let attached = self.drive(|state, now| {
            let link = match state.ended {
                false => state.node.attach(id),
                true => None,
            };
            let Some(link) = link else {
                return Err(output);
            };
            state.known.insert(id, known);
            state.outputs.insert(
                link,
                Output::new(Some(input.get_ref().clone()), output, signals.clone()),
            );
            state.node.handle_bytes(link, rest, now);
            Ok(link)
        });
        match attached {
            Ok(link) => {
                let grace = self.grace();
                let live_transports = TransportGuard::new(self, id);
                self.spawn(run(Task {
                    driver: self.weak(),
                    live_transports,
                    link,
                    input,
                    signals,
                    transport,
                    grace,
                }));
                Ok(link)
            }
            Err(output) => Err(LinkParts {
                input,
                output,
                transport,
            }),
        }
    }

    /// Whether the link's task may read now, or `None` when the link was closed on this side.
    fn may_read(&self, link: LinkId) -> Option<bool> {
        let mut state = self.lock();
        let open = state.outputs.contains_key(&link);
        open.then(|| state.node.may_read(link))
    }

    /// Writes to a link that has room again.
    pub(super) fn write_again(&self, link: LinkId) -> Written {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(output) = state.outputs.get_mut(&link) else {
            return Written::Broken;
        };
        let written = output.write(link, &mut state.node);
        if written == Written::Broken {
            state.outputs.remove(&link);
        }
        self.resume_reading(state);
        // Those that feed this link may have to be told that they may go on.
        self.process_events(guard);
        written
    }

    /// How long this context's children may take to end.
    fn grace(&self) -> Duration {
        let depth = self.lock().node.parent_ids().len();
        let less = GRACE_STEP.saturating_mul(u32::try_from(depth).unwrap_or(u32::MAX));
        GRACE.saturating_sub(less).max(GRACE_STEP)
    }

    /// Closes the link to a child that was asked to end, unless it does within its grace: it may
    /// be stopped, stuck or deaf.
    pub(super) fn close_after_grace(&self, link: LinkId) {
        let (weak, grace) = (self.weak(), self.grace());
        self.spawn_background(async move {
            tokio::time::sleep(grace).await;
            if let Some(driver) = weak.upgrade() {
                driver.close_link(link, "it was asked to end, and did not");
            }
        });
    }

    fn close_link(&self, link: LinkId, reason: &str) {
        self.drive(|state, now| {
            state.outputs.remove(&link);
            state.node.handle_closed(link, reason, now);
        });
    }
}

struct Task {
    driver: Weak<Driver>,
    live_transports: TransportGuard,
    link: LinkId,
    input: AsyncFd<Arc<OwnedFd>>,
    signals: Signals,
    transport: Transport,
    grace: Duration,
}

/// Notes as long as it lives that there is something that carries the link to a child: a process,
/// or a session, which end a little later than the context.
struct TransportGuard {
    driver: Weak<Driver>,
    id: ContextId,
}

impl TransportGuard {
    fn new(driver: &Driver, id: ContextId) -> Self {
        driver.lock().live_transports.insert(id);
        Self {
            driver: driver.weak(),
            id,
        }
    }
}

impl Drop for TransportGuard {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.upgrade() {
            driver.lock().live_transports.remove(&self.id);
            driver.transport_closed.notify_waiters();
        }
    }
}

impl Driver {
    /// Waits until nothing carries a link to that child any more.
    pub async fn wait_transport_closed(&self, id: ContextId) {
        loop {
            let mut changed = std::pin::pin!(self.transport_closed.notified());
            changed.as_mut().enable();
            if !self.lock().live_transports.contains(&id) {
                return;
            }
            changed.await;
        }
    }
}

/// Why a link's task stops to read.
enum End {
    /// The peer closed it, or the pipe broke.
    Peer(String),
    /// This side closed it, or the driver is gone.
    Ours,
}

async fn run(mut task: Task) {
    let end = task.read_until_end().await;
    let Task {
        driver,
        live_transports: _carried,
        link,
        input,
        mut transport,
        grace,
        signals,
    } = task;
    drop(input);
    if signals.is_detached() {
        transport.release();
    }
    let reason = match end {
        End::Ours => "the link was closed".to_owned(),
        End::Peer(reason) => transport.exit_reason(REASON_WAIT).await.unwrap_or(reason),
    };
    if let Some(driver) = driver.upgrade() {
        driver.close_link(link, &reason);
    }
    transport.end(grace).await;
}

impl Task {
    async fn read_until_end(&mut self) -> End {
        loop {
            let Some(driver) = self.driver.upgrade() else {
                return End::Ours;
            };
            let may_read = match driver.may_read(self.link) {
                Some(may_read) => may_read,
                None if driver.is_ended() => return End::Ours,
                None => {
                    // A write has failed. What the child said before that is in the pipe, and one
                    // read takes all that a pipe holds.
                    let _ = driver.read(self.link, self.input.get_ref());
                    return End::Peer("it closed its end of the connection".to_owned());
                }
            };
            drop(driver);
            tokio::select! {
                biased;
                () = self.signals.reader.notified() => {}
                ready = self.input.readable(), if may_read => {
                    let Ok(mut ready) = ready else {
                        return End::Peer("the runtime is shutting down".to_owned());
                    };
                    let Some(driver) = self.driver.upgrade() else {
                        return End::Ours;
                    };
                    match driver.read(self.link, self.input.get_ref()) {
                        // A child that never stops to talk must not keep others waiting.
                        Read::Some => tokio::task::yield_now().await,
                        Read::Drained => ready.clear_ready(),
                        Read::End(end) => return end,
                    }
                }
            }
        }
    }
}

enum Read {
    /// There may be more.
    Some,
    /// There is no more for now.
    Drained,
    End(End),
}

thread_local! {
    /// Links take turns in a thread, so that an idle link costs no buffer.
    static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Driver {
    /// Reads a link once. The bytes are read and handled under one lock, so that it does not
    /// matter which thread does it.
    fn read(&self, link: LinkId, input: &OwnedFd) -> Read {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ, 0);
            let now = self.now();
            let mut state = self.lock();
            match rustix::io::read(input.as_fd(), &mut buffer[..]) {
                Ok(0) => Read::End(End::Peer("the connection was closed".to_owned())),
                Ok(count) => {
                    state.node.handle_bytes(link, &buffer[..count], now);
                    self.process_events(state);
                    // A short read has emptied the pipe, epoll(7): there will be a new event.
                    if count < READ {
                        Read::Drained
                    } else {
                        Read::Some
                    }
                }
                Err(Errno::INTR) => Read::Some,
                Err(Errno::AGAIN) => Read::Drained,
                Err(error) => Read::End(End::Peer(format!("the connection broke: {error}"))),
            }
        })
    }

    /// Reads what may already be there from a link that an answer is awaited on, without waiting
    /// for the link's task to be woken. What ends the link is left for that task to find.
    pub fn read_ahead(&self, link: LinkId) {
        let input = {
            let mut state = self.lock();
            if !state.node.may_read(link) {
                return;
            }
            let output = state.outputs.get(&link);
            output.and_then(|output| output.input.clone())
        };
        if let Some(input) = input {
            self.read(link, &input);
        }
    }
}
