//! What cargo knows of a plugin crate before it is compiled.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::error::BuildError;
use crate::toolchain::Toolchain;

/// A crate as cargo sees it.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// What cargo calls it: a dependency may have the same name.
    pub(crate) id: String,
    /// Of its workspace.
    pub(crate) target_directory: PathBuf,
    /// Whether it is built on other plugins, whose handles it uses.
    pub(crate) uses_plugins: bool,
}

impl Package {
    /// Asks cargo about the crate, and checks that it is a plugin.
    pub(crate) fn read(toolchain: &Toolchain, manifest: &Path) -> Result<Self, BuildError> {
        let metadata = metadata(toolchain, manifest)?;
        let mut crates = Crates {
            toolchain,
            known: metadata.packages,
        };
        let package = crates.at(manifest)?.ok_or_else(|| BuildError::Metadata {
            manifest: manifest.to_owned(),
            output: "it is a workspace without a package of its own".into(),
        })?;
        if !package.is_plugin() {
            return Err(BuildError::NotAPlugin {
                package: package.name,
            });
        }
        Ok(Self {
            uses_plugins: crates.uses_plugins(&package)?,
            name: package.name,
            id: package.id,
            target_directory: metadata.target_directory,
        })
    }
}

/// The crates that were read so far. Those of one workspace come together.
struct Crates<'a> {
    toolchain: &'a Toolchain,
    known: Vec<Crate>,
}

impl Crates<'_> {
    fn at(&mut self, manifest: &Path) -> Result<Option<Crate>, BuildError> {
        let find = |known: &[Crate]| {
            let is_it = |one: &&Crate| same_file(&one.manifest_path, manifest);
            known.iter().find(is_it).cloned()
        };
        if let Some(found) = find(&self.known) {
            return Ok(Some(found));
        }
        let more = metadata(self.toolchain, manifest)?.packages;
        let found = find(&more);
        self.known.extend(more);
        Ok(found)
    }

    /// Whether `package` depends on a crate on this machine that is a plugin too, directly or not.
    fn uses_plugins(&mut self, package: &Crate) -> Result<bool, BuildError> {
        let mut seen = HashSet::new();
        let mut left: Vec<PathBuf> = package.local_dependencies().collect();
        while let Some(directory) = left.pop() {
            if !seen.insert(directory.clone()) {
                continue;
            }
            let Some(found) = self.at(&directory.join("Cargo.toml"))? else {
                continue;
            };
            if found.is_plugin() {
                return Ok(true);
            }
            left.extend(found.local_dependencies());
        }
        Ok(false)
    }
}

fn metadata(toolchain: &Toolchain, manifest: &Path) -> Result<Metadata, BuildError> {
    let mut command = toolchain.cargo();
    // The target directory in the environment is that of the user's builds: it is kept.
    command
        .args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--manifest-path",
        ])
        .arg(manifest)
        .current_dir(manifest.parent().unwrap_or(manifest));
    let output = command
        .output()
        .map_err(|source| spawn_error(&command, source))?;
    let unreadable = |output: String| BuildError::Metadata {
        manifest: manifest.to_owned(),
        output,
    };
    if !output.status.success() {
        return Err(unreadable(String::from_utf8_lossy(&output.stderr).into()));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| unreadable(format!("its answer is not understood: {error}")))
}

/// Cargo may print a path through other links than the caller took.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

pub(crate) fn spawn_error(command: &Command, source: io::Error) -> BuildError {
    BuildError::Spawn {
        program: command.get_program().into(),
        source,
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
    target_directory: PathBuf,
}

#[derive(Clone, Deserialize)]
struct Crate {
    name: String,
    id: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

impl Crate {
    fn is_plugin(&self) -> bool {
        let is_module = |target: &Target| target.crate_types.iter().any(|kind| kind == "cdylib");
        self.targets.iter().any(is_module)
    }

    /// Directories of the crates on this machine that its library may use.
    fn local_dependencies(&self) -> impl Iterator<Item = PathBuf> {
        let normal = self.dependencies.iter().filter(|one| one.kind.is_none());
        normal.filter_map(|one| one.path.clone())
    }
}

#[derive(Clone, Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct Dependency {
    /// Nothing for those of the library itself.
    kind: Option<String>,
    path: Option<PathBuf>,
}
