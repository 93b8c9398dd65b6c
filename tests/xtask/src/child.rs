//! Builds the child for machines of another kind than this one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

#[path = "../../../host/build/child.rs"]
mod recipe;

use crate::command::{cargo, run, step};
use crate::setup::{self, SYSTEM_CARGO, SYSTEM_RUSTC};
use crate::workspace::{root, target_directory};
use recipe::Kind;

pub(crate) const HELP: &str = "\
Builds `offshoot-child` for machines of another kind, so that a controller can bring it along.

Usage: cargo xtask child KIND [--quick]

  KIND      aarch64 or x86_64: what `uname -m` says there
  --quick   the child that is soon built, and not the small one: for tests

It is put beside what cargo builds, as `offshoot-child-KIND-linux`. The `offshoot` command finds it
where it lies beside it; OFFSHOOT_EMBED_OTHER_CHILD=FILE embeds it when the command is built.";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (machine, kind) = match words[..] {
        [machine] => (machine, Kind::Small),
        [machine, "--quick"] | ["--quick", machine] => (machine, Kind::Quick),
        _ => bail!("child takes one kind of machine; see `cargo xtask child --help`"),
    };
    if !matches!(machine, "aarch64" | "x86_64") {
        bail!("there are no children for `{machine}`, only for aarch64 and x86_64");
    }
    setup::cross(machine)?;
    for path in build(machine, kind)? {
        println!("{}", path.display());
    }
    Ok(())
}

/// What is built.
const PROGRAM: &str = "offshoot-child";

/// The kind of machine that tests have one of, beside this one.
pub(crate) const OTHER: &str = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => "x86_64",
    _ => "aarch64",
};

/// Builds the other child for tests, where that can be done.
pub(crate) fn for_tests() -> Result<()> {
    if !setup::can_cross(OTHER)? {
        return Ok(());
    }
    step(format!("building the child for {OTHER}"), || {
        build(OTHER, Kind::Quick).map(drop)
    })
}

/// Builds it, and puts it where programs look for it: beside the command, and beside tests.
fn build(machine: &str, kind: Kind) -> Result<Vec<PathBuf>> {
    let target = target(machine);
    let directory = target_directory()?.join("offshoot-child");
    let cargo = cargo_for(machine, &target);
    run(&mut recipe::build(
        cargo,
        &root()?.join("host/node"),
        PROGRAM,
        &target,
        kind,
        &directory,
    ))?;
    let built = recipe::built(PROGRAM, &target, kind, &directory);
    let profile = match kind {
        Kind::Quick => "debug",
        Kind::Small => "release",
    };
    let beside = target_directory()?.join(profile);
    let places = [beside.clone(), beside.join("deps")];
    places
        .into_iter()
        .map(|place| {
            fs::create_dir_all(&place)?;
            let path = place.join(format!("{PROGRAM}-{machine}-linux"));
            fs::copy(&built, &path)
                .with_context(|| format!("could not copy to {}", path.display()))?;
            Ok(path)
        })
        .collect()
}

pub(crate) fn target(machine: &str) -> String {
    format!("{machine}-unknown-linux-gnu")
}

/// The C compiler that links for such machines, as Debian calls it.
pub(crate) fn c_compiler(machine: &str) -> String {
    format!("{machine}-linux-gnu-gcc")
}

/// A cargo that builds for `target`: the one at hand, or, where that has no standard library for
/// it, the distribution's, which builds one from its source.
fn cargo_for(machine: &str, target: &str) -> Command {
    let mut cargo = if setup::rustc_has_target(target) {
        cargo()
    } else {
        let mut cargo = Command::new(SYSTEM_CARGO);
        // To build the standard library is unstable, but for whoever bootstraps the compiler.
        cargo
            .env("RUSTC", SYSTEM_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["-Z", "build-std=std,panic_abort"]);
        cargo
    };
    if machine != std::env::consts::ARCH {
        let name = target.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{name}_LINKER"), c_compiler(machine));
    }
    cargo
}
