//! Tells whoever embeds the program where it is built from.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo::metadata=package={package}");
}
