//! Schemas of types that only `std` has.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::schema::{Field, Schema, Shape};

impl<K: Schema, V: Schema, S> Schema for HashMap<K, V, S> {
    const SHAPE: Shape = Shape::Map(&K::SHAPE, &V::SHAPE);
}

impl<T: Schema, S> Schema for HashSet<T, S> {
    const SHAPE: Shape = Shape::Newtype("HashSet", &Shape::Seq(&T::SHAPE));
}

/// Serde writes paths as text and refuses those that are not UTF-8.
impl Schema for Path {
    const SHAPE: Shape = PathBuf::SHAPE;
}

impl Schema for PathBuf {
    const SHAPE: Shape = Shape::Newtype("PathBuf", &Shape::Str);
}

impl Schema for SystemTime {
    const SHAPE: Shape = Shape::Struct(
        "SystemTime",
        &[
            Field {
                name: "secs_since_epoch",
                shape: Shape::U64,
            },
            Field {
                name: "nanos_since_epoch",
                shape: Shape::U32,
            },
        ],
    );
}
