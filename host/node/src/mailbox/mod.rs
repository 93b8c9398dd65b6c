//! Queues of messages, and the wakers of the tasks that wait for them.

mod inbox;
mod waiters;

pub use inbox::{Content, Inbox, MessageHandler, Notify, Owned, QueuedMessage, Received, Watched};
pub use waiters::{StreamRefs, WakeList, WakerSet, WakerSlot};
