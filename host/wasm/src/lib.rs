//! Everything about WebAssembly in one process: compiling, loading, running, stopping.
//!
//! It knows nothing of links, routes or messages, and no type of the engine leaves it, so that
//! the engine can be replaced or upgraded here alone. A plugin is hostile by assumption: whatever
//! a module does, its call ends with exactly one [`Completion`] and the process lives on.
//!
//! ```text
//! wasm --compile--> image --Plugin::load--> Plugin --start--> Finish
//! ```

#[cfg(feature = "compiler")]
mod cache;
#[cfg(feature = "compiler")]
mod compile;
mod engine;
mod error;
mod exchange;
mod executor;
mod files;
mod finish;
mod grants;
mod handed;
mod image;
mod imports;
mod instance;
mod limits;
mod log_sink;
mod output;
pub mod places;
mod plugin;
mod runtime;
#[cfg(feature = "compiler")]
mod seal;
#[cfg(feature = "compiler")]
mod sections;
mod session;
mod sleep;
mod state;
mod target;
mod task;
mod ticker;
mod wasi;

#[cfg(all(test, feature = "compiler"))]
mod tests;

#[cfg(feature = "compiler")]
pub use cache::ImageCache;
#[cfg(feature = "compiler")]
pub use compile::compile;
pub use error::{EngineError, LoadError};
pub use finish::Completion;
pub use image::ImageHash;
pub use limits::Limits;
pub use log_sink::LogSink;
pub use plugin::{Invocation, Plugin, PluginEnv};
pub use runtime::Runtime;
pub use session::{Exchange, PluginRouter, PluginRouters};
#[cfg(feature = "compiler")]
pub use target::ParseTargetError;
pub use target::{Profile, Target};
pub use task::CancelHandle;
