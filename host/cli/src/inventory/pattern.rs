//! Picks hosts: names, groups, `all`, `web*`, `web[0:2]`, `!not`, `&only`.

use std::collections::HashSet;

use super::{Host, HostId, Inventory};
use crate::report::Diagnostic;
use offshoot::json::near;

/// A part of what the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// A host of the inventory.
    Host(HostId),
    /// Words that the inventory does not know: a way by itself.
    Path(String),
}

/// Names that an error lists.
const LISTED_MAX: usize = 20;

/// What a list of patterns stands for, each host once. Patterns are joined by `,`, or by `:`
/// where that can mean nothing else. As in Ansible, all that adds hosts comes first, then `&`,
/// then `!`, in whatever order they are written.
///
/// `is_path` says whether words are a way by themselves; the inventory's names come first.
pub(crate) fn select(
    inventory: &Inventory,
    text: &str,
    is_path: &dyn Fn(&str) -> bool,
) -> Result<Vec<Selection>, Diagnostic> {
    let mut terms = Vec::new();
    for part in split_commas(text) {
        match inventory.knows(part) || is_path(part) {
            true => terms.push(part),
            false => terms.extend(split_colons(part)),
        }
    }
    let mut selected = Selector {
        inventory,
        text,
        seen: HashSet::new(),
        list: Vec::new(),
    };
    let is_further = |term: &str| term.starts_with(['!', '&']);
    let adding = terms.iter().filter(|term| !is_further(term));
    let mut adds = false;
    for term in adding {
        adds = true;
        selected.add(term, is_path)?;
    }
    if !adds {
        selected.add("all", is_path)?;
    }
    for (sign, keep) in [('&', true), ('!', false)] {
        for term in terms.iter().filter_map(|term| term.strip_prefix(sign)) {
            selected.filter(term, keep)?;
        }
    }
    Ok(selected.list)
}

struct Selector<'a> {
    inventory: &'a Inventory,
    text: &'a str,
    seen: HashSet<HostId>,
    list: Vec<Selection>,
}

impl Selector<'_> {
    fn add(&mut self, term: &str, is_path: &dyn Fn(&str) -> bool) -> Result<(), Diagnostic> {
        match self.inventory.matches(term).map_err(|why| self.bad(why))? {
            Some(hosts) => {
                let new = hosts.into_iter().filter(|&host| self.seen.insert(host));
                self.list.extend(new.map(Selection::Host));
            }
            None if is_path(term) => self.list.push(Selection::Path(term.to_owned())),
            None => return Err(self.unknown(term)),
        }
        Ok(())
    }

    fn filter(&mut self, term: &str, keep: bool) -> Result<(), Diagnostic> {
        let Some(hosts) = self.inventory.matches(term).map_err(|why| self.bad(why))? else {
            return Err(self.unknown(term));
        };
        let hosts: HashSet<HostId> = hosts.into_iter().collect();
        self.list.retain(|selected| match selected {
            Selection::Host(host) => hosts.contains(host) == keep,
            // A way by itself is in no group.
            Selection::Path(_) => !keep,
        });
        Ok(())
    }

    fn bad(&self, why: String) -> Diagnostic {
        Diagnostic::usage(format!("bad targets `{}`: {why}", self.text))
    }

    fn unknown(&self, term: &str) -> Diagnostic {
        let inventory = self.inventory;
        let problem = match term {
            "" => {
                return self
                    .bad("a name is missing".to_owned())
                    .help("write names joined by `,`");
            }
            term => Diagnostic::usage(format!("no host or group matches `{term}`")),
        };
        let groups = inventory.groups.iter().map(|group| group.name.as_str());
        let hosts = inventory.hosts.iter().map(|host| host.name.as_str());
        let guesses = near(term, groups.chain(hosts));
        if let Some(guess) = guesses.first() {
            return problem.help(format!("did you mean `{guess}`?"));
        }
        let names: Vec<&str> = inventory.groups.iter().map(|it| it.name.as_str()).collect();
        let more = match names.len().saturating_sub(LISTED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let listed = names[..names.len().min(LISTED_MAX)].join(", ");
        problem.note(format!("the groups are {listed}{more}"))
    }
}

impl Inventory {
    /// Whether it is the name of a host or group.
    fn knows(&self, name: &str) -> bool {
        self.host_ids.contains_key(name) || self.group_ids.contains_key(name)
    }

