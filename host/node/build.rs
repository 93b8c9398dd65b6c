//! Names the build, and tells the library that embeds the program where it is built from.
//!
//! Parent and child must come from the same sources. Both contain this package, so both compute
//! the same id from the sources, whatever machine or profile they are built with.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// What the two ends of a link have in common: this package, and what it is made of.
const SOURCES: [&str; 6] = [
    "src",
    "../wasm/src",
    "../proto/src",
    "../text/src",
    "../limiter/src",
    "../../guest-sdk/abi/src",
];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = vec![
        package.join("Cargo.toml"),
        package.join("../wasm/Cargo.toml"),
    ];
    for directory in SOURCES {
        collect(&package.join(directory), &mut files);
    }
    files.sort();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-env=OFFSHOOT_BUILD_ID={:016x}",
        digest(&package, &files)
    );
    println!("cargo::metadata=package={}", package.display());
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
