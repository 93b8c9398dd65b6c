//! Machines to try things on by hand.

use anyhow::{Result, bail};

use crate::command::{cargo, run};
use crate::setup;

pub(crate) const HELP: &str = "\
Makes machines with a real sshd, sudo, su and doas, and opens a shell that knows them as `web1`,
`web2`, ...: to try `offshoot call ssh:web1/sudo ...` without machines of your own. They are gone
at the shell's end.

Usage: cargo xtask machines [NUMBER [COMMAND ...]]

  NUMBER   how many (default 1)
  COMMAND  run this instead of a shell; `$HOSTS` is an inventory of them

They are namespaces on this machine with a disk in memory, and leave nothing behind. It needs
root, and installs the same packages as `cargo xtask test`.";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    if let Some(number) = arguments.first()
        && number.parse::<u8>().is_err()
    {
        bail!("`{number}` is no number of machines; see `cargo xtask machines --help`");
    }
    setup::machines()?;
    run(cargo()
        .args(["run", "--quiet", "--package", "offshoot-bed"])
        .args(["--example", "machines", "--"])
        .args(arguments))
}
