//! What can be wrong with a value, and where.

use std::fmt;

use super::path::Path;

/// A value that does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The place, such as `args[1].mounts[0].name`.
    pub path: String,
    /// What is wrong there.
    pub kind: Box<JsonErrorKind>,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// A function takes another number of arguments.
    #[error("expected {}, found {found}", arguments(*.min, *.max))]
    Count {
        /// How many it takes at least.
        min: usize,
        /// How many it takes at most.
        max: usize,
        /// How many were given.
        found: usize,
    },
    /// The text is no JSON, and a string is not wanted here.
    #[error("expected {expected} as JSON, found `{found}`: {reason}")]
    Syntax {
        /// The type that is wanted.
        expected: String,
        /// The text, shortened.
        found: String,
        /// What the JSON parser says.
        reason: String,
    },
    /// The value is of another kind.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// The type that is wanted.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A struct has no such field.
    #[error("`{owner}` has no field `{name}`{}; its fields are {}", guess(.near), list(.known))]
    UnknownField {
        /// The struct.
        owner: String,
        /// The field that was given.
        name: String,
        /// Fields that may have been meant, best first.
        near: Vec<String>,
        /// All its fields.
        known: Vec<String>,
    },
    /// A field is not there, and is no `Option`.
    #[error("`{owner}` needs the field `{name}: {ty}`")]
    MissingField {
        /// The struct.
        owner: String,
        /// The field.
        name: String,
        /// The field's type.
        ty: String,
    },
    /// An enum has no such variant.
    #[error("`{owner}` has no variant `{name}`{}; its variants are {}", guess(.near), list(.known))]
    UnknownVariant {
        /// The enum.
        owner: String,
        /// The variant that was given.
        name: String,
        /// Variants that may have been meant, best first.
        near: Vec<String>,
        /// All its variants.
        known: Vec<String>,
    },
    /// The type has no schema.
    #[error(
        "`{0}` has no schema, so no JSON stands for it: mark a type of the plugin's own with \
         `#[data]`, give one of another crate as text or in a type of its own, or call from a program"
    )]
    Opaque(String),
    /// The bytes are not what the schema says.
    #[error("the bytes are no {expected}: {reason}")]
    Malformed {
        /// The type that the schema names.
        expected: String,
        /// What is wrong with the bytes.
        reason: &'static str,
    },
    /// Bytes are left over when the value is complete.
    #[error("{0} bytes are left over after the value")]
    Trailing(usize),
    /// The value would take too much memory as JSON.
    #[error(
        "the value takes more than {0} MiB as JSON: return large data as `Blob`, or less of it"
    )]
    TooLarge(usize),
    /// The type is nested too deeply.
    #[error("the type is nested more than {0} deep")]
    TooDeep(usize),
}

impl JsonErrorKind {
    pub(super) fn at(self, path: &Path<'_>) -> JsonError {
        JsonError {
            path: path.to_string(),
            kind: Box::new(self),
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            JsonErrorKind::Count { .. } => write!(f, "{}", self.kind),
            kind => write!(f, "{}: {kind}", self.path),
        }
    }
}

impl std::error::Error for JsonError {}

fn arguments(min: usize, max: usize) -> String {
    match (min, max) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (min, max) if min == max => format!("{max} arguments"),
        (min, max) => format!("{min} to {max} arguments"),
    }
}

fn guess(near: &[String]) -> String {
    match near.first() {
        Some(first) => format!(" (did you mean `{first}`?)"),
        None => String::new(),
    }
}

/// Names in one message at most.
const LISTED_MAX: usize = 20;

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut listed: Vec<String> = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > LISTED_MAX {
        listed.push(format!("and {} more", names.len() - LISTED_MAX));
    }
    listed.join(", ")
}
