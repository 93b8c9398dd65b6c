//! How a call ends.

use offshoot_abi::{Envelope, GuestError, Outcome};
use wasmtime::{Trap, WasmBacktrace};

use super::files::Table;
use super::state::State;

/// The one end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The function's value, in postcard.
    Value(Vec<u8>),
    /// The function returned an error.
    Error(GuestError),
    /// The arguments did not decode; the function did not run.
    BadArguments(String),
    /// The plugin has no such function; these it has.
    UnknownFunction {
        /// Names of its functions.
        known: Vec<String>,
    },
    /// The caller was built against another version of the function.
    SignatureMismatch,
    /// The guest panicked or trapped.
    Trapped {
        /// The panic's text and place, or the kind of trap.
        message: String,
        /// Names of the functions on the guest's stack, innermost first.
        backtrace: Vec<String>,
    },
    /// The deadline passed.
    DeadlineExceeded,
    /// The caller gave up.
    Cancelled,
    /// The result is larger than may be sent.
    ResultTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The guest wanted more than its limits allow.
    Limit(String),
    /// The guest broke the contract: a pointer outside its memory, a malformed envelope.
    BadGuest(String),
    /// A call of a serial function while another one runs.
    Busy,
    /// The plugin could not be started; the function did not run.
    Failed(String),
}

impl Completion {
    /// Whether the instance came out of the call whole, and may serve the next one.
    pub(super) const fn keeps_instance(&self) -> bool {
        matches!(
            self,
            Self::Value(_) | Self::Error(_) | Self::BadArguments(_)
        )
    }

    /// Reads the envelope that a guest left behind.
    pub(super) fn from_envelope(bytes: &[u8]) -> Self {
        let Some(Envelope { outcome, payload }) = Envelope::parse(bytes) else {
            return Self::BadGuest("it returned a malformed envelope".to_owned());
        };
        match outcome {
            Outcome::Value => {
                // Room for what it is, which is put behind it.
                let mut value = Vec::with_capacity(payload.len() + 1);
                value.extend_from_slice(payload);
                Self::Value(value)
            }
            Outcome::Error => match postcard::from_bytes(payload) {
                Ok(error) => Self::Error(error),
                Err(_) => Self::BadGuest("it returned an error that does not decode".to_owned()),
            },
            Outcome::BadArguments => {
                Self::BadArguments(String::from_utf8_lossy(payload).into_owned())
            }
        }
    }

    /// Names the reason why the engine left the guest.
    pub(super) fn from_failure(error: &wasmtime::Error, state: &mut State) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match stop {
                Stop::Deadline => Self::DeadlineExceeded,
                Stop::Cancelled => Self::Cancelled,
                Stop::BadGuest(what) => Self::BadGuest((*what).to_owned()),
            };
        }
        let files = state.wasi.as_mut().map(|wasi| &mut wasi.files);
        let refused = state.limiter.take_refused();
        let refused = refused.or(files.and_then(Table::take_refused));
        let message = match (state.panic.take(), refused) {
            (Some(panic), Some(refused)) => format!("{panic} ({refused})"),
            (Some(panic), None) => panic,
            // Rust aborts without a panic when an allocation fails.
            (None, Some(refused)) => return Self::Limit(refused),
            (None, None) => match (error.downcast_ref::<Exit>(), error.downcast_ref::<Trap>()) {
                (Some(exit), _) => exit.to_string(),
                (None, Some(trap)) => trap.to_string(),
                (None, None) => format!("{error:#}"),
            },
        };
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        Self::Trapped {
            message,
            backtrace: backtrace.map(frame_names).unwrap_or_default(),
        }
    }
}

/// Why the host ends a guest's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    #[error("the deadline passed")]
    Deadline,
    #[error("the call was cancelled")]
    Cancelled,
    #[error("{0}")]
    BadGuest(&'static str),
}

/// The plugin called `exit` with that status.
#[derive(Debug, thiserror::Error)]
#[error("the plugin called exit({0})")]
pub(super) struct Exit(pub(super) i32);

impl From<Stop> for Completion {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Deadline => Self::DeadlineExceeded,
            Stop::Cancelled => Self::Cancelled,
            Stop::BadGuest(what) => Self::BadGuest(what.to_owned()),
        }
    }
}

/// Names of the functions on the stack, innermost first, without the panic machinery.
pub(super) fn frame_names(backtrace: &WasmBacktrace) -> Vec<String> {
    let frames = backtrace.frames().iter();
    let mut names: Vec<String> = frames
        .map(|frame| match frame.func_name() {
            Some(name) => readable(name),
            None => format!("<function {}>", frame.func_index()),
        })
        .collect();
    // Machinery is what runs above the last entry into it: everything up to there goes.
    if let Some(last) = names.iter().rposition(|name| is_panic_machinery(name)) {
        names.drain(..=last);
    }
    names
}

/// A name as its author wrote it: demangled, without the compiler's hash.
fn readable(name: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(name));
    // Linkers demangle as well, and leave the hash.
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            path.to_owned()
        }
        _ => name,
    }
}

fn is_panic_machinery(name: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "__rust_start_panic",
        "__rustc::",
        "alloc::alloc::handle_alloc_error",
        "core::option::expect_failed",
        "core::option::unwrap_failed",
        "core::panicking::",
        "core::result::unwrap_failed",
        "rust_",
        "std::panicking::",
    ];
    // What catches panics lies between the plugin's own frames.
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !name.contains("catch_unwind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hash() {
        for mangled in [
            "_ZN5facts6uptime17h0123456789abcdefE",
            "facts::uptime::h0123456789abcdef",
            "facts::uptime",
        ] {
            assert_eq!(readable(mangled), "facts::uptime");
        }
        assert_eq!(readable("facts::help"), "facts::help");
    }
}
