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

#[cfg(feature = "controller")]
mod blocking;
#[cfg(feature = "controller")]
mod broker;
#[cfg(feature = "controller")]
mod call;
#[cfg(feature = "controller")]
mod chain;
pub mod child;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "controller")]
mod context;
#[cfg(feature = "controller")]
mod error;
mod executor;
mod heap;
mod hub;
mod identity;
#[cfg(feature = "controller")]
pub mod json;
#[cfg(feature = "controller")]
mod latch;
mod launch;
mod logs;
mod messages;
#[cfg(feature = "controller")]
mod methods;
mod outcome;
#[cfg(feature = "controller")]
mod plugin;
#[cfg(feature = "controller")]
mod router;
#[cfg(feature = "controller")]
mod select;
mod session;
mod traces;
#[cfg(feature = "controller")]
mod utils;
mod wasm;
mod watched;

/// Names the sources that this program was built from: parent and child must come from the same.
pub(crate) const BUILD_ID: &str = env!("OFFSHOOT_BUILD_ID");

pub use identity::{context_id, is_controller, parent_id, parent_ids};
#[cfg(feature = "controller")]
pub use {
    blocking::block_on,
    broker::Broker,
    chain::CallChain,
    context::Context,
    error::{CallError, CallErrorKind, ChannelError, ChannelErrorKind, Error},
    latch::{Latch, LatchError},
    launch::StreamError,
    messages::{Channel, Handler, Listen, Message, Receiver, Sender, Values},
    methods::{Doas, Local, Ssh, Su, Sudo},
    offshoot_abi::{
        Blob, Function, FunctionInfo, Grant, Inspection, InvalidModule, Manifest, Secret, Travels,
        Type, Want,
    },
    offshoot_macros::main,
    offshoot_proto::{
        bootstrap::{Keep, Refusal, RefusedDirectory, Stage, Verify},
        control::{CheckHostKeys, Password},
        login::{AccessError, HostKeyError, NetworkError, PasswordError, Said},
    },
    plugin::{Plugin, PluginError, search_path},
    router::{Router, RouterBuilder, RouterStats},
    select::{Select, SelectError, SelectEvent, Source},
    utils::{log_to_file, run_with_router, with_router},
};
