//! Shows what the project is for, on this machine, in one command.

use anyhow::{Result, bail};

pub(crate) const HELP: &str = "\
Builds the `offshoot` command, its static child and two plugins, then runs both plugins in
child processes: `facts`, in eight children at once, and `digest`, over a real tree of files.

Usage: cargo xtask demo";

pub(crate) fn main(_: &[String]) -> Result<()> {
    bail!("the command that this shows does not exist yet")
}
