//! The directories `group_vars` and `host_vars` beside an inventory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file::{read_file, shown};
use super::{Inventory, Vars, yaml};
use crate::report::Diagnostic;

/// Adds what they say of the hosts and groups that the inventory has so far.
pub(super) fn add(inventory: &mut Inventory, directory: &Path) -> Result<(), Diagnostic> {
    let groups = directory.join("group_vars");
    for group in &mut inventory.groups {
        read(&groups, &group.name, &mut group.beside)?;
    }
    let hosts = directory.join("host_vars");
    for host in &mut inventory.hosts {
        read(&hosts, &host.name, &mut host.vars)?;
    }
    Ok(())
}

/// `NAME`, `NAME.yml`, `NAME.yaml`, `NAME.json`, or all such files in a directory `NAME`.
fn read(directory: &Path, name: &str, vars: &mut Vars) -> Result<(), Diagnostic> {
    // A name is never a path.
    if !directory.is_dir() || name.contains('/') || name.starts_with('.') {
        return Ok(());
    }
    for ending in ["", ".yml", ".yaml", ".json"] {
        let path = directory.join(format!("{name}{ending}"));
        if path.is_dir() {
            for file in files_in(&path)? {
                read_vars(&file, vars)?;
            }
        } else if path.is_file() {
            read_vars(&path, vars)?;
        }
    }
    Ok(())
}

fn read_vars(path: &Path, vars: &mut Vars) -> Result<(), Diagnostic> {
    let text = read_file(path)?;
    if text.starts_with("$ANSIBLE_VAULT;") {
        let what = format!("{} is encrypted, and we do not decrypt", path.display());
        return Err(Diagnostic::usage(what).help(
            "keep passwords out of the inventory; move what says how to reach hosts into a file \
             of its own",
        ));
    }
    yaml::variables(&shown(path), &text, vars)
}

fn files_in(directory: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let shown = directory.display();
            return Err(Diagnostic::usage(format!("cannot read {shown}: {error}")));
        }
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().map(|it| it.to_string_lossy().into_owned());
        let is_ours = matches!(ending.as_deref(), None | Some("yml" | "yaml" | "json"));
        path.is_file() && is_ours && !name.starts_with('.') && !name.ends_with('~')
    });
    files.sort();
    Ok(files)
}
