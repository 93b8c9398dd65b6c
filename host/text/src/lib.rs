//! Which characters are allowed: in the names of hosts and users, and in what is shown of the words
//! of others.
//!
//! Names reach command lines: those of `ssh`, `sudo` and the like, and by `%h`, `%n` and `%r` the
//! shell that runs a `ProxyCommand` or a `Match exec` of ssh's configuration. They come from command
//! lines, programs, inventories, configurations and other contexts, so the rules are here, where all
//! that use such a name can reach them.

#![no_std]

extern crate alloc;

mod hop;
mod name;
mod shown;

pub use hop::{Hop, HopError};
pub use name::{NameError, NameKind, check_host, check_user};
pub use shown::{Shown, commands_a_terminal};
