//! What leads to a child: a process of this machine or a session on another one, and its pipes.

mod lifecycle;
mod link_parts;
mod process;

pub use lifecycle::{Transport, TransportExit};
pub use link_parts::{LinkParts, PIPE_SIZE};
pub use process::Process;
