//! Inventories in Ansible's YAML form, and files of variables.

mod tree;

use std::sync::Arc;

use super::{GroupId, HostId, Inventory, SourceLocation, UNGROUPED, Value, Vars, ini, range};
use crate::report::Diagnostic;
use offshoot::json::near;
use tree::{Kind, Node, Reader};

/// How often everything that was written may be looked at.
///
/// An alias stands for all of what it names, so a small file can be an endless tree.
const REPEATS_MAX: usize = 16;

/// What is looked at in any case: small files may repeat themselves.
const VISITS_MIN: usize = 10_000;

/// What a group consists of.
const PARTS: [&str; 3] = ["hosts", "children", "vars"];

/// The key of what `ansible-inventory --list` prints beside the groups: the variables of hosts.
const META: &str = "_meta";

/// Adds what a file says.
pub(super) fn parse(
    inventory: &mut Inventory,
    file: &Arc<str>,
    text: &str,
) -> Result<(), Diagnostic> {
    let Some(tree) = Reader::read(file, text)? else {
        return Ok(());
    };
    let mut walk = Walk {
        inventory,
        file,
        visits: 0,
        visits_max: VISITS_MIN + REPEATS_MAX * tree.count,
        is_listing: false,
    };
    let groups = walk.table(&tree.root, "the file must be a table of groups")?;
    if let Some((_, key, _)) = groups.iter().find(|(name, _, _)| name == "plugin") {
        return Err(walk.at(*key).problem("it configures a plugin that finds hosts by itself").help(
            "only files that list hosts are read; let Ansible write one: `ansible-inventory --list --yaml`",
        ));
    }
    let meta = groups.iter().find(|(name, ..)| name == META).cloned();
    walk.is_listing = meta.is_some();
    for (name, line, body) in groups {
        if name != META && !is_extension(&name, &body) {
            walk.group(&name, line, body, None)?;
        }
    }
    match meta {
        Some((.., meta)) => walk.meta(&meta),
        None => Ok(()),
    }
}

/// Whether a key holds what others refer to, such as `x-common: &common {...}`, and is not a group.
fn is_extension(name: &str, body: &Node) -> bool {
    let is_part = |key: &Node| matches!(&key.kind, Kind::Text(key) if PARTS.contains(&&**key));
    let has_part = match &body.kind {
        Kind::Table(pairs) => pairs.iter().any(|(key, _)| is_part(key)),
        _ => false,
    };
    name.starts_with("x-") && !has_part
}

/// Reads a file that is a table of variables.
pub(super) fn variables(file: &Arc<str>, text: &str, into: &mut Vars) -> Result<(), Diagnostic> {
    let Some(tree) = Reader::read(file, text)? else {
        return Ok(());
    };
    let mut nothing = Inventory::default();
    let mut walk = Walk {
        inventory: &mut nothing,
        file,
        visits: 0,
        visits_max: VISITS_MIN + REPEATS_MAX * tree.count,
        is_listing: false,
    };
    walk.vars(&tree.root, into)
}

struct Walk<'a> {
    inventory: &'a mut Inventory,
    file: &'a Arc<str>,
    visits: usize,
    visits_max: usize,
    /// Whether it was printed by `ansible-inventory --list`, which lists names of hosts and children.
    is_listing: bool,
}

/// A key, its line, and its value.
type Entry = (String, usize, Arc<Node>);

