//! Where messages wait for those that take them, and who is woken when one comes.

mod inbox;
mod waiters;

pub use inbox::{Content, Inbox, Mail, MessageHandler, Notify, Owned, Taken, Watched};
pub use waiters::{Holders, Place, Waiters, Woken};
