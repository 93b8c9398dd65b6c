//! The ssh client inside Offshoot.
//!
//! It reads what the user's `ssh_config` and `known_hosts` say as OpenSSH does, connects,
//! authenticates, and runs one command over one connection, whose input and output are two pipes
//! of this process. What it cannot honour it refuses, and names.

pub mod config;
pub mod known_hosts;
mod pattern;