impl Walk<'_> {
    fn at(&self, line: usize) -> SourceLocation {
        SourceLocation {
            file: self.file.clone(),
            line,
        }
    }

    fn group(
        &mut self,
        name: &str,
        line: usize,
        body: Arc<Node>,
        parent: Option<GroupId>,
    ) -> Result<(), Diagnostic> {
        let at = self.at(line);
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == ':') {
            return Err(at.problem(format!("`{name}` is not the name of a group")));
        }
        let group = self.inventory.add_group(name);
        if let Some(parent) = parent {
            self.inventory.add_child(parent, group, &at)?;
        }
        let expected = format!("group `{name}` must be a table of `hosts`, `children` and `vars`");
        for (part, line, value) in self.table(&body, &expected)? {
            match part.as_str() {
                "hosts" => self.hosts(group, &value)?,
                "children" => {
                    if let Some(names) = self.listed(&value)? {
                        for (child, line) in names {
                            let child = self.inventory.add_group(&child);
                            self.inventory.add_child(group, child, &self.at(line))?;
                        }
                        continue;
                    }
                    let expected = format!("the children of `{name}` must be a table of groups");
                    for (child, line, body) in self.table(&value, &expected)? {
                        self.group(&child, line, body, Some(group))?;
                    }
                }
                "vars" => {
                    let mut vars = std::mem::take(&mut self.inventory.groups[group].vars);
                    let done = self.vars(&value, &mut vars);
                    self.inventory.groups[group].vars = vars;
                    done?;
                }
                _ => {
                    let what = format!("group `{name}` has an unknown part `{part}`");
                    let problem = self.at(line).problem(what);
                    return Err(match near(&part, PARTS).first() {
                        Some(guess) => problem.help(format!("did you mean `{guess}`?")),
                        None => problem.help("a group has `hosts`, `children` and `vars`; a subgroup goes under `children`"),
                    });
                }
            }
        }
        Ok(())
    }

    fn hosts(&mut self, group: GroupId, hosts: &Arc<Node>) -> Result<(), Diagnostic> {
        if let Kind::Text(name) = &hosts.kind {
            // One host without variables may stand by itself.
            self.host(group, name, hosts.line)?;
            return Ok(());
        }
        if let Some(names) = self.listed(hosts)? {
            for (name, line) in names {
                self.inventory.add_host(group, &name, &self.at(line))?;
            }
            return Ok(());
        }
        let expected = "`hosts` must be a table: each host's name, and a colon behind it";
        for (name, line, vars) in self.table(hosts, expected)? {
            for host in self.host(group, &name, line)? {
                let mut of_host = std::mem::take(&mut self.inventory.hosts[host].vars);
                let done = self.vars(&vars, &mut of_host);
                self.inventory.hosts[host].vars = of_host;
                done?;
            }
        }
        Ok(())
    }

    /// The names of a list, with their lines, where lists stand for tables.
    fn listed(&mut self, node: &Node) -> Result<Option<Vec<(String, usize)>>, Diagnostic> {
        let Kind::List(items) = &node.kind else {
            return Ok(None);
        };
        if !self.is_listing {
            return Ok(None);
        }
        self.count(items.len(), node.line)?;
        let names = items.iter().map(|item| match &item.kind {
            Kind::Text(name) => Ok((name.clone(), item.line)),
            other => {
                let what = format!("expected a name, found {}", other.describe());
                Err(self.at(item.line).problem(what))
            }
        });
        names.collect::<Result<_, _>>().map(Some)
    }

    /// The variables of hosts that groups have named.
    fn meta(&mut self, meta: &Arc<Node>) -> Result<(), Diagnostic> {
        for (part, _, hosts) in self.table(meta, "`_meta` must be a table")? {
            if part != "hostvars" {
                continue;
            }
            for (name, line, vars) in self.table(&hosts, "`hostvars` must be a table of hosts")? {
                let id = match self.inventory.host_ids.get(&name) {
                    Some(&id) => id,
                    None => self.inventory.add_host(UNGROUPED, &name, &self.at(line))?,
                };
                let mut of_host = std::mem::take(&mut self.inventory.hosts[id].vars);
                let done = self.vars(&vars, &mut of_host);
                self.inventory.hosts[id].vars = of_host;
                done?;
            }
        }
        Ok(())
    }

    /// Counts what was looked at, which aliases could multiply.
    fn count(&mut self, visits: usize, line: usize) -> Result<(), Diagnostic> {
        self.visits += visits;
        match self.visits > self.visits_max {
            false => Ok(()),
            true => {
                let what = format!("its aliases stand for more than {} things", self.visits_max);
                Err(self.at(line).problem(what))
            }
        }
    }

    fn host(&mut self, group: GroupId, name: &str, line: usize) -> Result<Vec<HostId>, Diagnostic> {
        let at = self.at(line);
        let (pattern, port) = ini::split_port(name).map_err(|why| at.problem(why))?;
        let names = range::expand(pattern).map_err(|why| at.problem(why))?;
        let mut hosts = Vec::new();
        for name in names {
            let host = self.inventory.add_host(group, &name, &at)?;
            if let Some(port) = port {
                let vars = &mut self.inventory.hosts[host].vars;
                Inventory::set(vars, "ansible_port", Value::Text(port.to_owned()), &at)?;
            }
            hosts.push(host);
        }
        Ok(hosts)
    }

    fn vars(&mut self, node: &Arc<Node>, vars: &mut Vars) -> Result<(), Diagnostic> {
        for (name, line, value) in self.table(node, "variables must be a table")? {
            let value = match &value.kind {
                Kind::Text(text) => Value::Text(text.clone()),
                Kind::Null => Value::Null,
                Kind::List(_) => Value::Other("a list"),
                Kind::Table(_) => Value::Other("a table"),
                Kind::Encrypted => Value::Other("encrypted"),
            };
            Inventory::set(vars, &name, value, &self.at(line))?;
        }
        Ok(())
    }

    /// The entries of a table. Nothing at all is an empty one.
    fn table(&mut self, node: &Arc<Node>, expected: &str) -> Result<Vec<Entry>, Diagnostic> {
        let mut entries = Vec::new();
        self.visits += 1;
        match &node.kind {
            Kind::Null => {}
            Kind::Table(pairs) => {
                for (key, value) in pairs {
                    self.visits += 1;
                    match &key.kind {
                        Kind::Text(name) if name == "<<" => self.merge(value, &mut entries)?,
                        Kind::Text(name) => entries.push((name.clone(), key.line, value.clone())),
                        _ => {
                            let problem = self.at(key.line).problem("a key here is not a text");
                            return Err(problem);
                        }
                    }
                }
            }
            other => {
                let found = other.describe();
                let what = format!("{expected}, found {found}");
                return Err(self.at(node.line).problem(what));
            }
        }
        self.count(0, node.line)?;
        Ok(entries)
    }

    /// What `<<` brings into a table: that which the table itself does not have.
    fn merge(&mut self, node: &Arc<Node>, entries: &mut Vec<Entry>) -> Result<(), Diagnostic> {
        let tables = match &node.kind {
            Kind::List(tables) => tables.clone(),
            _ => vec![node.clone()],
        };
        for table in tables {
            for entry in self.table(&table, "`<<` must name a table")? {
                if !entries.iter().any(|(name, _, _)| *name == entry.0) {
                    entries.insert(0, entry);
                }
            }
        }
        Ok(())
    }
}
