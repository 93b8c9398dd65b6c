//! The task of one link: reads it, waits for room on it, and sees to its end.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use offshoot_proto::{ContextId, LinkId};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::Hub;
use super::output::Output;
use crate::launch::Process;

/// Bytes to read at once. One buffer of the thread serves all its links.
const READ: usize = 256 * 1024;

/// How long a child may take to end after its link was closed. It ends at once, unless the
/// machine is very busy.
const GRACE: Duration = Duration::from_secs(3);

/// How long to wait for the reason why a link ended: the system reports the end of the pipe and
/// that of the process separately.
const REASON_WAIT: Duration = Duration::from_millis(200);

/// What a link is made of.
pub(crate) struct LinkParts {
    /// Where its bytes come from.
    pub(crate) input: AsyncFd<OwnedFd>,
    /// Where its bytes go.
    pub(crate) output: AsyncFd<OwnedFd>,
    /// The child at its other end; `None` when that is the parent.
    pub(crate) process: Option<Process>,
}

impl Hub {
    /// Adds the link to a child that said hello, with what it sent behind that; gives the parts
    /// back when the node does not expect the child any more.
    pub(crate) fn attach_child(
        &self,
        id: ContextId,
        name: Arc<str>,
        parts: LinkParts,
        rest: &[u8],
    ) -> Result<(), LinkParts> {
        let mut state = self.lock();
        if state.ended {
            return Err(parts);
        }
        let Some(link) = state.node.attach(id) else {
            return Err(parts);
        };
        Self::set_name(&mut state, id, name);
        drop(state);
        self.run_link(link, parts, rest);
        Ok(())
    }

    /// Starts to move the bytes of a link that the node knows.
    pub(crate) fn run_link(&self, link: LinkId, parts: LinkParts, rest: &[u8]) {
        let wake = Arc::new(Notify::new());
        let output = Arc::new(parts.output);
        self.drive(|state, now| {
            let entry = Output::new(output.clone(), wake.clone());
            state.outputs.insert(link, entry);
            state.node.handle_bytes(link, rest, now);
        });
        self.spawn(run(Task {
            hub: self.weak(),
            link,
            input: parts.input,
            output: Some(output),
            wake,
            process: parts.process,
        }));
    }

    /// What the link's task has to do next, or `None` when the link was closed on this side.
    fn link_duty(&self, link: LinkId) -> Option<Duty> {
        let mut state = self.lock();
        let full = state.outputs.get(&link)?.full;
        let may_read = state.node.may_read(link);
        Some(Duty { full, may_read })
    }

    /// Writes to a link that has room again; says whether it is full once more.
    fn write_again(&self, link: LinkId) -> bool {
        let mut state = self.lock();
        if let Some(output) = state.outputs.get_mut(&link) {
            output.full = false;
        }
        self.write_link(&mut state, link);
        let full = state.outputs.get(&link).is_some_and(|output| output.full);
        // Links whose reading waited for this one may go on.
        for (&other, output) in &state.outputs {
            if other != link {
                output.wake.notify_one();
            }
        }
        full
    }

    fn close_link(&self, link: LinkId, reason: &str) {
        self.drive(|state, now| {
            state.outputs.remove(&link);
            state.node.handle_closed(link, reason, now);
        });
    }
}

struct Duty {
    full: bool,
    may_read: bool,
}

struct Task {
    hub: Weak<Hub>,
    link: LinkId,
    input: AsyncFd<OwnedFd>,
    output: Option<Arc<AsyncFd<OwnedFd>>>,
    wake: Arc<Notify>,
    process: Option<Process>,
}

/// Why a link's task stops to read.
enum End {
    /// The peer closed it, or the pipe broke.
    Peer(String),
    /// This side closed it, or the hub is gone.
    Ours,
}

async fn run(mut task: Task) {
    let end = task.read_until_end().await;
    let Task {
        hub,
        link,
        input,
        output,
        process,
        ..
    } = task;
    drop((input, output));
    let mut process = process;
    let reason = match end {
        End::Ours => "the link was closed".to_owned(),
        End::Peer(reason) => match &mut process {
            Some(process) => process.epitaph(REASON_WAIT).await.unwrap_or(reason),
            None => reason,
        },
    };
    if let Some(hub) = hub.upgrade() {
        hub.close_link(link, &reason);
    }
    if let Some(process) = process {
        process.end(GRACE).await;
    }
}

impl Task {
    async fn read_until_end(&mut self) -> End {
        loop {
            let Some(duty) = self.hub.upgrade().and_then(|hub| hub.link_duty(self.link)) else {
                return End::Ours;
            };
            let output = self.output.as_ref().filter(|_| duty.full);
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                room = room_on(output) => {
                    let Some(hub) = self.hub.upgrade() else {
                        return End::Ours;
                    };
                    let Ok(mut room) = room else {
                        continue;
                    };
                    if hub.write_again(self.link) {
                        room.clear_ready();
                    }
                }
                ready = self.input.readable(), if duty.may_read => {
                    let Ok(mut ready) = ready else {
                        return End::Peer("the runtime is shutting down".to_owned());
                    };
                    match read_once(&self.hub, self.link, &self.input) {
                        Read::Some => {}
                        Read::Drained => ready.clear_ready(),
                        Read::End(end) => return end,
                    }
                }
            }
        }
    }
}

/// Waits for room on a full output, and for ever on one that is not.
async fn room_on(
    output: Option<&Arc<AsyncFd<OwnedFd>>>,
) -> std::io::Result<tokio::io::unix::AsyncFdReadyGuard<'_, OwnedFd>> {
    match output {
        Some(output) => output.writable().await,
        None => std::future::pending().await,
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

fn read_once(hub: &Weak<Hub>, link: LinkId, input: &AsyncFd<OwnedFd>) -> Read {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(READ, 0);
        let read = rustix::io::readv(input.as_fd(), &mut [IoSliceMut::new(buffer)]);
        match read {
            Ok(0) => Read::End(End::Peer("the connection was closed".to_owned())),
            Ok(count) => {
                let Some(hub) = hub.upgrade() else {
                    return Read::End(End::Ours);
                };
                hub.drive(|state, now| state.node.handle_bytes(link, &buffer[..count], now));
                // A short read has emptied the pipe, epoll(7): there will be a new event.
                if count < buffer.len() { Read::Drained } else { Read::Some }
            }
            Err(Errno::INTR) => Read::Some,
            Err(Errno::AGAIN) => Read::Drained,
            Err(error) => Read::End(End::Peer(format!("the connection broke: {error}"))),
        }
    })
}