    /// The hosts that one pattern stands for; `None` if nothing is called so.
    fn matches(&self, pattern: &str) -> Result<Option<Vec<HostId>>, String> {
        if pattern.starts_with('~') {
            return Err("regular expressions are not supported; write `*` and `?`".to_owned());
        }
        if let Some(&host) = self.host_ids.get(pattern)
            && !self.group_ids.contains_key(pattern)
        {
            return Ok(Some(vec![host]));
        }
        let (pattern, subscript) = split_subscript(pattern);
        let Some(hosts) = self.matches_whole(pattern) else {
            return Ok(None);
        };
        match subscript {
            None => Ok(Some(hosts)),
            Some(subscript) => subscript.of(&hosts).map(Some).ok_or_else(|| {
                let count = hosts.len();
                format!("`{pattern}` has {count} hosts, and none at that place")
            }),
        }
    }

    fn matches_whole(&self, pattern: &str) -> Option<Vec<HostId>> {
        let is_glob = pattern.contains(['*', '?', '[']);
        let mut seen = HashSet::new();
        let mut hosts = Vec::new();
        let mut found = false;
        for (id, group) in self.groups.iter().enumerate() {
            if is_alike(pattern, &group.name) {
                found = true;
                let members = self.members(id).into_iter();
                hosts.extend(members.filter(|&host| seen.insert(host)));
            }
        }
        if !found || is_glob || pattern.contains('.') {
            let alike = |host: &Host| is_alike(pattern, &host.name);
            for (id, _) in self
                .hosts
                .iter()
                .enumerate()
                .filter(|(_, host)| alike(host))
            {
                found = true;
                if seen.insert(id) {
                    hosts.push(id);
                }
            }
        }
        // An empty group is known all the same, but a glob that finds nobody is a slip.
        (found && !(is_glob && hosts.is_empty() && pattern != "*")).then_some(hosts)
    }
}

/// Which of a pattern's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscript {
    /// From the start, or from the end if negative.
    One(isize),
    /// With both ends; the last is left out where it is the last of all.
    Some(usize, Option<usize>),
}

impl Subscript {
    fn of(self, hosts: &[HostId]) -> Option<Vec<HostId>> {
        match self {
            Self::One(index) => {
                let at = match index {
                    0.. => usize::try_from(index).ok()?,
                    _ => hosts.len().checked_sub(index.unsigned_abs())?,
                };
                Some(vec![*hosts.get(at)?])
            }
            Self::Some(first, last) => {
                let end = last.map_or(hosts.len(), |last| last.saturating_add(1).min(hosts.len()));
                let some = hosts.get(first..end)?;
                (!some.is_empty()).then(|| some.to_vec())
            }
        }
    }
}

fn split_subscript(pattern: &str) -> (&str, Option<Subscript>) {
    let split = || {
        let (name, inside) = pattern.strip_suffix(']')?.rsplit_once('[')?;
        if name.is_empty() {
            return None;
        }
        let subscript = match inside.split_once(':') {
            None => Subscript::One(inside.parse().ok()?),
            Some((first, "")) => Subscript::Some(first.parse().ok()?, None),
            Some((first, last)) => Subscript::Some(first.parse().ok()?, Some(last.parse().ok()?)),
        };
        Some((name, Some(subscript)))
    };
    split().unwrap_or((pattern, None))
}

/// Parts between commas.
fn split_commas(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// Parts between colons outside of brackets.
fn split_colons(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let is_joint = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    };
    text.split(is_joint).map(str::trim).collect()
}

/// Whether a name matches a shell's pattern: `*`, `?`, `[abc]`, `[!abc]`, `[a-z]`.
pub(super) fn is_alike(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` was, and the name's first character that it may still swallow.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => match class(&pattern[p..], name[n]) {
                Some((true, length)) => Some(p + length),
                Some((false, _)) => None,
                None => (name[n] == '[').then_some(p + 1),
            },
            Some(&c) => (c == name[n]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => (p, n) = (next, n + 1),
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether a bracket expression holds the character, and how long it is; `None` if it has no end.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = 1 + usize::from(negated);
    // A bracket that closes right away is one of the characters.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|&c| c == ']')?;
    let set = &pattern[start..end];
    let mut at = 0;
    let mut holds = false;
    while at < set.len() {
        match (set.get(at + 1), set.get(at + 2)) {
            (Some('-'), Some(&last)) => {
                holds |= (set[at]..=last).contains(&c);
                at += 3;
            }
            _ => {
                holds |= set[at] == c;
                at += 1;
            }
        }
    }
    Some((holds != negated, end + 1))
}
