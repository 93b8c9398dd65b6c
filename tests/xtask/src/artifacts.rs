//! Builds what runs: the `offshoot` command, the lean child it ships, the plugins.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::run;
use crate::workspace::{cargo_here, target_directory};

/// How the controller is built. The child and the plugins are always optimised: they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Dependencies optimised, our own crates not: shared with the tests.
    Dev,
    /// What a user would install.
    Release,
}

impl Profile {
    /// What cargo calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the `offshoot` command and returns its path.
pub(crate) fn cli(profile: Profile) -> Result<PathBuf> {
    let mut build = cargo_here()?;
    build.args(["build", "--package", "offshoot", "--bin", "offshoot"]);
    build.args(["--profile", profile.name()]);
    run(&mut build)?;
    Ok(target_directory()?
        .join(profile.directory())
        .join("offshoot"))
}

/// Builds the static child and returns its path.
///
/// By its own command: cargo unifies features across one, and the child would gain a compiler.
pub(crate) fn child() -> Result<PathBuf> {
    let mut build = cargo_here()?;
    build.args(["rustc", "--package", "offshoot", "--bin", "offshoot-child"]);
    build.args(["--no-default-features", "--profile", "child"]);
    build.args(["--", "-Ctarget-feature=+crt-static"]);
    run(&mut build)?;
    Ok(target_directory()?.join("child/offshoot-child"))
}
