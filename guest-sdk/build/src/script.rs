//! For build scripts of programs that carry plugins.

use std::fs;
use std::path::{Path, PathBuf};

use crate::builder::{Artifact, Build};
use crate::error::BuildError;

/// Compiles the plugin crate at `path` and hands it to the crate whose build script calls this:
/// for a plugin `facts`, `env!("OFFSHOOT_PLUGIN_FACTS")` is the module's path.
///
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), offshoot_build::BuildError> {
///     offshoot_build::plugin("../plugins/facts")?;
///     Ok(())
/// }
/// ```
///
/// A relative path starts at the crate's directory, where cargo runs build scripts.
///
/// # Errors
///
/// Fails as [`Build::build`] does.
pub fn plugin(path: impl AsRef<Path>) -> Result<Artifact, BuildError> {
    let path = path.as_ref();
    // Printed before the build, so that a failed one is tried again after a repair.
    for part in ["Cargo.toml", "src"] {
        println!("cargo::rerun-if-changed={}", path.join(part).display());
    }
    for variable in ["OFFSHOOT_GUEST_TOOLCHAIN", "OFFSHOOT_TARGET_DIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let artifact = Build::new(path).build()?;
    for source in sources(&artifact.wasm) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let name = variable(&artifact.inspection.manifest.plugin);
    println!("cargo::rustc-env={name}={}", artifact.wasm.display());
    Ok(artifact)
}

/// The variable for a plugin's module.
fn variable(plugin: &str) -> String {
    format!(
        "OFFSHOOT_PLUGIN_{}",
        plugin.to_uppercase().replace('-', "_")
    )
}

/// All local files that the module was compiled from, as cargo lists them beside it: those of
/// crates that the plugin shares with others are among them.
fn sources(wasm: &Path) -> Vec<PathBuf> {
    let listed = fs::read_to_string(wasm.with_extension("d")).unwrap_or_default();
    parse_sources(&listed)
}

/// Reads the makefile rule `MODULE: FILE FILE...`, in which spaces of names are escaped.
fn parse_sources(rule: &str) -> Vec<PathBuf> {
    const SPACE: char = '\0';
    let Some((_, files)) = rule.split_once(": ") else {
        return Vec::new();
    };
    files
        .replace("\\ ", &SPACE.to_string())
        .split_whitespace()
        .map(|file| file.replace(SPACE, " ").into())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_name_becomes_a_variable() {
        assert_eq!(variable("disk-usage"), "OFFSHOOT_PLUGIN_DISK_USAGE");
    }

    #[test]
    fn names_with_spaces_stay_whole() {
        let rule = "/t/facts.wasm: /a/src/lib.rs /my\\ code/src/x.rs\n";
        let want = ["/a/src/lib.rs", "/my code/src/x.rs"];
        assert_eq!(parse_sources(rule), want.map(PathBuf::from));
        assert!(parse_sources("").is_empty());
    }
}
