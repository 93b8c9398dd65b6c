//! Where things are: the workspace, its target directory, its files, its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{cargo, output};

/// The top of the checkout.
pub(crate) fn root() -> Result<PathBuf> {
    // Read when run, not when compiled: a checkout may move, or share its target directory.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("CARGO_MANIFEST_DIR is not set; run this as `cargo xtask`")?;
    let root = Path::new(&here).join("../..");
    root.canonicalize()
        .with_context(|| format!("no workspace at {}", root.display()))
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => std::path::absolute(directory).context("bad CARGO_TARGET_DIR"),
        None => Ok(root()?.join("target")),
    }
}

/// Cargo, at the top of the checkout.
pub(crate) fn cargo_here() -> Result<Command> {
    let mut command = cargo();
    command.current_dir(root()?);
    Ok(command)
}

/// Every file that is or could be committed, relative to `root`.
pub(crate) fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root);
    git.args(["ls-files", "-z", "--cached", "--others"]);
    git.arg("--exclude-standard");
    let listed = output(&mut git).context("could not list the checkout's files")?;
    let mut files: Vec<String> = listed
        .split_terminator('\0')
        // The index still names a file that was deleted and not committed yet.
        .filter(|path| root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// What `cargo metadata` says about the workspace's own packages.
pub(crate) fn metadata(root: &Path) -> Result<Value> {
    let mut command = cargo();
    command.current_dir(root);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    serde_json::from_str(&output(&mut command)?).context("cargo metadata printed no JSON")
}
