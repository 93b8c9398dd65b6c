//! What CI runs, run here.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::command::run;
use crate::workspace::root;

pub(crate) const HELP: &str = "\
Runs .ci/run as CI does: CI=true, no standard input. It prepares the machine, lints and
tests, says what each step took, and ends with the test runner's summary.

Usage: cargo xtask ci";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    if let [word, ..] = arguments {
        bail!("ci takes no arguments, and got `{word}`");
    }
    let mut script = Command::new("bash");
    script.current_dir(root()?).arg(".ci/run");
    run(script.env("CI", "true").stdin(Stdio::null()))
}
