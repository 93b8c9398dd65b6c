//! What a plugin may be allowed to touch.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A capability given to a plugin. Nothing is granted by default.
///
/// The text form is what the command line takes and what errors print: `read:/etc`,
/// `write:/var/tmp`, `env:LANG`, `router`. The plugin sees a granted path under its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grant {
    /// Read the directory and all below it. Given for a single file, just that file's directory
    /// entry could not be told apart from its neighbours, so directories only.
    Read(String),
    /// Read and write the directory and all below it.
    Write(String),
    /// See one environment variable of the context's process.
    Env(String),
    /// Make contexts, call functions in them, send and receive.
    Router,
}

/// Text form of [`Grant::Router`].
const ROUTER: &str = "router";

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read:{path}"),
            Self::Write(path) => write!(f, "write:{path}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Router => f.write_str(ROUTER),
        }
    }
}

/// Text that is not a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseGrantError(String);

impl fmt::Display for ParseGrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a grant: write `read:/DIR`, `write:/DIR`, `env:NAME` or `router`",
            self.0
        )
    }
}

impl core::error::Error for ParseGrantError {}

impl FromStr for Grant {
    type Err = ParseGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseGrantError(text.to_owned());
        if text == ROUTER {
            return Ok(Self::Router);
        }
        let (kind, what) = text.split_once(':').ok_or_else(refused)?;
        match kind {
            "read" if what.starts_with('/') => Ok(Self::Read(what.to_owned())),
            "write" if what.starts_with('/') => Ok(Self::Write(what.to_owned())),
            "env" if !what.is_empty() && !what.contains(['=', '\0']) => {
                Ok(Self::Env(what.to_owned()))
            }
            _ => Err(refused()),
        }
    }
}

/// A grant that a plugin says it needs, and what for. A wish is not a right: the caller decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The grant.
    pub grant: Grant,
    /// Why, in the plugin's words.
    pub reason: String,
}
