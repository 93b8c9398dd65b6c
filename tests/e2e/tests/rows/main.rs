//! The rows of the programming interface, one by one: each test bears the id of its row. Most need
//! no context beside this one, and so take no time.

mod blocking;
mod broker;
mod chains;
mod closing;
mod dropping;
mod handlers;
mod latch;
mod lost;
mod many;
mod message;
mod nested;
mod process;
mod receivers;
mod router;
mod scheduling;
mod select;
mod senders;

use offshoot::{CallError, ChannelError, ChannelErrorKind, Error, Receiver, Router, Sender};

/// A receiver and a sender to it.
fn pair<T: serde::de::DeserializeOwned>(router: &Router) -> (Receiver<T>, Sender<T>) {
    let receiver = router.receiver().unwrap();
    let sender = receiver.to_sender();
    (receiver, sender)
}

#[track_caller]
fn channel_error<T: std::fmt::Debug>(result: Result<T, Error>) -> ChannelError {
    match result {
        Err(Error::Channel(error)) => error,
        other => panic!("no error of the channel: {other:?}"),
    }
}

#[track_caller]
fn call_error<T: std::fmt::Debug>(result: Result<T, Error>) -> CallError {
    match result {
        Err(Error::Call(error)) => *error,
        other => panic!("not the call's own error: {other:?}"),
    }
}

#[track_caller]
fn assert_closed<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert_eq!(channel_error(result).kind, ChannelErrorKind::Closed);
}

#[track_caller]
fn assert_timeout<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
}

#[track_caller]
fn assert_usage<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Usage(_))), "{result:?}");
}
