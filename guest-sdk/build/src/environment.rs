//! Keeps a build around this one from reaching into it.
//!
//! Cargo tells build scripts and tests about the build that they are part of by variables, and
//! most of them mean the same to a cargo started from there: flags for the wrong target, a
//! wrapper that only checks, a target directory whose lock is held.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Variables that would change what is compiled, or where to.
const REMOVED: &[&str] = &[
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTDOCFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Condition that the SDK's macros see in every crate of a build of ours.
const BUILD: &str = "offshoot_build";

/// Condition that they see in the plugin itself.
pub(crate) const ROOT: &str = "offshoot_root";

/// Prepares `command`, a cargo, to compile with `flags` and nothing else.
pub(crate) fn isolate(command: &mut Command, flags: &[String]) {
    for name in REMOVED {
        command.env_remove(name);
    }
    let mut flags = flags.to_vec();
    for name in [BUILD, ROOT] {
        flags.push(format!("--check-cfg=cfg({name})"));
    }
    flags.push(format!("--cfg={BUILD}"));
    if let Some(registry) = registry() {
        // Panics name their place. Where the builder keeps dependencies is nobody's business, and
        // would make the same plugin another image on each machine.
        flags.push(format!("--remap-path-prefix={}=", registry.display()));
    }
    // Even without flags: it also overrides what a configuration file says, which is meant for
    // native builds.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR));
}

/// Where cargo unpacks the crates that it downloads.
fn registry() -> Option<PathBuf> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()?.join(".cargo"),
    };
    Some(home.join("registry/src"))
}

/// The program that the build around this one uses, else the one of that name on the path.
pub(crate) fn outer(variable: &str, name: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| name.into(), Into::into)
}
