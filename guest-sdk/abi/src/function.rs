//! The typed handle of a function.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A plugin's function, as its caller sees it.
///
/// `#[function]` implements it for a type that has the function's name, so that
/// `context.call::<facts::uptime>(())` is checked at compile time. The handle carries the
/// [`SIGNATURE`](Function::SIGNATURE) that the caller was compiled with, and the callee refuses
/// a call whose signature is not its own: a stale caller gets an error, never a misread value.
pub trait Function {
    /// The plugin's name: the package name of its crate.
    const PLUGIN: &'static str;
    /// The function's name inside the plugin, such as `uptime` or `Disk::free`.
    const NAME: &'static str;
    /// Digest of the argument and result types; see [`crate::record::signature`].
    const SIGNATURE: u64;
    /// Whether calls may run side by side, each on a fresh instance.
    const CONCURRENT: bool;
    /// The arguments, as a tuple.
    type Arguments: Serialize;
    /// What a successful call returns. For a function that returns `Result<T, E>` it is `T`.
    type Output: DeserializeOwned;
}
