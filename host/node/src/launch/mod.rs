//! Makes children: starts a process or a session, shakes hands with it, and links it to the tree.
//!
//! [`connect()`] is the way in. It makes a direct child itself (`make_child.rs`), by one of the
//! methods (`local.rs`, `become_user.rs`, `ssh/`), or asks another context to.

mod become_user;
mod binary;
mod connect;
mod embedded;
mod error;
mod failure;
mod greeted;
mod local;
mod login;
mod make_child;
mod nonce;
mod payload;
mod platform;
mod progress;
mod remote_command;
mod remote_name;
mod request;
mod ship_ssh;
mod ssh;
mod stderr;

pub use binary::ChildBinary;
pub use connect::connect;
pub use embedded::{Embedded, embed};
pub use error::{ConnectError, Seconds};
pub use local::LocalSpec;
pub use login::{LEND, help, lend, parent_of};
pub use make_child::NewContext;
pub(crate) use make_child::serve_connect;
pub use progress::Progress;
pub use request::{CONNECT_TIMEOUT, ConnectRequest, NewContextError};
