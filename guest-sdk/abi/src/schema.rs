//! Schemas: what a value looks like, for programs that have never seen its type.
//!
//! [`Shape`] is the form that exists at compile time, behind `&'static`; [`Type`] is the owned
//! form that a manifest decodes to. A value's JSON follows from its type: `host/src/json`.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap, LinkedList, VecDeque};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::num::Wrapping;

use crate::known::Known;

/// A type whose values other programs can read and write knowing only its [`Shape`].
///
/// Derive it with `#[offshoot_guest::data]`. A shape must describe the postcard bytes that serde
/// produces for the type, to the letter.
pub trait Schema {
    /// The type's shape.
    const SHAPE: Shape;
}

/// The shape of a type, known at compile time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "the scalar variants are named after Rust's types"
)]
pub enum Shape {
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    /// UTF-8 text.
    Str,
    /// Raw bytes, the same on the wire as a sequence of `u8`.
    Bytes,
    /// A value or nothing.
    Option(&'static Shape),
    /// Any number of values of one type.
    Seq(&'static Shape),
    /// Keys and values.
    Map(&'static Shape, &'static Shape),
    /// A fixed number of values.
    Tuple(&'static [Shape]),
    /// A fixed number of values of one type.
    Array(&'static Shape, u32),
    /// A struct around one unnamed field; on the wire it is that field.
    Newtype(&'static str, &'static Shape),
    /// A struct with unnamed fields.
    TupleStruct(&'static str, &'static [Shape]),
    /// A struct with named fields.
    Struct(&'static str, &'static [Field]),
    /// An enum.
    Enum(&'static str, &'static [Variant]),
    /// A type that has no schema: it travels between typed programs only.
    Opaque(&'static str),
    /// The type of that name that this shape is in: one that holds itself.
    Recursive(&'static str),
}

/// A named field of a [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Its name, after serde's renaming.
    pub name: &'static str,
    /// Its shape.
    pub shape: Shape,
}

/// A variant of an enum's [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    /// Its name, after serde's renaming.
    pub name: &'static str,
    /// What it holds.
    pub shape: VariantShape,
}

/// What a variant holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VariantShape {
    /// Nothing.
    Unit,
    /// One unnamed value.
    Newtype(&'static Shape),
    /// Several unnamed values.
    Tuple(&'static [Shape]),
    /// Named values.
    Struct(&'static [Field]),
}

/// The owned form of a [`Shape`], as read from a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are those of `Shape`")]
pub enum Type {
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    Option(Box<Type>),
    Seq(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    Array(Box<Type>, u32),
    Newtype(String, Box<Type>),
    TupleStruct(String, Vec<Type>),
    Struct(String, Vec<NamedType>),
    Enum(String, Vec<VariantType>),
    Opaque(String),
    Recursive(String),
}

/// A named field of a [`Type`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedType {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// A variant of a [`Type::Enum`]; its content is a unit, a newtype, a tuple or a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantType {
    /// Its name.
    pub name: String,
    /// [`Type::Unit`], or a [`Type::Newtype`], [`Type::TupleStruct`] or [`Type::Struct`] of the
    /// variant's name.
    pub content: Type,
}

impl Type {
    /// Whether values of the type may hold what only programs can read, such as a sender.
    pub fn has_opaque(&self) -> bool {
        match self {
            Self::Opaque(_) => true,
            Self::Option(inner)
            | Self::Seq(inner)
            | Self::Array(inner, _)
            | Self::Newtype(_, inner) => inner.has_opaque(),
            Self::Map(key, value) => key.has_opaque() || value.has_opaque(),
            Self::Tuple(parts) | Self::TupleStruct(_, parts) => parts.iter().any(Self::has_opaque),
            Self::Struct(_, fields) => fields.iter().any(|field| field.ty.has_opaque()),
            Self::Enum(_, variants) => variants.iter().any(|one| one.content.has_opaque()),
            _ => false,
        }
    }
}

/// Writes the type as a Rust programmer would.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scalar = match self {
            Self::Unit => "()",
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::Str => "String",
            Self::Bytes => "Blob",
            Self::Option(inner) => return write!(f, "Option<{inner}>"),
            Self::Seq(inner) => return write!(f, "Vec<{inner}>"),
            Self::Map(key, value) => return write!(f, "Map<{key}, {value}>"),
            Self::Array(inner, len) => return write!(f, "[{inner}; {len}]"),
            Self::Tuple(parts) => {
                f.write_str("(")?;
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{part}")?;
                }
                return f.write_str(if parts.len() == 1 { ",)" } else { ")" });
            }
            Self::Newtype(name, inner) if self.known() == Some(Known::Collection) => match &**inner
            {
                Self::Seq(item) => return write!(f, "{name}<{item}>"),
                _ => name,
            },
            Self::TupleStruct(name, parts) if self.known() == Some(Known::Sender) => {
                match parts.last() {
                    Some(Self::Array(item, _)) => return write!(f, "{name}<{item}>"),
                    _ => name,
                }
            }
            Self::Newtype(name, _)
            | Self::TupleStruct(name, _)
            | Self::Struct(name, _)
            | Self::Enum(name, _)
            | Self::Opaque(name)
            | Self::Recursive(name) => name,
        };
        f.write_str(scalar)
    }
}

macro_rules! scalars {
    ($($ty:ty => $shape:ident),* $(,)?) => {
        $(impl Schema for $ty { const SHAPE: Shape = Shape::$shape; })*
    };
}

scalars! {
    () => Unit, bool => Bool, char => Char, str => Str, String => Str,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128, isize => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128, usize => U64,
    f32 => F32, f64 => F64,
}

macro_rules! transparent {
    ($([$($generics:tt)*] $ty:ty),* $(,)?) => {
        $(impl<$($generics)*> Schema for $ty { const SHAPE: Shape = T::SHAPE; })*
    };
}

transparent! {
    [T: Schema + ?Sized] &T,
    [T: Schema + ?Sized] Box<T>,
    [T: Schema + ?Sized] Rc<T>,
    [T: Schema + ?Sized] Arc<T>,
    [T: Schema] Wrapping<T>,
    [T: Schema] Reverse<T>,
    [T: Schema + alloc::borrow::ToOwned + ?Sized] Cow<'_, T>,
}

macro_rules! sequences {
    ($([$($generics:tt)*] $ty:ty),* $(,)?) => {
        $(impl<$($generics)*> Schema for $ty { const SHAPE: Shape = Shape::Seq(&T::SHAPE); })*
    };
}

sequences! {
    [T: Schema] [T],
    [T: Schema] Vec<T>,
}

macro_rules! collections {
    ($($name:ident),*) => {
        $(impl<T: Schema> Schema for $name<T> {
            const SHAPE: Shape = Shape::Newtype(stringify!($name), &Shape::Seq(&T::SHAPE));
        })*
    };
}

collections! { VecDeque, BTreeSet, BinaryHeap, LinkedList }

impl<T: Schema> Schema for Option<T> {
    const SHAPE: Shape = Shape::Option(&T::SHAPE);
}

impl<K: Schema, V: Schema> Schema for BTreeMap<K, V> {
    const SHAPE: Shape = Shape::Map(&K::SHAPE, &V::SHAPE);
}

impl<T: Schema, E: Schema> Schema for Result<T, E> {
    const SHAPE: Shape = Shape::Enum(
        "Result",
        &[
            Variant {
                name: "Ok",
                shape: VariantShape::Newtype(&T::SHAPE),
            },
            Variant {
                name: "Err",
                shape: VariantShape::Newtype(&E::SHAPE),
            },
        ],
    );
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    const SHAPE: Shape = Shape::Array(&T::SHAPE, N as u32);
}

macro_rules! tuples {
    ($(($($name:ident)+))*) => {
        $(impl<$($name: Schema),+> Schema for ($($name,)+) {
            const SHAPE: Shape = Shape::Tuple(&[$($name::SHAPE),+]);
        })*
    };
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F)
    (A B C D E F G) (A B C D E F G H)
}
