//! What the client as a program of its own is told, and what it answers.
//!
//! It reads an [`Order`] ahead of what the command on the other machine is to read, and writes an
//! [`Report`]s on its standard error, ahead of what that command says there. Each is its length
//! in four bytes, and postcard. So what is secret is neither in its arguments nor in its
//! environment. Both ends are of one build: who starts the program has its hash from an ancestor.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::control::{self, ConnectEvent, ConnectFailure, Ssh};

pub use crate::control::CONNECT_EVENTS_MAX;

/// Bytes of an order or an answer at most. A command takes some thousands.
pub const LENGTH_MAX: usize = 256 * 1024;

/// Bytes that tell the length.
pub const HEAD: usize = 4;

/// Where to connect to, and what to run there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// Where to, and as whom.
    pub ssh: Ssh,
    /// One line for the login shell there.
    pub line: String,
    /// Milliseconds until the command has to run.
    pub patience_ms: u64,
}

/// What the client reports.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// It has come so far. At most [`CONNECT_EVENTS_MAX`] of these come first.
    Progress(ConnectEvent),
    /// What came of it. Nothing comes behind it.
    Answer(Answer),
}

/// What came of an order.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The command runs. From here on the program's standard streams are the command's.
    Up {
        /// What the server says to everybody.
        banner: String,
        /// What the user should know of a connection that was made all the same.
        warnings: Vec<String>,
    },
    /// It does not, and why.
    Failed(ConnectFailure),
}

/// A message that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It is longer than any.
    #[error("a message is too long")]
    TooLong,
    /// Its bytes are not those of one.
    #[error("a message makes no sense")]
    Senseless,
}

/// What is written for a message.
///
/// # Errors
///
/// Fails when it is too long.
pub fn frame(message: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Misread> {
    let body = Zeroizing::new(control::encode(message));
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    check(length)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + body.len()));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// How long the message behind this head is.
///
/// # Errors
///
/// Fails when it is too long.
pub fn length(head: [u8; HEAD]) -> Result<usize, Misread> {
    check(u32::from_le_bytes(head))
}

/// The message.
///
/// # Errors
///
/// Fails when the bytes are not exactly one.
pub fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Misread> {
    control::decode(bytes).ok_or(Misread::Senseless)
}

fn check(length: u32) -> Result<usize, Misread> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match length <= LENGTH_MAX {
        true => Ok(length),
        false => Err(Misread::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn b013_an_order_arrives_as_it_was_and_a_huge_one_does_not_leave() {
        let mut order = Order {
            ssh: Ssh {
                hostname: "web1".to_owned(),
                ..Ssh::default()
            },
            line: "true".to_owned(),
            patience_ms: 5,
        };
        let bytes = frame(&order).unwrap();
        let (head, rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(length(*head).unwrap(), rest.len());
        assert_eq!(body::<Order>(rest).unwrap().ssh, order.ssh);
        assert!(body::<Order>(&rest[1..]).is_err());
        order.line = "x".repeat(LENGTH_MAX);
        assert!(frame(&order).is_err());
        assert!(length([0xff; HEAD]).is_err());
    }
}
