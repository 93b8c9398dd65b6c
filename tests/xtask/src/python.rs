//! Tools and peers that come as Python packages, in virtual environments of our own.
//!
//! Every version is pinned by hash in `tests/xtask/requirements`, and nothing is installed
//! outside the target directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command::{run_within, succeeds};
use crate::workspace::{root, target_directory};

/// A few small packages; a registry that does not answer must not hold CI up.
const INSTALL_MAX: Duration = Duration::from_secs(180);

/// Whether this machine's Python can make virtual environments.
pub(crate) fn usable() -> bool {
    succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]))
}

/// The `bin` directory of an environment that holds `tests/xtask/requirements/NAME.txt`.
///
/// It is made when it is missing or when the requirements have changed since.
pub(crate) fn environment(name: &str) -> Result<PathBuf> {
    let requirements = root()?.join(format!("tests/xtask/requirements/{name}.txt"));
    let wanted = fs::read(&requirements)
        .with_context(|| format!("could not read {}", requirements.display()))?;
    let directory = target_directory()?.join("venv").join(name);
    let stamp = directory.join("installed.txt");
    if !fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&directory);
        run_within(&mut make, INSTALL_MAX)?;
        let mut install = Command::new(directory.join("bin/python"));
        install.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
        install.args(["--disable-pip-version-check", "--require-hashes", "-r"]);
        install.arg(&requirements);
        run_within(&mut install, INSTALL_MAX)?;
        fs::write(&stamp, wanted)
            .with_context(|| format!("could not write {}", stamp.display()))?;
    }
    Ok(directory.join("bin"))
}
