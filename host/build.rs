//! Names the build, and builds the programs that the controller carries: its child, and an ssh
//! client.
//!
//! Parent and child must come from the same sources. Both are built by this script's package, so
//! both compute the same id from the sources, whatever machine or profile they are built with.

#[path = "build/child.rs"]
mod child;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use object::{Object as _, ObjectSection as _};
use sha2::{Digest, Sha256};

/// What the two ends of a link have in common, beside the package itself.
const SOURCES: [&str; 4] = ["src", "proto/src", "text/src", "../guest-sdk/abi/src"];

/// Parts of `src` that only a controller has: a change to them makes no other child.
const CONTROLLER_ONLY: [&str; 9] = [
    "src/bin/offshoot.rs",
    "src/call.rs",
    "src/cli",
    "src/context.rs",
    "src/error.rs",
    "src/json",
    "src/methods",
    "src/plugin",
    "src/router.rs",
];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = vec![package.join("Cargo.toml")];
    for directory in SOURCES {
        collect(&package.join(directory), &mut files);
    }
    files.retain(|file| {
        !CONTROLLER_ONLY
            .iter()
            .any(|part| file.starts_with(package.join(part)))
    });
    files.sort();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/child.rs");
    println!(
        "cargo::rustc-env=OFFSHOOT_BUILD_ID={:016x}",
        digest(&package, &files)
    );
    if env::var_os("CARGO_FEATURE_CONTROLLER").is_some() {
        embed_child(&package);
        embed_client();
    }
}

/// Says where the children are that `launch/binary.rs` and `launch/platform.rs` embed.
fn embed_child(package: &Path) {
    let plain = given("OFFSHOOT_EMBED_CHILD");
    let plain = plain.unwrap_or_else(|| built(package, "offshoot-child"));
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

/// The same for the ssh client that `launch/client.rs` sends to machines without one.
fn embed_client() {
    let client = PathBuf::from(env::var_os("DEP_OFFSHOOT_CLIENT_PACKAGE").expect("it says so"));
    let mut sources = Vec::new();
    for directory in ["src", "../ssh/src", "../proto/src"] {
        collect(&client.join(directory), &mut sources);
    }
    for file in &sources {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let plain = given("OFFSHOOT_EMBED_CLIENT");
    // Whoever brings a child of his own builds nothing here.
    let plain = plain.or_else(|| env::var_os("OFFSHOOT_EMBED_CHILD").map(|_| Vec::new()));
    let plain = plain.unwrap_or_else(|| built(&client, "offshoot-ssh"));
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

/// FNV-1a over names and contents.
fn digest(package: &Path, files: &[PathBuf]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for &byte in bytes {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for file in files {
        let name = file.strip_prefix(package).unwrap_or(file);
        take(name.to_string_lossy().as_bytes());
        take(&fs::read(file).unwrap_or_default());
    }
    digest
}
