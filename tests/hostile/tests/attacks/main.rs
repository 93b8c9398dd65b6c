//! Attempts to cross the boundaries that `docs/SECURITY.md` draws, written as an attacker would.
//!
//! Those on the command that starts a child need its driver and are in `tests/bed`
//! (`tests/stage0/led_astray.rs`). Each test is named after the promise that it tries to break. It fails when the attempt works.

mod code;
mod files;
mod found;
mod guest;
mod names;
mod passwords;
mod router;
mod servers;
