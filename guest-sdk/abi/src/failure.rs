//! Why a call has no value: what travels between contexts, and what callers are shown.

use alloc::string::String;
use core::fmt;

use offshoot_text::Shown;
use serde::{Deserialize, Serialize};

use crate::GuestError;

/// A call that its context answered without a value.
///
/// `Display` names the function and the context; the alternate form, `{:#}`, adds where the error
/// came from and the plugin's stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// Name of the context that ran it.
    pub context: String,
    /// `plugin::function`.
    pub function: String,
    /// Why it has no value.
    pub failure: CallFailure,
}

/// Why a call that reached its context has no value.
///
/// The text is another context's. `Display` leaves out what a terminal would act on, and shows a
/// few KiB of each part at most; the fields have all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailure {
    /// What kind of end it was.
    pub kind: CallErrorKind,
    /// What the function said; for other kinds of end only the message and the backtrace.
    pub error: GuestError,
}

/// The kinds of end without a value. Variants are appended, never moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// The function returned an error.
    Function,
    /// The function did not understand its arguments and did not run.
    BadArguments,
    /// The plugin has no such function.
    UnknownFunction,
    /// The caller was compiled with other types than the function.
    SignatureMismatch,
    /// The plugin panicked or trapped; its state is gone.
    Trapped,
    /// The plugin wanted more than its limits; its state is gone.
    LimitExceeded,
    /// The plugin broke the contract; its state is gone.
    Misbehaved,
    /// The plugin could not be made ready, and the function did not run.
    CannotLoad,
    /// The call was cancelled.
    Cancelled,
    /// The call's time was up. Callers are told of a timeout instead.
    DeadlineExceeded,
    /// The time of an earlier call of its chain was up, so the function did not run.
    ChainTimedOut,
}

impl CallErrorKind {
    /// The kind as a word that programs can compare.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::BadArguments => "bad_arguments",
            Self::UnknownFunction => "unknown_function",
            Self::SignatureMismatch => "signature_mismatch",
            Self::Trapped => "trapped",
            Self::LimitExceeded => "limit_exceeded",
            Self::Misbehaved => "misbehaved",
            Self::CannotLoad => "cannot_load",
            Self::Cancelled => "cancelled",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::ChainTimedOut => "chain_timed_out",
        }
    }

    /// What a message of this kind is introduced with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Function | Self::Misbehaved | Self::DeadlineExceeded | Self::ChainTimedOut => "",
            Self::BadArguments => "bad arguments: ",
            Self::UnknownFunction => "unknown function: ",
            Self::SignatureMismatch => "version mismatch: ",
            Self::Trapped => "the plugin crashed: ",
            Self::LimitExceeded => "limit exceeded: ",
            Self::CannotLoad => "cannot load the plugin: ",
            Self::Cancelled => "cancelled: ",
        }
    }
}

impl CallFailure {
    /// A failure that the function did not return itself.
    pub fn new(kind: CallErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            error: GuestError {
                message: message.into(),
                ..GuestError::default()
            },
        }
    }
}

impl From<GuestError> for CallFailure {
    fn from(error: GuestError) -> Self {
        Self {
            kind: CallErrorKind::Function,
            error,
        }
    }
}

/// Causes, and functions of a backtrace, that are shown.
const SHOWN_MAX: usize = 64;

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GuestError {
            type_name,
            message,
            causes,
            location,
            backtrace,
        } = &self.error;
        write!(f, "{}{}", self.kind.prefix(), Shown(message))?;
        for cause in causes.iter().take(SHOWN_MAX) {
            write!(f, ": {}", Shown(cause))?;
        }
        if !f.alternate() {
            return Ok(());
        }
        if !type_name.is_empty() {
            write!(f, "\n  error type: {}", Shown(type_name))?;
        }
        if let Some(location) = location {
            write!(f, "\n  raised at: {}", Shown(location))?;
        }
        for (depth, name) in backtrace.iter().take(SHOWN_MAX).enumerate() {
            write!(f, "\n  {depth:>4}: {}", Shown(name))?;
        }
        Ok(())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: ", self.function, Shown(&self.context))?;
        self.failure.fmt(f)
    }
}

impl core::error::Error for CallFailure {}

impl core::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn a_failure_is_shown_bounded_and_without_what_a_terminal_acts_on() {
        let long = "\x1b[2J\u{202e}".repeat(100_000);
        let failure = CallFailure::from(GuestError {
            type_name: long.clone(),
            message: long.clone(),
            causes: vec![long.clone(); 1000],
            location: Some(long.clone()),
            backtrace: vec![long; 1000],
        });
        for shown in [failure.to_string(), alloc::format!("{failure:#}")] {
            assert!(!shown.contains(['\x1b', '\u{202e}']));
            assert!(shown.len() < 2 << 20, "{} bytes", shown.len());
        }
    }

    #[test]
    fn the_alternate_form_adds_the_type_the_place_and_the_stack() {
        let failure = CallFailure::from(GuestError {
            type_name: "io::Error".into(),
            message: "no".into(),
            causes: vec!["why".into()],
            location: Some("a.rs:1:2".into()),
            backtrace: vec!["f".into()],
        });
        assert_eq!(failure.to_string(), "no: why");
        let lines: Vec<_> = [
            "no: why",
            "  error type: io::Error",
            "  raised at: a.rs:1:2",
            "     0: f",
        ]
        .into();
        assert_eq!(alloc::format!("{failure:#}"), lines.join("\n"));
    }
}
