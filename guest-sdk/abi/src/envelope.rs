//! How a call's outcome is laid out in the guest's memory and on the wire.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// First byte of an envelope: what the rest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The function's value, in postcard.
    Value = 0,
    /// The function returned an error: a [`GuestError`], in postcard.
    Error = 1,
    /// The arguments did not decode: UTF-8 text that says why.
    BadArguments = 2,
}

impl Outcome {
    /// The outcome that `byte` stands for.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Value),
            1 => Some(Self::Error),
            2 => Some(Self::BadArguments),
            _ => None,
        }
    }
}

/// An envelope split into its two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What the payload is.
    pub outcome: Outcome,
    /// The bytes behind the first one.
    pub payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Splits `bytes`; `None` when they are empty or start with an unknown outcome.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&first, payload) = bytes.split_first()?;
        Some(Self {
            outcome: Outcome::from_byte(first)?,
            payload,
        })
    }
}

/// The error a plugin's function returned, as text that outlives the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestError {
    /// Rust's name of the error's type, such as `std::io::error::Error`.
    pub type_name: String,
    /// The error's `Display`.
    pub message: String,
    /// The `Display` of each source behind it, outermost first.
    pub causes: Vec<String>,
    /// `file:line:column` where the error entered the SDK, when that is known.
    pub location: Option<String>,
    /// Names of the functions on the guest's stack, innermost first.
    pub backtrace: Vec<String>,
}
