//! The contract between an Offshoot host and the plugins it runs.
//!
//! Both sides are built from this crate, so that neither can drift: the names of exports and
//! imports, the manifest that a module carries in a custom section, the envelope of a call's
//! outcome, and the schemas that let a program call a function it has never seen. `docs/ABI.md`
//! describes the same contract for plugins that are not written in Rust.
//!
//! Values cross the border in [postcard's wire format](https://postcard.jamesmunns.com/wire-format).

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod address;
mod blob;
mod envelope;
mod failure;
mod function;
mod grant;
#[cfg(feature = "inspect")]
mod inspect;
mod known;
mod manifest;
pub mod record;
pub mod router;
mod schema;
mod schema_core;
#[cfg(feature = "std")]
mod schema_std;
mod secret;

pub use address::{ContextAddress, Portable, SENDER_ADDRESS_LEN, SENDER_MAGIC, SenderAddress};
pub use blob::Blob;
pub use envelope::{Envelope, GuestError, Outcome};
pub use failure::{CallError, CallErrorKind, CallFailure};
pub use function::Function;
pub use grant::{Grant, ParseGrantError, Want};
#[cfg(feature = "inspect")]
pub use inspect::{Inspection, InvalidModule, MODULE_MAX, inspect};
pub use known::Known;
pub use manifest::{Argument, FunctionInfo, Manifest, ManifestError};
pub use schema::{Field, NamedType, Schema, Shape, Type, Variant, VariantShape, VariantType};
pub use secret::Secret;

/// Version of the contract. A host refuses a module that was built for another one.
pub const ABI_VERSION: u32 = 1;

/// Name of the custom section that holds the manifest's records.
pub const SECTION: &str = "offshoot.v1";

/// Module name of every import that the host offers beside WASI preview 1.
pub const IMPORT_MODULE: &str = "offshoot/v1";

/// Names of the exports that the host looks for.
pub mod exports {
    /// The linear memory.
    pub const MEMORY: &str = "memory";
    /// `(len: i32) -> i32`: address of a buffer of at least `len` bytes for a call's arguments,
    /// valid until the next time it is asked for; 0 refuses. One of more than
    /// [`ARGUMENTS_KEPT_MAX`] bytes is valid for one call only.
    pub const ARGUMENTS: &str = "offshoot.arguments";
    /// Bytes of a buffer that a host may use again without asking for it.
    pub const ARGUMENTS_KEPT_MAX: usize = 64 << 10;
    /// `()`: run once after instantiation, before anything else. Optional.
    pub const INITIALIZE: &str = "_initialize";
    /// Prefix of each function's export, `(len: i32) -> i64`. The arguments are the first `len`
    /// bytes of the buffer; the result is `address << 32 | length` of an envelope that stays
    /// valid until the instance is entered again.
    pub const CALL_PREFIX: &str = "offshoot.call.";
}

/// Names of the imports in [`IMPORT_MODULE`].
pub mod imports {
    /// `(level: i32, target: i32, target_len: i32, text: i32, text_len: i32)`: one log record.
    /// Levels are 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub const LOG: &str = "log";
    /// `() -> i32`: the most verbose level that anyone listens to; 0 is none.
    pub const LOG_LEVEL: &str = "log_level";
    /// `(text: i32, text_len: i32, place: i32, place_len: i32)`: what a panic says and where it
    /// happened, called just before the trap.
    pub const PANIC: &str = "panic";
    /// `(buffer: i32, capacity: i32) -> i32`: writes the names of the functions on the stack,
    /// innermost first, one a line, and returns the bytes written.
    pub const BACKTRACE: &str = "backtrace";
    /// `(buffer: i32, capacity: i32) -> i32`: writes the postcard bytes of a
    /// [`HostInfo`](crate::HostInfo) and returns their number, or a larger capacity to try.
    pub const HOST_INFO: &str = "host_info";
    /// `(request: i32, len: i32) -> i32`: asks the router for something and waits as long as it
    /// takes. The request is the postcard bytes of a [`Request`](crate::router::Request); the
    /// result is the length of an answer, which [`TAKE`] fetches.
    pub const EXCHANGE: &str = "exchange";
    /// `(buffer: i32, capacity: i32) -> i32`: writes the answer and returns its length. If that
    /// is more than `capacity` nothing was written, and the answer is still there.
    pub const TAKE: &str = "take";
    /// `(context: i32, handle: i64, data: i32, len: i32) -> i32`: sends a message, and waits while
    /// its receiver takes no more. 0, or the length of a
    /// [`RequestError`](crate::router::RequestError) for [`TAKE`].
    pub const SEND: &str = "send";
}

/// Who and where the running context is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostInfo {
    /// This context's id; 0 is the controller.
    pub context_id: u32,
    /// Ids from the nearest parent to the controller; empty in the controller.
    pub parent_ids: alloc::vec::Vec<u32>,
    /// This context's name, such as `local.4711`.
    pub name: alloc::string::String,
}
