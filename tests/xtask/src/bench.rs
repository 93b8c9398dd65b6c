//! Builds the benchmarks and their peers, and runs them.

use std::process::Command;

use anyhow::Result;

use crate::command::{run, step};
use crate::workspace::{cargo_here, root, target_directory};
use crate::{python, setup};

pub(crate) const HELP: &str = "\
Measures Offshoot beside Mitogen and beside what the machine allows, in one run, taking turns
sample by sample so that a machine that slows down slows all of them. Prints one table.

Usage: cargo xtask bench [--json FILE] [--rounds N] [--one-core] [FILTER]

  --json FILE   also write one JSON object per row
  --rounds N    samples per row and side (default 30)
  --one-core    keep all processes on one core. Without it the kernel decides, and a message
                between two cores costs about ten times one that stays on its core: run the rows
                of small calls both ways before reading anything into their ratios
  FILTER        only the row of that name, or else those whose names contain it

Mitogen comes from PyPI into a virtual environment under the target directory.";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    setup::prepare()?;
    setup::python()?;
    let bin = step("Mitogen", || python::environment("bench"))?;
    let peer = step("building the harness and its peers", build)?;
    let mut bench = Command::new(target_directory()?.join("release/bench"));
    bench.arg("--python").arg(bin.join("python"));
    bench.arg("--peer").arg(peer);
    for plugin in ["plugin", "stream"] {
        let crate_of_it = root()?.join("tests/bench").join(plugin);
        bench.arg(format!("--{plugin}")).arg(crate_of_it);
    }
    run(bench.args(arguments))
}

/// Builds the harness and the static peer that stands for the machine's limit.
fn build() -> Result<std::path::PathBuf> {
    let mut harness = cargo_here()?;
    run(harness.args(["build", "--release", "--package", "bench"]))?;
    let mut peer = cargo_here()?;
    peer.args(["rustc", "--release", "--package", "bench-peer"]);
    run(peer.args([
        "--",
        "-Ctarget-feature=+crt-static",
        "-Crelocation-model=static",
    ]))?;
    Ok(target_directory()?.join("release/bench-peer"))
}
