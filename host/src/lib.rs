//! Ships compiled WebAssembly plugins to other processes and machines, and calls their functions
//! as if they were local.
//!
//! A [`Router`] makes [`Context`]s: processes in a tree, each with a small host in it that was
//! brought along. A context runs the functions of [`Plugin`]s, and its answers, errors, panics and
//! logs come back to the caller.
//!
//! ```no_run
//! # mod facts { pub enum uptime {} impl offshoot::Function for uptime {
//! #     const PLUGIN: &'static str = "facts"; const NAME: &'static str = "uptime";
//! #     const SIGNATURE: u64 = 0; const CONCURRENT: bool = false; type Arguments = (); type Output = f64; } }
//! # async fn example() -> Result<(), offshoot::Error> {
//! let router = offshoot::Router::new()?;
//! let context = router.local().await?;
//! let seconds = context.call::<facts::uptime>(()).await?;
//! println!("{} has been up for {seconds} s", context.name());
//! router.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod blocking;
mod connect;
mod context;
mod embedded;
mod error;
mod identity;
pub mod json;
mod latch;
mod messages;
mod plugin;
mod router;
mod select;
mod sync;
mod tree;
mod utils;

pub use {
    blocking::{Broker, block_on},
    connect::{Doas, Local, Ssh, Su, Sudo},
    context::{CallChain, Context},
    error::{ChannelError, ChannelErrorKind, Error, LatchError, SelectError},
    identity::{context_id, is_controller, parent_id, parent_ids},
    latch::Latch,
    messages::{Channel, Handler, ListenOptions, Message, Receiver, Sender, Values},
    offshoot_abi::{
        Blob, CallError, CallErrorKind, CallFailure, Function, FunctionInfo, Grant, GuestError,
        Inspection, InvalidModule, Manifest, Portable, Secret, Type, Want,
    },
    offshoot_macros::main,
    offshoot_node::launch::ConnectError,
    offshoot_proto::{
        bootstrap::{Keep, Refusal, RefusedDirectory, Verify},
        control::{CheckHostKeys, ConnectEvent, ConnectStage, Password},
        login::{AccessError, HostKeyError, NetworkError, PasswordError, ToolOutput},
    },
    plugin::{NotOurs, Plugin, PluginError, SearchPlace, search_path, search_places},
    router::{Router, RouterBuilder, RouterStats},
    select::{Select, SelectEvent, Source},
    utils::{log_to_file, run_with_router, with_router},
};

/// Mitogen's name of [`ConnectError`].
pub type StreamError = ConnectError;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
