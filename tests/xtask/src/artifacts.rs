//! Builds what tests and demonstrations run: the `offshoot` command, which builds and carries its
//! child, and a program of others.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command::{run, run_within, step};
use crate::setup;
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
    build.args(["build", "--package", "offshoot-cli", "--bin", "offshoot"]);
    build.args(["--profile", profile.name()]);
    run(&mut build)?;
    Ok(target_directory()?
        .join(profile.directory())
        .join("offshoot"))
}

/// Of the other make of sudo, of which Debian 12 has no package.
const SUDO_RS: &str = "=0.2.15";
/// A registry that is out of reach may never answer.
const INSTALL_MAX: Duration = Duration::from_secs(600);

/// Builds sudo-rs and puts it beside the tests, which run it on machines of their own. Where that
/// cannot be, says why and goes on.
pub(crate) fn sudo_rs() -> Result<()> {
    let target = target_directory()?;
    let tools = target.join("tools");
    let built = setup::pam_headers().and_then(|()| {
        step("sudo-rs, for tests", || {
            let mut install = cargo_here()?;
            install.args(["install", "--quiet", "--locked", "--version", SUDO_RS]);
            install.arg("--root").arg(&tools).arg("sudo-rs");
            run_within(&mut install, INSTALL_MAX)
        })
    });
    if let Err(error) = built {
        eprintln!("note: {error:#}; sudo-rs is not tried here");
        return Ok(());
    }
    let beside = target.join("debug/deps");
    fs::create_dir_all(&beside)?;
    fs::copy(tools.join("bin/sudo"), beside.join("sudo-rs")).context("could not copy sudo-rs")?;
    Ok(())
}
