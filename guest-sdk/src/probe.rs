//! What the macros ask the compiler about the types of a signature.

use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;

use offshoot_abi::{Schema, Shape};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Finds out whether `T` has a schema: the inherent constant wins over the one of [`NoSchema`]
/// wherever its bound holds.
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: Schema + ?Sized> Probe<T> {
    /// The type's shape.
    pub const SHAPE: Option<Shape> = Some(T::SHAPE);
}

/// The answer for types without a schema.
pub trait NoSchema {
    /// Nothing.
    const SHAPE: Option<Shape> = None;
}

impl<T: ?Sized> NoSchema for Probe<T> {}

impl<T, E> Probe<Result<T, E>> {
    /// Whether the type is a `Result`, by whatever name it is written.
    pub const IS_RESULT: bool = true;
}

/// The answer for types that are not a `Result`.
pub trait NoResult {
    /// No.
    const IS_RESULT: bool = false;
}

impl<T: ?Sized> NoResult for Probe<T> {}

/// What a function returns; `FALLIBLE` is [`Probe::IS_RESULT`] of the type.
pub trait Returned<const FALLIBLE: bool> {
    /// What success holds.
    type Value;
    /// What failure holds.
    type Error;

    /// Tells success from failure.
    ///
    /// # Errors
    ///
    /// Fails with the function's own error.
    fn outcome(self) -> Result<Self::Value, Self::Error>;
}

impl<T> Returned<false> for T {
    type Value = T;
    type Error = Infallible;

    fn outcome(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E> Returned<true> for Result<T, E> {
    type Value = T;
    type Error = E;

    fn outcome(self) -> Self {
        self
    }
}

/// Demands what an argument's type needs in the callee.
pub const fn argument<T: DeserializeOwned>() {}

/// Demands what a result's type needs in the callee.
pub const fn result<T: Serialize>() {}

/// Demands what an error's type needs.
pub const fn error<E: Display>() {}
