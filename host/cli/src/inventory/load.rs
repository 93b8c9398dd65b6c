//! Reads lists of hosts: from files, from directories of them, and from standard input.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{read_file, read_input, shown};
use super::{Inventory, SourceLocation, UNGROUPED, group_vars, ini, range, yaml};
use crate::report::Diagnostic;
use crate::target;

/// Directories in directories.
const DEPTH_MAX: usize = 8;

/// Endings of files that a directory of inventories may hold beside them, as Ansible has it.
const OTHERS: [&str; 12] = [
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
];

/// What the command line names.
pub(crate) struct Sources<'a> {
    /// Plain lists; `-` is standard input.
    pub(crate) lists: &'a [PathBuf],
    /// In Ansible's forms.
    pub(crate) inventories: &'a [PathBuf],
}

/// Reads all of them into one inventory; `None` if none are named.
pub(crate) fn load(sources: &Sources<'_>) -> Result<Option<Inventory>, Diagnostic> {
    if sources.lists.is_empty() && sources.inventories.is_empty() {
        return Ok(None);
    }
    let mut inventory = Inventory::default();
    for path in sources.inventories {
        read_inventory(&mut inventory, path, DEPTH_MAX)?;
        let directory = match path.is_dir() {
            true => path.as_path(),
            false => path.parent().unwrap_or(Path::new("")),
        };
        group_vars::add(&mut inventory, directory)?;
    }
    for path in sources.lists {
        let (shown, text) = match path.as_os_str() == "-" {
            true => ("standard input".into(), read_input()?),
            false => (shown(path), read_file(path)?),
        };
        read_list(&mut inventory, &shown, &text)?;
    }
    Ok(Some(inventory))
}

/// A target a line, with `#` before what is for people only.
pub(super) fn read_list(
    inventory: &mut Inventory,
    file: &Arc<str>,
    text: &str,
) -> Result<(), Diagnostic> {
    for (index, line) in text.lines().enumerate() {
        let at = SourceLocation {
            file: file.clone(),
            line: index + 1,
        };
        let comment = line
            .match_indices('#')
            .find(|(at, _)| line[..*at].ends_with(char::is_whitespace) || *at == 0);
        let line = line[..comment.map_or(line.len(), |(at, _)| at)].trim();
        if line.is_empty() {
            continue;
        }
        if line.contains(char::is_whitespace) {
            let problem = at.problem(format!("`{line}` is more than one target"));
            return Err(problem.help(
                "write one target a line; a file with variables or groups is for `--inventory`",
            ));
        }
        if target::is_path(line) {
            target::parse(line).map_err(|problem| problem.note(format!("it stands in {at}")))?;
            inventory.add_path(line, &at)?;
            continue;
        }
        add_host(inventory, line, &at)?;
    }
    Ok(())
}

/// `[USER@]HOST[:PORT]`, or a range of them.
fn add_host(inventory: &mut Inventory, line: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
    let (user, address) = match line.rsplit_once('@') {
        Some(("", _)) => return Err(at.problem(format!("`{line}` names no user before its `@`"))),
        Some((user, address)) => (Some(user), address),
        None => (None, line),
    };
    let (pattern, port) = ini::split_port(address).map_err(|why| at.problem(why))?;
    for name in range::expand(pattern).map_err(|why| at.problem(why))? {
        let host = inventory.add_host(UNGROUPED, &name, at)?;
        let vars = &mut inventory.hosts[host].vars;
        for (name, value) in [("ansible_user", user), ("ansible_port", port)] {
            if let Some(value) = value {
                Inventory::set(vars, name, super::Value::Text(value.to_owned()), at)?;
            }
        }
    }
    Ok(())
}

impl Inventory {
    /// A line that is a way by itself. The same line twice is a slip.
    fn add_path(&mut self, line: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
        if let Some(&host) = self.host_ids.get(line) {
            let before = &self.hosts[host].at;
            let problem = at.problem(format!("`{line}` was listed before, in {before}"));
            return Err(problem.help("write `local*2` to have two of it"));
        }
        let host = self.new_host(line, at)?;
        self.groups[UNGROUPED].hosts.push(host);
        self.hosts[host].groups.push(UNGROUPED);
        self.hosts[host].path = Some(line.to_owned());
        Ok(())
    }
}

fn read_inventory(inventory: &mut Inventory, path: &Path, depth: usize) -> Result<(), Diagnostic> {
    if !path.is_dir() {
        return read_one(inventory, path);
    }
    let shown = path.display();
    if depth == 0 {
        return Err(Diagnostic::usage(format!(
            "{shown} is more than {DEPTH_MAX} directories deep"
        )));
    }
    let entries = std::fs::read_dir(path)
        .map_err(|error| Diagnostic::usage(format!("cannot read {shown}: {error}")))?;
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_other = name.starts_with('.')
            || matches!(&*name, "group_vars" | "host_vars" | "vars_plugins")
            || OTHERS.iter().any(|ending| name.ends_with(ending));
        if !is_other {
            read_inventory(inventory, &entry, depth - 1)?;
        }
    }
    Ok(())
}

fn read_one(inventory: &mut Inventory, path: &Path) -> Result<(), Diagnostic> {
    let text = read_file(path)?;
    let shown = shown(path);
    if text.starts_with("#!") {
        return Err(Diagnostic::usage(format!("{shown} is a program, not a list of hosts")).help(
            "only files that list hosts are read; let Ansible write one: `ansible-inventory --list --yaml`",
        ));
    }
    let ending = path
        .extension()
        .map(|it| it.to_string_lossy().to_ascii_lowercase());
    let is_yaml = match ending.as_deref() {
        Some("yml" | "yaml" | "json") => true,
        Some("ini") => false,
        _ => looks_like_yaml(&text),
    };
    match is_yaml {
        true => yaml::parse(inventory, &shown, &text),
        false => ini::parse(inventory, &shown, &text),
    }
}

/// Whether a file without a telling name begins as YAML does.
fn looks_like_yaml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    first.is_some_and(|line| {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        line == "---" || line.starts_with('{') || (line.ends_with(':') && !line.starts_with('['))
    })
}
