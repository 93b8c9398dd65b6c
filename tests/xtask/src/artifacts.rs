//! Builds the `offshoot` command, which builds and carries its child.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::run;
use crate::workspace::{cargo_here, target_directory};

/// How the command is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Dependencies optimised, our own crates not: shared with the tests.
    Dev,
    /// What a user would install, with the small child.
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
