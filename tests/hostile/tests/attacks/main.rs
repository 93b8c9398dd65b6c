//! Attempts to cross the boundaries that `docs/SECURITY.md` draws, written as an attacker would.
//!
//! Each test is named after the promise that it tries to break. It fails when the attempt works.

mod code;
mod files;
mod found;
mod guest;
mod names;
mod passwords;
mod router;
mod servers;
mod stage0;
