//! Why a module was refused.

use std::fmt;
use std::string::{String, ToString};

use super::MODULE_MAX;
use crate::manifest::ManifestError;
use crate::{IMPORT_MODULE, exports};

/// Why a file is not a plugin that a host could run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidModule {
    /// It is larger than [`MODULE_MAX`].
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is a component, not a core module.
    Component,
    /// It is text, perhaps WebAssembly's text format.
    Text,
    /// It is a native program or library.
    Elf,
    /// It is none of what we recognise.
    Foreign,
    /// It ends too early.
    Truncated {
        /// Where the part starts that is not complete.
        offset: usize,
    },
    /// It is not valid, or uses a feature of WebAssembly that hosts do not have.
    Invalid {
        /// Where.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Its manifest is missing or wrong.
    Manifest(ManifestError),
    /// It imports what no host offers.
    UnknownImport {
        /// The import's module.
        module: String,
        /// Its name.
        name: String,
    },
    /// It imports something of ours by a wrong type.
    ImportType {
        /// The import's name.
        name: String,
        /// The type it has.
        found: String,
        /// The type it should have.
        expected: String,
    },
    /// An export that the contract or its own manifest promises is missing.
    MissingExport {
        /// The export's name.
        name: String,
    },
    /// An export has a wrong type.
    ExportType {
        /// The export's name.
        name: String,
        /// The type it has.
        found: String,
        /// The type it should have.
        expected: String,
    },
}

impl From<wasmparser::Error> for InvalidModule {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid {
            offset: error.offset(),
            reason: error.message().to_string(),
        }
    }
}

impl fmt::Display for InvalidModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size } => write!(
                f,
                "the module has {size} bytes, more than the {} MiB that a host takes",
                MODULE_MAX >> 20
            ),
            Self::Component => f.write_str(
                "it is a WebAssembly component, not a core module: build it for `wasm32-wasip1`, \
                 as `offshoot plugin build` does",
            ),
            Self::Text => f.write_str(
                "it is text, not a compiled module: WebAssembly text is turned into one by \
                 `wat2wasm`",
            ),
            Self::Elf => f.write_str(
                "it is a native program or library, not a WebAssembly module: build the plugin \
                 with `offshoot plugin build`",
            ),
            Self::Foreign => f.write_str("it is not a WebAssembly module"),
            Self::Truncated { offset } => write!(
                f,
                "the module is cut off: what starts at byte {offset} is not complete"
            ),
            Self::Invalid { offset, reason } => {
                write!(f, "the module is not valid at byte {offset}: {reason}")
            }
            Self::Manifest(error) => error.fmt(f),
            Self::UnknownImport { module, name } => write!(
                f,
                "the module imports `{module}` `{name}`, which no host offers: there are \
                 `{IMPORT_MODULE}` and WASI preview 1"
            ),
            Self::ImportType {
                name,
                found,
                expected,
            } => write!(
                f,
                "the module imports `{IMPORT_MODULE}` `{name}` as {found}, the host offers \
                 {expected}: rebuild it with a matching `offshoot-guest`"
            ),
            Self::MissingExport { name } => match name.strip_prefix(exports::CALL_PREFIX) {
                Some(function) => write!(
                    f,
                    "the manifest names a function `{function}`, but the module does not export \
                     `{name}`"
                ),
                None => write!(f, "the module does not export `{name}`"),
            },
            Self::ExportType {
                name,
                found,
                expected,
            } => write!(
                f,
                "the module exports `{name}` as {found} instead of {expected}"
            ),
        }
    }
}

impl std::error::Error for InvalidModule {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Manifest(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}
