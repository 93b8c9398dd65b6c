//! What programs say to each other beside calls: where messages wait, who takes them, and how a
//! slow reader slows its writer.

#[cfg(feature = "controller")]
mod channel;
#[cfg(feature = "controller")]
mod handler;
mod inbox;
mod listening;
#[cfg(feature = "controller")]
mod message;
#[cfg(feature = "controller")]
mod notify;
mod outlet;
#[cfg(feature = "controller")]
mod receiver;
#[cfg(feature = "controller")]
mod sender;
#[cfg(feature = "controller")]
mod values;
mod waiters;

#[cfg(feature = "controller")]
pub use {
    channel::Channel,
    handler::Handler,
    message::Message,
    receiver::{Listen, Receiver},
    sender::Sender,
    values::Values,
};

#[cfg(feature = "controller")]
pub(crate) use handler::Registered;
#[cfg(feature = "controller")]
pub(crate) use inbox::Owned;
pub(crate) use inbox::{Content, Inbox, Mail, Notify, Taken, Watched};
pub(crate) use listening::Listening;
#[cfg(feature = "controller")]
pub(crate) use notify::Call;
pub(crate) use outlet::{Holders, Outlet, PutEnd};
#[cfg(feature = "controller")]
pub(crate) use waiters::Waiters;
pub(crate) use waiters::{Place, Woken};
