//! Machines for tests, made in a tenth of a second and gone without a trace.
//!
//! A [`Machine`] has its own processes, mounts, network, name and users. Its disk is a copy of
//! this one's that is written to memory, so that real `useradd`, `sshd`, `sudo`, `su` and `doas`
//! work in it as they do anywhere, and nothing of this one changes: it has its own `/home`,
//! `/root`, `/tmp` and keys. It needs root and Linux, and no container engine.
//!
//! Whoever tests a connection from outside talks to a port of this machine's loopback, which a
//! [`Proxy`] carries into the other one. The same can make a line slow, cut it or stop it.
//!
//! When the machine is dropped all its processes are killed, and with the last of them its mounts
//! and its network vanish. The same happens when the test is killed: the first process of the
//! machine ends when a pipe from the test does.

mod builder;
mod error;
mod machine;
mod packages;
mod proxy;
mod server;
mod user;

pub use builder::Builder;
pub use error::BedError;
pub use machine::Machine;
pub use packages::{PACKAGES, missing_packages};
pub use proxy::{Proxy, Trouble, Weather};
pub use server::SshdOptions;
pub use user::{Home, LOGIN_SHELLS, User};
