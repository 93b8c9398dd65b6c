//! Everything about WebAssembly in one process: compiling, loading, running, stopping.
//!
//! It knows nothing of links, routes or messages, and no type of the engine leaves it, so that
//! the engine can be replaced or upgraded here alone. A plugin is hostile by assumption: whatever
//! a module does, its call ends with exactly one [`Finish`] and the process lives on.
//!
//! ```text
//! wasm --compile--> image --Plugin::load--> Plugin --start--> Finish
//! ```

#[cfg(feature = "controller")]
mod cache;
mod clock;
#[cfg(feature = "controller")]
mod compile;
mod engine;
mod error;
mod exchange;
mod executor;
mod finish;
mod grants;
mod handed;
mod image;
mod imports;
mod instance;
mod limits;
mod output;
mod plugin;
mod runtime;
#[cfg(feature = "controller")]
mod sections;
mod session;
mod state;
mod target;
mod task;
mod ticker;

#[cfg(all(test, feature = "controller"))]
mod tests;

#[cfg(feature = "controller")]
pub(crate) use cache::ImageCache;
#[cfg(feature = "controller")]
pub(crate) use compile::compile;
pub(crate) use error::{EngineError, LoadError};
pub(crate) use finish::Finish;
pub(crate) use image::ImageHash;
pub(crate) use limits::Limits;
pub(crate) use plugin::{Around, Invocation, Plugin};
pub(crate) use runtime::Runtime;
pub(crate) use session::{Exchange, Session, Sessions};
pub(crate) use state::LogSink;
#[cfg(feature = "controller")]
pub(crate) use target::ParseTargetError;
pub(crate) use target::{Profile, Target};
pub(crate) use task::CancelHandle;
