//! Where messages wait for those that take them, and who is woken when one comes.

mod inbox;
mod waiters;

pub use inbox::{Content, Inbox, MessageHandler, Notify, Owned, QueuedMessage, Received, Watched};
pub use waiters::{StreamRefs, WakeList, WakerSet, WakerSlot};
