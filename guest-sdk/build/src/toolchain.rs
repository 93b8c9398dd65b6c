//! Finds a compiler for WebAssembly.
//!
//! Three kinds are tried, cheapest first: the active toolchain with the target added, which is
//! what rustup gives; the distribution's compiler with the target packaged; and a compiler with
//! the standard library's source, which is then compiled along with the plugin.

mod build_std;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TARGET;
use crate::environment::outer;
use crate::error::BuildError;

/// Where distributions put their compiler, whatever the path says.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_CARGO: &str = "/usr/bin/cargo";

/// The oldest compiler that can build the SDK.
const OLDEST: (u32, u32) = (1, 95);

/// A compiler for [`TARGET`], and how to run it.
#[derive(Debug, PartialEq)]
pub(crate) struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// For `cargo build`.
    pub(crate) arguments: Vec<String>,
    /// For the compiler, when it compiles for the target.
    pub(crate) flags: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Toolchain {
    /// Finds one for a crate in `directory`, which may choose its own by rustup's means.
    pub(crate) fn find(directory: &Path) -> Result<Self, BuildError> {
        type Finder = fn(&Path) -> Result<Toolchain, String>;
        const ALL: [(&str, Finder); 3] = [
            ("rustup", active),
            ("system", system),
            ("build-std", build_std::find),
        ];
        let forced = env::var("OFFSHOOT_GUEST_TOOLCHAIN").ok();
        let forced = forced.filter(|value| !value.is_empty());
        if let Some(value) = &forced
            && !ALL.iter().any(|(name, _)| name == value)
        {
            return Err(BuildError::UnknownToolchain {
                value: value.clone(),
            });
        }
        let mut tried = Vec::new();
        for (name, find) in ALL {
            if forced.as_ref().is_some_and(|forced| forced != name) {
                continue;
            }
            match find(directory) {
                Ok(toolchain) => return Ok(toolchain),
                Err(reason) => tried.push(format!("{name}: {reason}")),
            }
        }
        Err(BuildError::NoToolchain { tried })
    }

    /// A cargo that uses this toolchain.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.env("RUSTC", &self.rustc);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn plain(cargo: PathBuf, rustc: PathBuf) -> Self {
        Self {
            cargo,
            rustc,
            arguments: Vec::new(),
            flags: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// The toolchain that plain `cargo` means here, or that of the build around this one.
fn active(directory: &Path) -> Result<Toolchain, String> {
    let (cargo, rustc) = active_programs();
    check_version(&rustc, directory)?;
    check_target(&rustc, directory)?;
    Ok(Toolchain::plain(cargo, rustc))
}

fn active_programs() -> (PathBuf, PathBuf) {
    (outer("CARGO", "cargo"), outer("RUSTC", "rustc"))
}

/// The distribution's.
fn system(directory: &Path) -> Result<Toolchain, String> {
    let (cargo, rustc) = system_programs()?;
    check_version(&rustc, directory)?;
    check_target(&rustc, directory)?;
    Ok(Toolchain::plain(cargo, rustc))
}

fn system_programs() -> Result<(PathBuf, PathBuf), String> {
    for program in [SYSTEM_RUSTC, SYSTEM_CARGO] {
        if !Path::new(program).is_file() {
            return Err(format!("there is no {program}"));
        }
    }
    Ok((SYSTEM_CARGO.into(), SYSTEM_RUSTC.into()))
}

/// Whether the standard library for the target lies where the compiler looks for it.
fn check_target(rustc: &Path, directory: &Path) -> Result<(), String> {
    let libraries = ask(
        rustc,
        directory,
        &["--print", "target-libdir", "--target", TARGET],
    )?;
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    let found = Path::new(&libraries)
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_str().is_some_and(is_std));
    match found {
        true => Ok(()),
        false => Err(format!(
            "{} has no standard library for {TARGET}",
            rustc.display()
        )),
    }
}

fn check_version(rustc: &Path, directory: &Path) -> Result<(), String> {
    let line = ask(rustc, directory, &["--version"])?;
    match version(&line) {
        Some(version) if version >= OLDEST => Ok(()),
        _ => Err(format!(
            "{} is `{line}`, older than {}.{}",
            rustc.display(),
            OLDEST.0,
            OLDEST.1
        )),
    }
}

/// Reads `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.strip_prefix("rustc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The first line that a compiler answers.
fn ask(rustc: &Path, directory: &Path, question: &[&str]) -> Result<String, String> {
    let output = Command::new(rustc)
        .args(question)
        .current_dir(directory)
        .output()
        .map_err(|error| format!("could not start {}: {error}", rustc.display()))?;
    let text = match output.status.success() {
        true => &output.stdout,
        false => &output.stderr,
    };
    let text = String::from_utf8_lossy(text);
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    match output.status.success() {
        true => Ok(line),
        false => Err(format!("{} says: {line}", rustc.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_channels_are_read() {
        for (line, want) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", Some((1, 95))),
            ("rustc 1.97.0-nightly (abc 2026-05-01)", Some((1, 97))),
            ("rustc 2.0.0", Some((2, 0))),
            ("gcc 12.2", None),
            ("", None),
        ] {
            assert_eq!(version(line), want, "{line}");
        }
    }

    #[test]
    fn a_compiler_that_is_not_there_is_named() {
        let error = check_target(Path::new("/no/rustc"), Path::new("/")).unwrap_err();
        assert!(error.starts_with("could not start /no/rustc"), "{error}");
    }
}
