//! The exports that a host calls beside the plugin's functions.

use std::any::Any;
use std::cell::Cell;
use std::io::Write as _;
use std::panic::PanicHookInfo;

use crate::{buffer, imports};

/// Prepares the instance.
///
/// That this export exists and calls the constructors makes the module a reactor: otherwise the
/// linker would wrap every export to run constructors before each call and destructors after it.
// SAFETY: no other crate in a plugin defines this name; the linker would refuse two.
#[unsafe(export_name = "_initialize")]
extern "C" fn initialize() {
    thread_local! {
        static DONE: Cell<bool> = const { Cell::new(false) };
    }
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    if DONE.replace(true) {
        return;
    }
    // SAFETY: the linker defines it, and this is the one time that it runs.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(report_panic));
    #[cfg(feature = "log")]
    crate::log_backend::install();
    #[cfg(feature = "tracing")]
    crate::tracing_backend::install();
}

/// Address of a buffer for the next call's arguments; 0 refuses.
// SAFETY: no other crate in a plugin defines this name; the linker would refuse two.
#[unsafe(export_name = "offshoot.arguments")]
extern "C" fn arguments(len: usize) -> usize {
    buffer::reserve_arguments(len).map_or(0, <*mut u8>::expose_provenance)
}

/// Without this, a panic's message would be lost: all that the host sees is a trap.
fn report_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    imports::panic(text(info.payload()), &place.unwrap_or_default());
    let _ = std::io::stdout().flush();
}

fn text(payload: &dyn Any) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a value that is not text"
    }
}
