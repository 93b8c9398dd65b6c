//! Inventories in Ansible's INI form.

use std::collections::HashMap;
use std::sync::Arc;

use super::{GroupId, Inventory, SourceLocation, UNGROUPED, Value, literal, range};
use crate::report::Diagnostic;
use offshoot::json::near;

/// Adds what a file says.
pub(super) fn parse(
    inventory: &mut Inventory,
    file: &Arc<str>,
    text: &str,
) -> Result<(), Diagnostic> {
    let mut reader = Reader {
        inventory,
        section: Section::Hosts(UNGROUPED),
        wanted: HashMap::new(),
        declared: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        let at = SourceLocation {
            file: file.clone(),
            line: index + 1,
        };
        reader.line(line.trim(), &at)?;
    }
    reader.end()
}

enum Section {
    Hosts(GroupId),
    Children(GroupId),
    Vars(GroupId),
}

struct Reader<'a> {
    inventory: &'a mut Inventory,
    section: Section,
    /// Groups that were spoken of, and must be declared somewhere in the file: how, and where.
    wanted: HashMap<GroupId, (&'static str, SourceLocation)>,
    declared: Vec<GroupId>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Ok(());
        }
        if let Some(section) = section_of(line) {
            return self.open(section, at);
        }
        if line.starts_with('[') && line.ends_with(']') && !line.contains(':') {
            return Err(at.problem(format!("`{line}` is not a section's name")));
        }
        match self.section {
            Section::Hosts(group) => self.host(group, line, at),
            Section::Children(group) => self.child(group, line, at),
            Section::Vars(group) => {
                let Some((name, value)) = line.split_once('=') else {
                    return Err(at.problem(format!("expected `name = value`, found `{line}`")));
                };
                let value = to_value(&literal::value(value));
                let vars = &mut self.inventory.groups[group].vars;
                Inventory::set(vars, name.trim(), value, at)
            }
        }
    }

    fn open(&mut self, section: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
        let (name, kind) = section.split_once(':').unwrap_or((section, "hosts"));
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(at.problem(format!("`[{section}]` is not a section's name")));
        }
        let known = self.inventory.group_ids.contains_key(name);
        let group = self.inventory.add_group(name);
        self.section = match kind {
            "hosts" => Section::Hosts(group),
            "children" => Section::Children(group),
            "vars" => Section::Vars(group),
            _ => {
                let problem = at.problem(format!("unknown kind of section `[{section}]`"));
                let guess = near(kind, ["hosts", "children", "vars"]);
                return Err(problem.help(match guess.first() {
                    Some(guess) => format!("did you mean `[{name}:{guess}]`?"),
                    None => {
                        format!("write `[{name}]`, `[{name}:children]` or `[{name}:vars]`")
                    }
                }));
            }
        };
        match kind {
            "vars" if !known => {
                let wanted = ("has variables", at.clone());
                self.wanted.insert(group, wanted);
            }
            "vars" => {}
            _ => self.declared.push(group),
        }
        Ok(())
    }

    fn host(&mut self, group: GroupId, line: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
        let words = literal::words(line).map_err(|why| at.problem(why))?;
        let Some((pattern, assignments)) = words.split_first() else {
            return Ok(());
        };
        let (pattern, port) = split_port(pattern).map_err(|why| at.problem(why))?;
        let names = range::expand(pattern).map_err(|why| at.problem(why))?;
        for name in names {
            let host = self.inventory.add_host(group, &name, at)?;
            let vars = &mut self.inventory.hosts[host].vars;
            if let Some(port) = port {
                Inventory::set(vars, "ansible_port", Value::Text(port.to_owned()), at)?;
            }
            for assignment in assignments {
                let Some((name, value)) = assignment.split_once('=') else {
                    let what = format!("expected `name=value`, found `{assignment}`");
                    return Err(at
                        .problem(what)
                        .help("a line names one host, or a range of them"));
                };
                Inventory::set(vars, name, to_value(&literal::value(value)), at)?;
            }
        }
        Ok(())
    }

    fn child(&mut self, group: GroupId, line: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() || name.contains([':', ']', ' ', '\t']) {
            return Err(at.problem(format!("`{line}` is not the name of a group")));
        }
        let known = self.inventory.group_ids.contains_key(name);
        let child = self.inventory.add_group(name);
        if !known {
            self.wanted.insert(child, ("is a part", at.clone()));
        }
        self.inventory.add_child(group, child, at)
    }

    /// Refuses groups that are spoken of and declared nowhere: that is a slip in a name.
    fn end(mut self) -> Result<(), Diagnostic> {
        for group in &self.declared {
            self.wanted.remove(group);
        }
        let first = self.wanted.iter().min_by_key(|(_, (_, at))| at.line);
        let Some((&group, (how, at))) = first else {
            return Ok(());
        };
        let name = &self.inventory.groups[group].name;
        let problem = at.problem(format!(
            "group `{name}` {how}, but there is no section `[{name}]`"
        ));
        let known = self.declared.iter();
        let known = known.map(|&id| self.inventory.groups[id].name.as_str());
        Err(match near(name, known).first() {
            Some(guess) => problem.help(format!("did you mean `{guess}`?")),
            None => problem.help(format!("add `[{name}]`, or remove it here")),
        })
    }
}

/// What stands in a section's brackets, if the line opens one. A host may start with a range.
fn section_of(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim();
    let is_range = name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .split_once(':')
            .is_some_and(|(_, kind)| kind.starts_with(|c: char| c.is_ascii_digit()));
    (!is_range && (rest.is_empty() || rest.starts_with('#'))).then_some(name)
}

/// `None` is how Python writes that there is nothing.
fn to_value(text: &str) -> Value {
    match text {
        "None" => Value::Null,
        text => Value::Text(text.to_owned()),
    }
}

/// A host's name or range, and the port behind it. Addresses with colons of their own need
/// brackets to have one.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if let Some(inside) = text.strip_prefix('[')
        && let Some((address, rest)) = inside.split_once(']')
        && address.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => Ok((address, None)),
            Some(port) if is_port(port) => Ok((address, Some(port))),
            _ => Err(format!("expected `:PORT` behind the brackets of `{text}`")),
        };
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    let outside = text.rfind(']').map_or(0, |at| at + 1);
    match text[outside..].split_once(':') {
        None => Ok((text, None)),
        Some((name, port)) if is_port(port) => Ok((&text[..outside + name.len()], Some(port))),
        Some((_, port)) => Err(format!("`{port}` in `{text}` is not a port (1 to 65535)")),
    }
}
