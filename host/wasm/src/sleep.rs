//! Waiting for a time, in a future that no reactor polls: the worker thread that polls it sleeps
//! until then, and a cancel or a deadline wakes it.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

thread_local! {
    static WAKE_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// When the future that was just polled on this thread wants to be polled again.
pub(crate) fn take_wake_up() -> Option<Instant> {
    WAKE_AT.take()
}

/// Waits until then.
pub(crate) async fn sleep_until(until: Instant) {
    poll_fn(|_| {
        if Instant::now() >= until {
            return Poll::Ready(());
        }
        WAKE_AT.set(Some(until));
        Poll::Pending
    })
    .await;
}
