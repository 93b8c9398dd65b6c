//! Why a plugin cannot be used.

use std::fmt;
use std::path::PathBuf;

use offshoot_abi::InvalidModule;

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file cannot be read.
    #[error("cannot read plugin `{}`: {source}", path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The module is not a plugin that this host runs.
    #[error("`{name}` is not a usable plugin: {source}")]
    Invalid {
        /// The file or the plugin's name.
        name: String,
        /// What is wrong with it.
        source: InvalidModule,
    },
    /// No plugin of that name is registered or found.
    #[error(
        "unknown plugin `{name}`: it is not registered, and no `{name}.wasm` is in {}",
        Places(searched)
    )]
    Unknown {
        /// The name.
        name: String,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// It was found by looking around, where another user could have put it.
    #[error(
        "plugin `{}` is not taken: {reason}; open it by its path if it is to be trusted",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Which directory or file it is about, and what is wrong with it.
        reason: String,
    },
    /// The plugin has no such function.
    #[error("plugin `{plugin}` has no function `{function}`; it has {}", known.join(", "))]
    UnknownFunction {
        /// The plugin.
        plugin: String,
        /// The function.
        function: String,
        /// The functions that it has.
        known: Vec<String>,
    },
    /// The caller was compiled with another version of the function.
    #[error(
        "`{plugin}::{function}` takes or returns other types than the caller was compiled with; \
         the plugin's are `{found}`: rebuild the caller or the plugin"
    )]
    Signature {
        /// The plugin.
        plugin: String,
        /// The function.
        function: String,
        /// The signature in the plugin.
        found: String,
    },
    /// The module could not be compiled.
    #[error("cannot compile plugin `{name}`: {reason}")]
    Compile {
        /// Its name.
        name: String,
        /// What the compiler says.
        reason: String,
    },
    /// A value could not be put on the wire.
    #[error("cannot encode the arguments of `{function}`: {reason}")]
    Encode {
        /// `plugin::function`.
        function: String,
        /// What serde says.
        reason: String,
    },
    /// A value could not be read.
    #[error("cannot decode the result of `{function}`: {reason}")]
    Decode {
        /// `plugin::function`.
        function: String,
        /// What serde says.
        reason: String,
    },
}

/// Directories in a sentence.
struct Places<'a>(&'a [PathBuf]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the search path, which is empty: set OFFSHOOT_PLUGIN_PATH");
        }
        for (index, place) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "`{}`", place.display())?;
        }
        Ok(())
    }
}
