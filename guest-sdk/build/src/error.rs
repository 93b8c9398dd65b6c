//! Why there is no module.

use std::io;
use std::path::PathBuf;

use offshoot_abi::InvalidModule;

/// Why a plugin could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The path leads to no crate.
    #[error("no plugin crate at {}: there is no Cargo.toml", path.display())]
    NoCrate {
        /// Where one was looked for.
        path: PathBuf,
    },

    /// The path leads to a crate that is not a plugin.
    #[error(
        "package `{package}` is not a plugin: its Cargo.toml needs `[lib]` with \
         `crate-type = [\"cdylib\", \"rlib\"]`"
    )]
    NotAPlugin {
        /// The package's name.
        package: String,
    },

    /// No installed toolchain can compile for the target.
    #[error("no toolchain can compile plugins:\n{}\n{REMEDY}", list(tried))]
    NoToolchain {
        /// What was looked at, and what is missing there.
        tried: Vec<String>,
    },

    /// `OFFSHOOT_GUEST_TOOLCHAIN` names no kind of toolchain.
    #[error("OFFSHOOT_GUEST_TOOLCHAIN is `{value}`: write `rustup`, `system` or `build-std`")]
    UnknownToolchain {
        /// Its value.
        value: String,
    },

    /// A program of the toolchain could not be started.
    #[error("could not start {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// Cargo cannot read the crate.
    #[error("cargo cannot read {}:\n{output}", manifest.display())]
    Metadata {
        /// The crate's manifest.
        manifest: PathBuf,
        /// All that cargo printed.
        output: String,
    },

    /// The crate does not compile.
    #[error("plugin `{package}` does not compile:\n{output}")]
    Compile {
        /// The package's name.
        package: String,
        /// All that cargo printed.
        output: String,
    },

    /// The module could not be read back.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// The module is one that no host would run.
    #[error("{} is not a plugin", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidModule,
    },
}

const REMEDY: &str = "\
install one of these:
  rustup target add wasm32-wasip1
  apt-get install rustc cargo libstd-rust-dev-wasm32 lld    (where that is 1.95 or newer)
  apt-get install rustc-web cargo-web rust-web-src wasi-libc lld    (Debian 12)";

fn list(tried: &[String]) -> String {
    let lines: Vec<_> = tried.iter().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_toolchain_it_says_what_was_tried_and_what_to_install() {
        let error = BuildError::NoToolchain {
            tried: vec!["rustup: no".to_owned(), "system: no".to_owned()],
        };
        let text = error.to_string();
        let start = "no toolchain can compile plugins:\n  rustup: no\n  system: no\ninstall one";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("rustup target add wasm32-wasip1"), "{text}");
    }
}
