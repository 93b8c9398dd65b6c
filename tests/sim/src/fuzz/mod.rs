//! Functions that take any bytes and must not mind: for the replay of the corpus in `cargo test`,
//! and for a fuzzer.
//!
//! Each panics when something does not hold; that is how a fuzzer learns of it.

mod bytes;
mod node;

pub use bytes::{control, decoder, hello, welcome};
pub use node::node;

/// A function that takes any bytes, and its name, which is that of its folder in the corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("control", control),
    ("decoder", decoder),
    ("hello", hello),
    ("node", node),
    ("welcome", welcome),
];

/// The build and the nonce that the greetings of the corpus have.
pub const BUILD: &str = "b1";
/// See [`BUILD`].
pub const NONCE: &str = "0123456789abcdef0123456789abcdef";
