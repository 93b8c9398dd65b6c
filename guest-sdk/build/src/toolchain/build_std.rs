//! A compiler with the standard library's source.
//!
//! For machines that reach only their distribution's packages, and those do not have the target.
//! Building the standard library is an unstable feature of cargo's, which a stable cargo offers
//! when told that it bootstraps the compiler. The C library below it is not part of the source.

use std::env;
use std::path::{Path, PathBuf};

use super::{Toolchain, active_programs, ask, check_version, system_programs};

/// Where distributions put the C library for WASI.
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

pub(super) fn find(directory: &Path) -> Result<Toolchain, String> {
    let mut missing = Vec::new();
    for programs in [system_programs(), Ok(active_programs())] {
        match programs.and_then(|(cargo, rustc)| with(cargo, rustc, directory)) {
            Ok(toolchain) => return Ok(toolchain),
            Err(reason) => missing.push(reason),
        }
    }
    Err(missing.join("; "))
}

fn with(cargo: PathBuf, rustc: PathBuf, directory: &Path) -> Result<Toolchain, String> {
    check_version(&rustc, directory)?;
    let sysroot = PathBuf::from(ask(&rustc, directory, &["--print", "sysroot"])?);
    let source = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml");
    if !source.is_file() {
        return Err(format!(
            "{} has no source of its standard library",
            rustc.display()
        ));
    }
    if !Path::new(WASI_LIBC).join("libc.a").is_file() {
        return Err(format!("there is no {WASI_LIBC}/libc.a"));
    }
    let linker = linker(directory)?;
    let flags = [
        format!("-Clinker={}", linker.display()),
        "-Clink-self-contained=no".to_owned(),
        format!("-L{WASI_LIBC}"),
    ];
    Ok(Toolchain {
        arguments: ["-Z", "build-std=std,panic_abort"]
            .map(str::to_owned)
            .into(),
        flags: flags.into(),
        variables: vec![("RUSTC_BOOTSTRAP", "1".to_owned())],
        ..Toolchain::plain(cargo, rustc)
    })
}

/// LLVM's linker, from any toolchain at hand: its version does not matter.
fn linker(directory: &Path) -> Result<PathBuf, String> {
    let mut places = Vec::new();
    if let Ok(sysroot) = ask(&active_programs().1, directory, &["--print", "sysroot"])
        && let Ok(entries) = Path::new(&sysroot).join("lib/rustlib").read_dir()
    {
        places.extend(entries.flatten().map(|host| host.path().join("bin")));
    }
    if let Some(path) = env::var_os("PATH") {
        places.extend(env::split_paths(&path));
    }
    ["rust-lld", "wasm-ld"]
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)))
        .find(|program| program.is_file())
        .ok_or_else(|| "there is neither `rust-lld` nor `wasm-ld`".to_owned())
}
