//! The tasks that a driver has at times. They do not keep it alive.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use offshoot_proto::LinkId;
use tokio::io::Interest;
use tokio::sync::Notify;

use super::Driver;
use super::output::Written;
use crate::async_fd::watched;

/// Ends the waits whose time is up; `changed` says that an earlier one appeared.
pub(super) async fn timer(driver: Weak<Driver>, changed: Arc<Notify>) {
    loop {
        let due = match driver.upgrade() {
            Some(driver) if !driver.is_ended() => {
                driver.lock().armed.map(|armed| driver.system_time(armed))
            }
            _ => return,
        };
        let Some(due) = due else {
            changed.notified().await;
            continue;
        };
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {
                let Some(driver) = driver.upgrade() else {
                    return;
                };
                driver.drive(|state, now| {
                    state.armed = None;
                    state.node.handle_timeout(now);
                });
            }
        }
    }
}

/// Writes what callers left behind without waiting for an answer.
pub(super) async fn flusher(driver: Weak<Driver>, deferred: Arc<Notify>) {
    loop {
        deferred.notified().await;
        match driver.upgrade() {
            Some(driver) if !driver.is_ended() => driver.flush(),
            _ => return,
        }
    }
}

/// Waits for room on a full link and writes, until nothing is left to write.
pub(super) async fn drain(
    driver: Weak<Driver>,
    link: LinkId,
    pipe: Arc<OwnedFd>,
    closed: Arc<Notify>,
) {
    let Ok(pipe) = watched(pipe, Interest::WRITABLE) else {
        return;
    };
    loop {
        let room = tokio::select! {
            room = pipe.writable() => room,
            () = closed.notified() => return,
        };
        let (Ok(mut room), Some(driver)) = (room, driver.upgrade()) else {
            return;
        };
        match driver.write_again(link) {
            Written::Full => room.clear_ready(),
            Written::All | Written::Broken => return,
        }
    }
}
