//! The ssh client inside Offshoot.
//!
//! It reads what the user's `ssh_config` and `known_hosts` say as OpenSSH does, connects,
//! authenticates, and runs one command over one connection, whose input and output are two pipes
//! of this process. What it cannot honour it refuses, and names.

mod client;
pub mod config;
mod error;
pub mod known_hosts;
mod pattern;
mod secret;

pub use client::{
    CONNECT_TIMEOUT, Connection, DEFAULT_TIMEOUT, Ended, Event, HostKeyPolicy, OnProgress, Request,
    Session, StartedCommand, StdioPipes, connect, open,
};
pub use error::{Algorithm, HostKeyProblem, IdentityProblem, SshError, Stage};
pub use secret::Secret;
