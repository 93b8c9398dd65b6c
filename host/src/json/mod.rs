//! JSON for values whose types this program has never seen.
//!
//! Plugins speak postcard, which says nothing about itself; people and scripts speak JSON. The
//! schemas in a plugin's manifest are the bridge: [`encode()`] writes the bytes that serde would
//! have written for the type, and [`decode()`] reads them back. Both sides are believed nothing: an
//! error in what a user typed says where and what was wanted, and bytes that do not fit the
//! schema end in an error, never in a large allocation.
//!
//! A value looks as `serde_json` would print it, with these exceptions:
//!
//! | type | JSON |
//! |---|---|
//! | `i128`, `u128` beyond 64 bits | a decimal string, because most readers would round a number; a number is read too |
//! | `NaN` and the infinities | the strings `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `Blob`, `Vec<u8>` | base64 text; an array of numbers is read too |
//! | `IpAddr`, `SocketAddr` and their like | text, such as `10.0.0.1` and `[::1]:80` |
//! | `Duration` | a number and a unit, such as `1.5s`; several may follow each other |
//! | `SystemTime` | text as in RFC 3339, such as `2024-01-31T12:00:00Z` |
//! | maps whose keys are neither text, numbers, `bool` nor plain enums | an array of `[key, value]` |
//!
//! As with `serde_json`, a missing field of an `Option` is `null`, unknown fields are refused,
//! and `Some(None)` looks like `None`.

mod base64;
mod decode;
mod describe;
mod encode;
mod error;
mod known;
mod map_key;
mod near;
mod path;
mod raw;
mod scope;
mod time;

pub use decode::{check_result, decode};
pub use encode::{ArgumentText, encode, encode_arguments};
pub use error::{JsonError, JsonErrorKind};
pub use near::near;
pub use time::parse_duration;

#[cfg(test)]
mod tests;
