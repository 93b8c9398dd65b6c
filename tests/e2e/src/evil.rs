//! A child that speaks the wire protocol and keeps none of its rules.
//!
//! Tests start the program `evil-child` in a child's place, through a script that tells it what
//! to do ([`Disguise`]). It borrows its greeting from a genuine child, so it gets as far as any
//! child does; what it does then is up to `attack.rs`.

mod attack;
mod disguise;
mod flood;
mod wire;

pub use attack::main;
pub use disguise::{Disguise, embedded_child};
