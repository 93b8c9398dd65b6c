//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

use offshoot_text::{HopError, NameError};

use super::tokens::ExpandError;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1 on.
    pub line: usize,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A line makes no sense.
    #[error("{}, line {}: {problem}", location.file.display(), location.line)]
    Line {
        /// Where it is.
        location: SourceLocation,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could have written a file.
    #[error("{}: others may write to it, or own it; make it yours and run `chmod go-w` on it", file.display())]
    Permissions {
        /// The file.
        file: PathBuf,
    },
    /// A value cannot be expanded.
    #[error("{directive} `{value}`: {source}")]
    Expand {
        /// The directive.
        directive: &'static str,
        /// Its value.
        value: String,
        /// Why.
        source: ExpandError,
    },
    /// The name of a host or a user is refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// `ProxyJump`, once its tokens are replaced, names no machines.
    #[error("ProxyJump {0}")]
    Jump(HopError),
    /// Nothing can be chosen from a list of algorithms.
    #[error(
        "{directive} `{value}` names nothing that the in-process client can do; set `ssh_path` to use the system's client"
    )]
    Algorithms {
        /// The directive.
        directive: &'static str,
        /// Its value.
        value: String,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Not even OpenSSH knows it.
    #[error("unknown directive `{0}`")]
    Unknown(String),
    /// The value is missing.
    #[error("`{0}` has no value")]
    NoValue(String),
    /// There are more values than it takes.
    #[error("`{0}` has too many values")]
    TooMany(String),
    /// The value is not one.
    #[error("`{directive} {value}`: expected {expected}")]
    Value {
        /// The directive.
        directive: String,
        /// Its value.
        value: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// `ProxyJump` names no machines.
    #[error("`proxyjump`: {0}")]
    Jump(HopError),
    /// A quote is open at the end of the line.
    #[error("a quote is not closed")]
    Quote,
    /// A `Match` that makes no sense.
    #[error("`Match`: {0}")]
    Match(String),
    /// Files include each other.
    #[error("files include each other more than {0} deep")]
    Depth(usize),
    /// More, or larger, files than any configuration has.
    #[error("the configuration is too large")]
    Size,
}
