//! The conversation that turns a remote shell into a child.
//!
//! One command ([`Stage0`]) is all that a remote shell is asked to run. It finds out what machine
//! it is on, looks for the child in a cache, asks for it where there is none, checks what it got,
//! and becomes it. [`Conversation`] reads what it prints and says what to send; the greeting of
//! the child that ends it is for [`ExpectHello`](crate::handshake::ExpectHello).
//!
//! # The rules
//!
//! - Nothing is sent before the far end asks: a login script that reads its input would eat it.
//! - Exactly the payload is sent then, and nothing behind it until the child has said hello: some
//!   `head` programs read further than they were told.
//! - What is asked for must have been offered, and not more often than there are directories to
//!   try. The text around it is not ours, and is only ever shown, cleaned, in an error.
//! - A cached child is run only from a directory that belongs to its user alone and was entered
//!   before it was judged, and only if it is itself a plain file of theirs alone, of the right
//!   size. So root never runs what another user could have written.

mod conversation;
mod error;
mod stage0;
#[cfg(test)]
mod tests;

pub(crate) use conversation::excerpt;
pub use conversation::{Conversation, Encoding, Step};
pub use error::{BootstrapError, Misbehaviour, Refusal, RefusedDirectory};
pub use stage0::{Keep, Platform, Stage0, Unquotable, Verify};
