//! The tasks that a hub has at times. They do not keep it alive.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use offshoot_proto::LinkId;
use tokio::io::Interest;
use tokio::sync::Notify;

use super::Hub;
use super::output::Written;
use crate::async_fd::watched;

/// Ends the waits whose time is up; `changed` says that an earlier one appeared.
pub(super) async fn timer(hub: Weak<Hub>, changed: Arc<Notify>) {
    loop {
        let due = match hub.upgrade() {
            Some(hub) if !hub.is_ended() => hub.lock().armed.map(|armed| hub.system_time(armed)),
            _ => return,
        };
        let Some(due) = due else {
            changed.notified().await;
            continue;
        };
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {
                let Some(hub) = hub.upgrade() else {
                    return;
                };
                hub.drive(|state, now| {
                    state.armed = None;
                    state.node.handle_timeout(now);
                });
            }
        }
    }
}

/// Writes what callers left behind without waiting for an answer.
pub(super) async fn flusher(hub: Weak<Hub>, gathered: Arc<Notify>) {
    loop {
        gathered.notified().await;
        match hub.upgrade() {
            Some(hub) if !hub.is_ended() => hub.flush(),
            _ => return,
        }
    }
}

/// Waits for room on a full link and writes, until nothing is left to write.
pub(super) async fn drain(hub: Weak<Hub>, link: LinkId, pipe: Arc<OwnedFd>, closed: Arc<Notify>) {
    let Ok(pipe) = watched(pipe, Interest::WRITABLE) else {
        return;
    };
    loop {
        let room = tokio::select! {
            room = pipe.writable() => room,
            () = closed.notified() => return,
        };
        let (Ok(mut room), Some(hub)) = (room, hub.upgrade()) else {
            return;
        };
        match hub.write_again(link) {
            Written::Full => room.clear_ready(),
            Written::All | Written::Broken => return,
        }
    }
}
