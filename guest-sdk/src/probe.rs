//! What the macros ask the compiler about the types of a signature.

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

/// A `Result`, by whatever alias it is written.
pub trait Fallible {
    /// What success holds.
    type Value;
    /// What failure holds.
    type Error;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;
}

/// Demands what an argument's type needs in the callee.
pub const fn argument<T: DeserializeOwned>() {}

/// Demands what a result's type needs in the callee.
pub const fn result<T: Serialize>() {}

/// Demands what an error's type needs.
pub const fn error<E: Display>() {}
