//! The error type for `?` in plugins.

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;

use offshoot_abi::GuestError;

use crate::{imports, report};

/// What a plugin's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, with the place where `?` met it and the functions that were running.
///
/// Every `std::error::Error` converts into it. Like `anyhow::Error`, which serves as well but
/// knows no place, it is not itself a `std::error::Error`.
pub struct Error(Box<Inner>);

struct Inner {
    source: Box<dyn StdError + Send + Sync>,
    /// Of the source, before its type was forgotten.
    type_name: &'static str,
    /// Outermost last.
    context: Vec<String>,
    location: &'static Location<'static>,
    backtrace: Vec<String>,
}

impl Error {
    /// An error that is only a message.
    #[track_caller]
    pub fn msg(message: impl fmt::Display) -> Self {
        let source = Message(message.to_string());
        Self::new(Box::new(source), type_name::<Self>(), Location::caller())
    }

    /// Puts a message before the error, which becomes its cause.
    #[must_use]
    pub fn context(mut self, message: impl fmt::Display) -> Self {
        self.0.context.push(message.to_string());
        self
    }

    /// The error at the bottom, if it is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.downcast_ref()
    }

    fn new(
        source: Box<dyn StdError + Send + Sync>,
        type_name: &'static str,
        location: &'static Location<'static>,
    ) -> Self {
        Self(Box::new(Inner {
            source,
            type_name,
            context: Vec::new(),
            location,
            backtrace: imports::backtrace(),
        }))
    }

    /// The messages, outermost first.
    fn messages(&self) -> Vec<String> {
        let mut messages: Vec<String> = self.0.context.iter().rev().cloned().collect();
        messages.push(self.0.source.to_string());
        messages.extend(report::causes(&*self.0.source));
        messages
    }

    pub(crate) fn to_guest_error(&self) -> GuestError {
        let mut messages = self.messages();
        GuestError {
            type_name: report::type_name_of(&*self.0.source, self.0.type_name),
            message: messages.remove(0),
            causes: messages,
            location: Some(self.0.location.to_string()),
            backtrace: self.0.backtrace.clone(),
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::new(Box::new(error), type_name::<E>(), Location::caller())
    }
}

/// The outermost message.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.context.last() {
            Some(message) => f.write_str(message),
            None => self.0.source.fmt(f),
        }
    }
}

/// All messages and the place, as a failed `#[test]` prints them.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.messages().join(": "), self.0.location)
    }
}

/// Adds a message to the error of a `Result`, or makes one of a `None`, as `anyhow::Context` does.
///
/// The name `Context` is that of a [process](crate::Context) here.
pub trait ResultExt<T> {
    /// Puts a message before the error.
    ///
    /// # Errors
    ///
    /// Fails as the value does.
    fn context(self, message: impl fmt::Display) -> Result<T>;

    /// Puts a message before the error, which is only written when there is one.
    ///
    /// # Errors
    ///
    /// Fails as the value does.
    fn with_context<D: fmt::Display>(self, message: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    #[track_caller]
    fn context(self, message: impl fmt::Display) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(Into::<Error>::into(error).context(message)),
        }
    }

    #[track_caller]
    fn with_context<D: fmt::Display>(self, message: impl FnOnce() -> D) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(Into::<Error>::into(error).context(message())),
        }
    }
}

impl<T> ResultExt<T> for Option<T> {
    #[track_caller]
    fn context(self, message: impl fmt::Display) -> Result<T> {
        match self {
            Some(value) => Ok(value),
            None => Err(Error::msg(message)),
        }
    }

    #[track_caller]
    fn with_context<D: fmt::Display>(self, message: impl FnOnce() -> D) -> Result<T> {
        match self {
            Some(value) => Ok(value),
            None => Err(Error::msg(message())),
        }
    }
}

/// Returns from the function with an [`Error`] that is only a message.
///
/// ```
/// # use offshoot_guest::{Result, bail};
/// fn check(load: f64) -> Result<()> {
///     if load > 100.0 {
///         bail!("a load of {load} is too much");
///     }
///     Ok(())
/// }
/// # assert!(check(200.0).is_err());
/// ```
#[macro_export]
macro_rules! bail {
    ($($message:tt)+) => {
        return ::core::result::Result::Err($crate::Error::msg(::std::format!($($message)+)).into())
    };
}

#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Message {}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: u32 = line!() + 3;

    fn number(text: &str) -> Result<u8> {
        Ok(text.parse::<u8>()?)
    }

    #[test]
    fn the_place_is_that_of_the_question_mark() {
        let error = number("x").unwrap_err();
        assert_eq!(error.0.location.line(), LINE);
        assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    }

    #[test]
    fn context_comes_first_and_the_rest_are_causes() {
        let error = number("x").context("cannot read the port").unwrap_err();
        assert_eq!(error.to_string(), "cannot read the port");
        let report = error.to_guest_error();
        assert_eq!(report.causes, ["invalid digit found in string"]);
        assert_eq!(report.type_name, "core::num::error::ParseIntError");
    }

    #[test]
    fn nothing_can_be_explained_too() {
        let nothing: Option<u8> = None;
        let error = nothing.with_context(|| "no port").unwrap_err();
        assert_eq!(format!("{error:?}").split(" (").next(), Some("no port"));
    }
}
