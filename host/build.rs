//! Builds the programs that the library carries: its child, and an ssh client.

#[path = "build/child.rs"]
mod child;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use object::{Object as _, ObjectSection as _};
use sha2::{Digest as _, Sha256};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/child.rs");
    embed_child();
    embed_ssh();
}

/// Where a package is that is built into a program of its own, and has its sources watched.
fn package(name: &str, sources: &[&str]) -> PathBuf {
    let variable = format!("DEP_{name}_PACKAGE");
    let package = PathBuf::from(env::var_os(variable).expect("its build script says so"));
    let mut files = Vec::new();
    for directory in sources {
        collect(&package.join(directory), &mut files);
    }
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    package
}

/// Says where the children are that `embedded.rs` includes.
fn embed_child() {
    let sources = [
        "src",
        "../wasm/src",
        "../proto/src",
        "../text/src",
        "../limiter/src",
        "../../guest-sdk/abi/src",
    ];
    let package = package("OFFSHOOT_NODE", &sources);
    let plain = given("OFFSHOOT_EMBED_CHILD");
    let plain = plain.unwrap_or_else(|| built(&package, "offshoot-child"));
    embed("OFFSHOOT_EMBEDDED_CHILD_SHA256", &Sha256::digest(&plain));
    embed("OFFSHOOT_EMBEDDED_CHILD_GZIP", &packed(&plain));
    embed("OFFSHOOT_EMBEDDED_CHILD", &plain);
    embed_other_child();
}

/// The child for the other kind of machine, if whoever builds this has one.
fn embed_other_child() {
    let other = given("OFFSHOOT_EMBED_OTHER_CHILD").unwrap_or_default();
    let size = u64::try_from(other.len()).expect("a size");
    embed("OFFSHOOT_EMBEDDED_OTHER_SIZE", &size.to_le_bytes());
    embed("OFFSHOOT_EMBEDDED_OTHER_SHA256", &Sha256::digest(&other));
    // It is only ever sent.
    embed("OFFSHOOT_EMBEDDED_OTHER_GZIP", &packed(&other));
}

/// The same for the ssh client that is sent to machines without one.
fn embed_ssh() {
    let package = package(
        "OFFSHOOT_SSH_HELPER",
        &[
            "src",
            "../ssh/src",
            "../proto/src",
            "../text/src",
            "../limiter/src",
        ],
    );
    let plain = given("OFFSHOOT_EMBED_CLIENT");
    // Whoever brings a child of his own builds nothing here.
    let plain = plain.or_else(|| env::var_os("OFFSHOOT_EMBED_CHILD").map(|_| Vec::new()));
    let plain = plain.unwrap_or_else(|| built(&package, "offshoot-ssh"));
    let packed = if plain.is_empty() {
        plain
    } else {
        packed(&plain)
    };
    embed("OFFSHOOT_EMBEDDED_CLIENT_GZIP", &packed);
}

/// The program that a variable names, for whoever builds it in another place, or wants to embed
/// none: an empty file.
fn given(variable: &str) -> Option<Vec<u8>> {
    println!("cargo::rerun-if-env-changed={variable}");
    let path = PathBuf::from(env::var_os(variable)?);
    println!("cargo::rerun-if-changed={}", path.display());
    Some(read(&path))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// A program of ours, without the tables by which a debugger or a panic walks its stack: a tenth of
/// what is sent. It ends where it panics, and WebAssembly's frames are walked without them.
fn built(package: &Path, program: &str) -> Vec<u8> {
    let mut bytes = read(&build_program(package, program));
    let file = object::File::parse(&*bytes).expect("the linker made it");
    let tables = [".eh_frame", ".eh_frame_hdr", ".gcc_except_table"];
    let sections = tables.map(|name| file.section_by_name(name)?.file_range());
    for (start, length) in sections.into_iter().flatten() {
        let (start, length) = (start as usize, length as usize);
        // Zeros say that there are none, and take no room once they are packed.
        bytes[start..start + length].fill(0);
    }
    bytes
}

fn packed(plain: &[u8]) -> Vec<u8> {
    // Best takes seconds, which only a release is worth.
    let level = match env::var("OPT_LEVEL").as_deref() {
        Ok("0" | "1") => Compression::fast(),
        _ => Compression::best(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).expect("it goes into memory");
    encoder.finish().expect("it goes into memory")
}

/// Puts a file where the library includes it by `variable`.
fn embed(variable: &str, bytes: &[u8]) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let path = out.join(variable.to_lowercase());
    // An untouched file compiles nothing again.
    if fs::read(&path).is_ok_and(|old| old != bytes) || !path.exists() {
        fs::write(&path, bytes).expect("cargo made the directory");
    }
    println!("cargo::rustc-env={variable}={}", path.display());
}

/// Builds a program for the machine that this package is built for.
fn build_program(package: &Path, program: &str) -> PathBuf {
    let target = env::var("TARGET").expect("cargo sets it");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // One directory for all profiles and crates that embed the child, beside theirs.
    let directory = out
        .ancestors()
        .find(|above| above.join("CACHEDIR.TAG").is_file())
        .unwrap_or(&out)
        .join("offshoot-child");
    // A release carries the small child. Anything else carries one that is quick to build.
    let kind = match env::var("OPT_LEVEL").as_deref() {
        Ok("0" | "1") => child::Kind::Quick,
        _ => child::Kind::Small,
    };
    let cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    let mut cargo = child::build(cargo, package, program, &target, kind, &directory);
    let status = cargo.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "cannot build `{program}`, which offshoot embeds: {status:?}\nran: {cargo:?}"
    );
    child::built(program, &target, kind, &directory)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    // Outside of the repository, the other crates come from a registry, and their versions are
    // part of this package's manifest.
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
