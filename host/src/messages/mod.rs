//! Messages between programs, beside calls: receivers, senders, channels and handlers.

mod channel;
mod handler;
mod message;
mod notify;
mod receiver;
mod router;
mod sender;
mod values;

pub use {
    channel::Channel,
    handler::Handler,
    message::Message,
    receiver::{ListenOptions, Receiver},
    sender::Sender,
    values::Values,
};

pub(crate) use notify::Call;
