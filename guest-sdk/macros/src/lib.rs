//! The attribute macros of `offshoot-guest`, which re-exports and documents them.
//!
//! Every macro keeps the author's item as it is and adds to it, so that a plugin's functions
//! stay ordinary functions. A misuse never hides another: all errors of an item come at once.

mod case;
mod data;
mod expand;
mod function;
mod functions;
mod misplaced;
mod options;
mod program;
mod registry;
mod serde_attributes;
mod signature;
mod text;
mod types;
mod wants;

use proc_macro::TokenStream;

/// Makes a function of the plugin callable from other contexts.
///
/// ```
/// use offshoot_guest::function;
///
/// /// How many bytes the text has.
/// #[function]
/// pub fn measure(text: String) -> u64 {
///     text.len() as u64
/// }
/// ```
///
/// The function itself is left as it is. Beside it appears a type of the same name, its handle,
/// with which a caller writes `context.call::<plugin::measure>((text,))`.
///
/// Arguments are owned values of any types that serde can read and write; types made with
/// [`data`](macro@data) can also be called from the command line. A function that returns
/// `Result<T, E>` hands its error to the caller, for any `E` that can be displayed. A leading
/// `&Host` parameter is filled in by the runtime and not passed by callers, and so is a leading
/// `&Router`, before or after it, for which the plugin needs the grant `router`.
///
/// Options: `#[function(concurrent)]` lets calls run side by side, each on a fresh instance, so
/// the function must not count on the plugin's statics. `#[function(name = "other")]` makes it
/// callable under another name.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(options.into(), item.into()).into()
}

/// Makes associated functions callable: goes on the `impl` block whose functions are marked with
/// `#[function]`.
///
/// ```
/// use offshoot_guest::{function, functions};
///
/// pub struct Text;
///
/// #[functions]
/// impl Text {
///     /// How many bytes the text has.
///     #[function]
///     pub fn measure(text: String) -> u64 {
///         text.len() as u64
///     }
/// }
/// ```
///
/// The function is named `Text::measure` and its handle is the type `Text_measure`.
#[proc_macro_attribute]
pub fn functions(options: TokenStream, item: TokenStream) -> TokenStream {
    functions::expand(options.into(), item.into()).into()
}

/// Makes a struct or an enum fit for arguments and results: derives serde's `Serialize` and
/// `Deserialize` and the `Schema` that lets the command line read and write its values.
///
/// ```
/// #[offshoot_guest::data]
/// #[derive(Debug, PartialEq)]
/// pub struct Disk {
///     pub device: String,
///     pub bytes_free: u64,
/// }
/// ```
///
/// Of serde's attributes, `rename`, `rename_all`, `rename_all_fields`, `transparent`,
/// `deny_unknown_fields` and `bound` may be used. Those that change what is written (`skip`,
/// `flatten`, `untagged` ..) are refused, because the schema would no longer describe it, and so are
/// `alias` and `default`, which would have no effect.
#[proc_macro_attribute]
pub fn data(options: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(options.into(), item.into()).into()
}

/// Says which grants the plugin needs and what for, so that its user can be asked.
///
/// ```
/// offshoot_guest::wants! {
///     "read:/proc" = "uptime and load",
///     "env:LANG" = "the language of messages",
///     "router" = "one process for each disk",
/// }
/// ```
#[proc_macro]
pub fn wants(input: TokenStream) -> TokenStream {
    wants::expand(input.into()).into()
}

/// Makes an async function the program's `main`: it gets a router, which is shut down when the
/// function is done, also when it panics. For programs that embed the host library, which has it
/// as `#[offshoot::main]`.
///
/// ```ignore
/// #[offshoot::main]
/// async fn main(router: offshoot::Router) -> Result<(), offshoot::Error> {
///     let context = router.local().await?;
///     println!("{} is up", context.name());
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    program::expand(options.into(), item.into()).into()
}
