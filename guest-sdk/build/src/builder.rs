//! The one thing that callers do: build a plugin.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use offshoot_abi::Inspection;

use crate::cargo::{self, Request};
use crate::error::BuildError;
use crate::metadata::Package;
use crate::toolchain::Toolchain;

/// Below the target directory, where plugins that use other plugins have one each.
const COMPOSED: &str = "composed";

/// How a plugin is compiled. The crate need not configure either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Fast and without debug information, for shipping.
    ///
    /// Optimised for speed, which for plugins is not opposed to size: hashing with this project's
    /// `digest` takes twice as long at `opt-level = "s"`, and its module is a tenth larger.
    #[default]
    Release,
    /// Compiled quickly, with debug information and overflow checks.
    Dev,
}

/// A compiled plugin.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The module.
    pub wasm: PathBuf,
    /// What it says about itself.
    pub inspection: Inspection,
}

/// Compiles one plugin crate.
#[derive(Clone, Debug)]
pub struct Build {
    path: PathBuf,
    profile: Profile,
    target_dir: Option<PathBuf>,
    features: Vec<String>,
    shows_output: bool,
}

impl Build {
    /// Of the crate at `path`: its directory or its `Cargo.toml`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            profile: Profile::default(),
            target_dir: None,
            features: Vec::new(),
            shows_output: false,
        }
    }

    /// Compiles by another profile than [`Profile::Release`].
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Keeps compiled crates in `dir`.
    ///
    /// By default that is the directory in the environment variable `OFFSHOOT_TARGET_DIR`, or
    /// `offshoot` in the target directory of the crate's workspace. Plugins built with one
    /// directory share what they depend on. It must not be the target directory of a cargo that
    /// is waiting for this build, which holds that directory's lock.
    #[must_use]
    pub fn target_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.target_dir = Some(dir.into());
        self
    }

    /// Enables cargo features of the crate.
    #[must_use]
    pub fn features<S: Into<String>>(mut self, features: impl IntoIterator<Item = S>) -> Self {
        self.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Passes cargo's progress and warnings on to standard error as they come.
    #[must_use]
    pub fn show_output(mut self) -> Self {
        self.shows_output = true;
        self
    }

    /// Compiles the crate and checks the module.
    ///
    /// # Errors
    ///
    /// Fails when there is no crate or no toolchain, when the crate does not compile, and when
    /// the module is not a plugin. An error of the compiler's holds all that cargo printed.
    pub fn build(self) -> Result<Artifact, BuildError> {
        let manifest = manifest(&self.path)?;
        let toolchain = Toolchain::find(manifest.parent().unwrap_or(&manifest))?;
        let package = Package::read(&toolchain, &manifest)?;
        let target_dir = match (self.target_dir, env::var_os("OFFSHOOT_TARGET_DIR")) {
            (Some(dir), _) => dir,
            (None, Some(dir)) => dir.into(),
            (None, None) => package.target_directory.join("offshoot"),
        };
        // As a dependency, a plugin is compiled to another module of the same file name. Cargo would
        // take the one for the other if both were in one directory.
        let target_dir = match package.uses_plugins {
            true => target_dir.join(COMPOSED).join(&package.name),
            false => target_dir,
        };
        let wasm = cargo::build(&Request {
            toolchain: &toolchain,
            manifest: &manifest,
            package: &package,
            target_dir: &absolute(target_dir)?,
            profile: self.profile,
            features: &self.features,
            shows_output: self.shows_output,
        })?;
        let bytes = fs::read(&wasm).map_err(|source| BuildError::Read {
            path: wasm.clone(),
            source,
        })?;
        match offshoot_abi::inspect(&bytes) {
            Ok(inspection) => Ok(Artifact { wasm, inspection }),
            Err(source) => Err(BuildError::Invalid { path: wasm, source }),
        }
    }
}

/// The crate's manifest, as the absolute path that cargo would print.
fn manifest(path: &Path) -> Result<PathBuf, BuildError> {
    let manifest = match path.file_name() {
        Some(name) if name == "Cargo.toml" => path.to_owned(),
        _ => path.join("Cargo.toml"),
    };
    match manifest.is_file() {
        true => absolute(manifest),
        false => Err(BuildError::NoCrate {
            path: path.to_owned(),
        }),
    }
}

/// Cargo runs in the crate's directory, where a relative path would mean something else.
fn absolute(path: PathBuf) -> Result<PathBuf, BuildError> {
    std::path::absolute(&path).map_err(|source| BuildError::Read { path, source })
}
