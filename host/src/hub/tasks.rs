//! The two tasks that every hub has. They do not keep it alive.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::Hub;

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
