//! Which hosts there are: groups of them, and what is known of each.
//!
//! The model, and what a pattern picks from it, are Ansible's, so that a file which works there
//! means the same here. What Ansible only warns of is refused: a word that matches nothing may be
//! the exclusion that kept a machine out of harm's way. Only [`load()`] touches files.

mod children;
mod file;
mod group_vars;
mod host;
mod ini;
mod literal;
mod load;
mod pattern;
mod range;
mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use offshoot_proto::commands_a_terminal;

use super::report::Diagnostic;

pub(super) use host::{Become, BecomeMethod};
pub(super) use load::{Sources, load};
pub(super) use pattern::{Selection, select};

/// Where a host is in its inventory.
pub(super) type HostId = usize;

/// Hosts of all lists together.
///
/// No network has as many; a range with two digits too many has.
const HOSTS_MAX: usize = 65_536;

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLocation {
    pub(super) file: Arc<str>,
    /// From 1.
    pub(super) line: usize,
}

impl std::fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl SourceLocation {
    /// Something is wrong there.
    fn problem(&self, what: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::usage(format!("{self}: {what}"))
    }
}

/// A variable of a host or group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Var {
    value: Value,
    at: SourceLocation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// No value, as if it had not been set.
    Null,
    /// A list, a table or something encrypted: nothing that we use has such values.
    Other(&'static str),
}

type Vars = BTreeMap<String, Var>;

/// Where a group is in its inventory.
type GroupId = usize;

const ALL: GroupId = 0;
const UNGROUPED: GroupId = 1;

#[derive(Debug)]
struct Host {
    name: String,
    at: SourceLocation,
    groups: Vec<GroupId>,
    vars: Vars,
    /// A line of a plain list that is a way by itself, such as `local*3`.
    path: Option<String>,
}

#[derive(Debug, Default)]
struct Group {
    name: String,
    hosts: Vec<HostId>,
    children: Vec<GroupId>,
    parents: Vec<GroupId>,
    /// How far below `all` it is, by the longest way.
    depth: usize,
    vars: Vars,
    /// From files beside the inventory. They count for more than what any group has in it.
    beside: Vars,
}

/// All hosts and groups, in the order in which they were first named.
#[derive(Debug)]
pub(super) struct Inventory {
    hosts: Vec<Host>,
    groups: Vec<Group>,
    host_ids: HashMap<String, HostId>,
    group_ids: HashMap<String, GroupId>,
}

impl Default for Inventory {
    fn default() -> Self {
        let mut empty = Self {
            hosts: Vec::new(),
            groups: Vec::new(),
            host_ids: HashMap::new(),
            group_ids: HashMap::new(),
        };
        empty.add_group("all");
        empty.add_group("ungrouped");
        empty
    }
}

impl Inventory {
    /// The group of that name, new if there was none.
    fn add_group(&mut self, name: &str) -> GroupId {
        if let Some(&id) = self.group_ids.get(name) {
            return id;
        }
        let id = self.groups.len();
        self.groups.push(Group {
            name: name.to_owned(),
            depth: usize::from(id != ALL),
            ..Group::default()
        });
        self.group_ids.insert(name.to_owned(), id);
        id
    }

    /// Makes a host a member of a group. It may be known already.
    fn add_host(
        &mut self,
        group: GroupId,
        name: &str,
        at: &SourceLocation,
    ) -> Result<HostId, Diagnostic> {
        let id = match self.host_ids.get(name) {
            Some(&id) => id,
            None => {
                check_host(name, at)?;
                self.new_host(name, at)?
            }
        };
        if !self.hosts[id].groups.contains(&group) {
            self.hosts[id].groups.push(group);
            self.groups[group].hosts.push(id);
        }
        Ok(id)
    }

    /// A host that is not known yet, in no group.
    fn new_host(&mut self, name: &str, at: &SourceLocation) -> Result<HostId, Diagnostic> {
        if self.hosts.len() >= HOSTS_MAX {
            return Err(at.problem(format!("there are more than {HOSTS_MAX} hosts")));
        }
        let id = self.hosts.len();
        self.hosts.push(Host {
            name: name.to_owned(),
            at: at.clone(),
            groups: Vec::new(),
            vars: Vars::new(),
            path: None,
        });
        self.host_ids.insert(name.to_owned(), id);
        Ok(id)
    }

    /// What holds for a host: what is said of the host itself comes first, then its groups from
    /// the innermost to `all`.
    fn vars_of(&self, host: HostId) -> Vars {
        let host = &self.hosts[host];
        let mut groups = self.above(&host.groups);
        groups.sort_by_cached_key(|&id| self.rank(id));
        let in_file = groups.iter().map(|&id| &self.groups[id].vars);
        let beside = groups.iter().map(|&id| &self.groups[id].beside);
        let mut vars = Vars::new();
        for more in in_file.chain(beside).chain([&host.vars]) {
            vars.extend(more.iter().map(|(name, var)| (name.clone(), var.clone())));
        }
        vars
    }

    /// What decides between two groups: the deeper one, then the one of higher priority, then the
    /// name.
    fn rank(&self, id: GroupId) -> (usize, i64, String) {
        let group = &self.groups[id];
        let priority = match group.vars.get("ansible_group_priority") {
            Some(Var {
                value: Value::Text(text),
                ..
            }) => text.parse().unwrap_or(1),
            _ => 1,
        };
        (group.depth, priority, group.name.clone())
    }

    /// Sets a variable. Some must not be in a file at all.
    fn set(
        vars: &mut Vars,
        name: &str,
        value: Value,
        at: &SourceLocation,
    ) -> Result<(), Diagnostic> {
        host::refuse_secrets(name, at)?;
        let at = at.clone();
        vars.insert(name.to_owned(), Var { value, at });
        Ok(())
    }
}

fn check_host(name: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
    let bad =
        |c: char| c.is_whitespace() || commands_a_terminal(c) || matches!(c, '/' | ',' | '\\');
    if let Some(c) = name.chars().find(|&c| bad(c)) {
        return Err(at.problem(format!("{c:?} cannot be part of a host's name")));
    }
    match name.chars().next() {
        None => Err(at.problem("a host's name is missing")),
        Some(first @ ('-' | '!' | '&' | '~')) => {
            Err(at.problem(format!("a host's name cannot start with `{first}`")))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
