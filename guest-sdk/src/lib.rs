//! The SDK for Offshoot plugins.
//!
//! A plugin is a library crate of ordinary functions:
//!
//! ```
//! use offshoot_guest::{Result, function};
//!
//! /// How many bytes a file has.
//! #[function]
//! pub fn size(path: String) -> Result<u64> {
//!     Ok(std::fs::metadata(path)?.len())
//! }
//! ```
//!
//! Compiled to WebAssembly (`offshoot plugin build`, or the crate `offshoot-build`), it runs in
//! any context. Compiled natively, it is a library with unit tests as usual, and gives callers
//! the typed handle `size`: `context.call::<plugin::size>((path,))`.
//!
//! A function that takes a leading `&`[`Router`] can make contexts of its own, call functions in
//! them, exchange messages with them and [`Select`] over many, if its user grants the plugin
//! `router`. [`Sender`] and [`Context`] are values that can be passed and returned; a sender that a
//! function was handed needs no grant. The crate `plugins/fanout` shows all of it.
//!
//! A plugin may use the handles of another one that it depends on; `offshoot-build` makes one
//! plugin of it.
//!
//! What a plugin writes with `println!`, `eprintln!`, the `log` crate (feature `log`, on by
//! default) or the `tracing` crate (feature `tracing`) appears in the caller's log. A panic ends
//! the call, and its message and place reach the caller.

extern crate self as offshoot_guest;

mod buffer;
mod call;
#[cfg(target_arch = "wasm32")]
mod entry;
mod error;
mod host;
#[cfg_attr(not(target_arch = "wasm32"), path = "imports_native.rs")]
mod imports;
#[cfg(all(feature = "log", target_arch = "wasm32"))]
mod log_backend;
mod probe;
mod report;
mod router;
#[cfg(all(feature = "tracing", target_arch = "wasm32"))]
mod tracing_backend;

pub use error::{Error, Result, ResultExt};
pub use host::{Host, context_id, is_controller, parent_id, parent_ids};
pub use offshoot_abi::router::ChannelError;
pub use offshoot_abi::{Blob, Function, Schema, Secret};
pub use offshoot_abi::{CallError, CallErrorKind, CallFailure};
pub use offshoot_macros::{data, function, functions, wants};
pub use router::{
    CallChain, Channel, Context, Items, ListenOptions, Local, Message, Receiver, Router,
    RouterError, Select, SelectError, SelectEvent, Selection, Sender, Source, TimeoutError,
};

/// What the macros' expansions name. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::call::call;
    pub use crate::host::current as host;
    pub use crate::probe::{NoResult, NoSchema, Probe, Returned, argument, error, result};
    pub use crate::router::current as router;
    /// The traits by which an error is reported.
    pub mod report {
        pub use crate::report::{
            Caught, ReportDisplay, ReportError, ReportOwn, ReportSharedWrapper, ReportWrapper,
        };
    }
    pub use offshoot_abi::{ABI_VERSION, Field, Function, Shape, Variant, VariantShape, record};
    pub use serde;

    /// Version of this SDK.
    pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
}
