//! Turns any error of a function into the [`GuestError`] that its caller sees.
//!
//! Which of an error's abilities exist is known to the compiler only where its type is known, in
//! the macro's expansion. There, `(&&&&&Caught(&error)).report()` takes the first of the traits
//! below whose bound holds, because the method's receiver needs fewest references for it.

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt::Display;

use offshoot_abi::GuestError;

use crate::imports;
use crate::{Error, RouterError};

/// An error that a function returned.
pub struct Caught<'a, E>(pub &'a E);

/// For the SDK's own error, which knows its place and backtrace.
pub trait ReportOwn {
    /// The caller's view of the error.
    fn report(&self) -> GuestError;
}

impl ReportOwn for &&&&Caught<'_, Error> {
    fn report(&self) -> GuestError {
        self.0.to_guest_error()
    }
}

/// For errors with sources.
pub trait ReportError {
    /// The caller's view of the error.
    fn report(&self) -> GuestError;
}

impl<E: StdError + 'static> ReportError for &&&Caught<'_, E> {
    fn report(&self) -> GuestError {
        chain::<E>(self.0)
    }
}

/// For wrappers of an error, such as `anyhow::Error` and `Box<dyn Error>`.
pub trait ReportWrapper {
    /// The caller's view of the error.
    fn report(&self) -> GuestError;
}

impl<E: AsRef<dyn StdError + 'static>> ReportWrapper for &&Caught<'_, E> {
    fn report(&self) -> GuestError {
        chain::<E>(self.0.as_ref())
    }
}

/// For wrappers of an error that threads share, such as `Box<dyn Error + Send + Sync>`.
pub trait ReportSharedWrapper {
    /// The caller's view of the error.
    fn report(&self) -> GuestError;
}

impl<E: AsRef<dyn StdError + Send + Sync + 'static>> ReportSharedWrapper for &Caught<'_, E> {
    fn report(&self) -> GuestError {
        chain::<E>(self.0.as_ref())
    }
}

/// For everything that can be displayed.
pub trait ReportDisplay {
    /// The caller's view of the error.
    fn report(&self) -> GuestError;
}

impl<E: Display> ReportDisplay for Caught<'_, E> {
    fn report(&self) -> GuestError {
        GuestError {
            type_name: type_name::<E>().to_owned(),
            message: self.0.to_string(),
            causes: Vec::new(),
            location: None,
            backtrace: imports::backtrace(),
        }
    }
}

/// The messages of the sources behind `error`.
pub(crate) fn causes(error: &dyn StdError) -> Vec<String> {
    std::iter::successors(error.source(), |&error| error.source())
        .map(ToString::to_string)
        .collect()
}

/// How a report calls an error's type: as Rust does, except for those that stand for another one.
pub(crate) fn type_name_of(error: &(dyn StdError + 'static), own: &str) -> String {
    let router = error.downcast_ref::<RouterError>();
    router.map_or(own, RouterError::type_name).to_owned()
}

fn chain<E>(error: &(dyn StdError + 'static)) -> GuestError {
    GuestError {
        type_name: type_name_of(error, type_name::<E>()),
        message: error.to_string(),
        causes: causes(error),
        location: None,
        backtrace: imports::backtrace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    macro_rules! report {
        ($error:expr) => {
            (&&&&&Caught(&$error)).report()
        };
    }

    /// An error with a source.
    #[derive(Debug)]
    struct Broken(io::Error);

    impl Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cannot spin")
        }
    }

    impl StdError for Broken {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn broken() -> Broken {
        Broken(io::Error::other("the disk is on fire"))
    }

    #[test]
    fn text_is_an_error() {
        let report = report!("no such thing");
        assert_eq!(report.message, "no such thing");
        assert_eq!(report.type_name, "&str");
    }

    #[test]
    fn sources_become_causes() {
        let report = report!(broken());
        assert!(report.type_name.ends_with("::Broken"), "{report:?}");
        assert_eq!(report.message, "cannot spin");
        assert_eq!(report.causes, ["the disk is on fire"]);
    }

    #[test]
    fn wrappers_are_looked_into() {
        let boxed: Box<dyn StdError> = Box::new(broken());
        let shared: Box<dyn StdError + Send + Sync> = Box::new(broken());
        for report in [report!(boxed), report!(shared)] {
            assert_eq!(report.message, "cannot spin");
            assert_eq!(report.causes, ["the disk is on fire"]);
        }
    }

    #[test]
    fn our_own_error_keeps_its_place_and_the_type_behind_it() {
        let error = Error::from(broken()).context("while testing");
        let line = line!() - 1;
        let report = report!(error);
        assert!(report.type_name.ends_with("::Broken"), "{report:?}");
        assert_eq!(report.message, "while testing");
        assert_eq!(report.causes, ["cannot spin", "the disk is on fire"]);
        let place = report.location.unwrap();
        assert!(place.contains(&format!("report.rs:{line}:")), "{place}");
    }
}
