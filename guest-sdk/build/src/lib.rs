//! Compiles plugin crates to WebAssembly.
//!
//! A build script, a test or a command line names a crate and gets a checked module:
//!
//! ```no_run
//! let artifact = offshoot_build::Build::new("plugins/facts").build()?;
//! println!("{} {}", artifact.inspection.manifest.plugin, artifact.wasm.display());
//! # Ok::<(), offshoot_build::BuildError>(())
//! ```
//!
//! Compiling is cargo's work. This crate finds a toolchain that can do it, keeps the build apart
//! from one that may be running around it, and refuses a result that no host would run.

mod builder;
mod cargo;
mod environment;
mod error;
mod metadata;
mod script;
mod toolchain;

pub use builder::{Artifact, Build, Profile};
pub use error::BuildError;
pub use script::plugin;

/// The target that plugins are compiled for.
pub const TARGET: &str = "wasm32-wasip1";
