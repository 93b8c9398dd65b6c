//! Builds what the tests run, then runs all of them.

use anyhow::Result;

use crate::command::{cargo, run, step, succeeds};
use crate::workspace::cargo_here;
use crate::{artifacts, child, setup};

pub(crate) const HELP: &str = "\
Builds what the tests run (the command, its child, a child for another kind of machine, which
runs under an emulator, and sudo-rs) and runs every test of the workspace: unit, end-to-end,
compile-fail, the rules of `tidy`, and, without a filter, the examples in the documentation.

Usage: cargo xtask test [FILTER] [RUNNER OPTIONS]

  FILTER    only tests whose name contains it
  OPTIONS   passed on to the runner: cargo nextest where it is installed, else cargo test

The last line is the runner's own summary.";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    setup::prepare()?;
    setup::machines()?;
    step("building the command and its child", || {
        artifacts::cli(artifacts::Profile::Dev)
    })?;
    child::for_tests()?;
    artifacts::sudo_rs()?;
    // First, so that the summary of the tests proper is the last line.
    if arguments.is_empty() {
        step("documentation examples", || {
            // `--doc` runs those of a crate that has `doctest = false`, too: files of the product
            // that are compiled again.
            run(cargo_here()?
                .args(["test", "--workspace", "--exclude", "interleavings"])
                .arg("--doc"))
        })?;
    }
    let mut tests = if succeeds(cargo().args(["nextest", "--version"])) {
        let mut nextest = cargo_here()?;
        nextest.args(["nextest", "run", "--workspace"]);
        if !arguments.iter().any(|it| it.starts_with("--test-threads")) {
            nextest.arg(format!("--test-threads={}", threads()));
        }
        nextest
    } else {
        let mut test = cargo_here()?;
        test.args(["test", "--workspace", "--all-targets"]);
        test
    };
    run(tests.args(arguments))
}

/// Tests that run at once: two for each core, since most of them wait for servers, for the pauses
/// after a wrong password or for a silence to be noticed.
fn threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}
