//! Circles of files: files of one crate that import each other, directly or through others.
//!
//! A file imports what its paths lead to: those of `use`, and those in the code that start at the
//! crate, at a parent or at an imported module. A re-export is followed to the item's own file and is
//! no import itself, so that a `mod.rs` that only lists its children is in no circle.

use std::collections::{BTreeMap, BTreeSet};

use super::Checkout;
use super::code::{shipped, without_text};
use super::exceptions::CIRCLES;

pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    report(&found(checkout), CIRCLES)
}

type Circle = BTreeSet<String>;

/// New circles, and files that are excused and are in none any more.
fn report(found: &[Circle], excused: &[&[&str]]) -> Vec<String> {
    let mut problems = Vec::new();
    for circle in found {
        let is_within = |known: &&&[&str]| circle.iter().all(|file| known.contains(&file.as_str()));
        if !excused.iter().any(|known| is_within(&known)) {
            let files: Vec<&str> = circle.iter().map(String::as_str).collect();
            problems.push(format!("a circle of files: {}", files.join(", ")));
        }
    }
    for file in excused.iter().copied().flatten() {
        if !found.iter().any(|circle| circle.contains(*file)) {
            problems.push(format!(
                "{file}: is in no circle of files any more: take it off the list"
            ));
        }
    }
    problems
}

fn found(checkout: &Checkout) -> Vec<Circle> {
    let mut crates: BTreeMap<&str, Crate> = BTreeMap::new();
    for file in checkout.product().filter(|file| !file.is_test()) {
        let Some((folder, inside)) = file.path.split_once("/src/") else {
            continue;
        };
        let module = module_path(inside);
        let code = shipped(&without_text(&file.text));
        let modules = crates.entry(folder).or_default();
        modules.insert(module, Module::read(file.path.clone(), &code));
    }
    crates.values().flat_map(circles_of).collect()
}

/// The modules of a crate by their paths, such as `["select", "ready"]`.
type Crate = BTreeMap<Vec<String>, Module>;

struct Module {
    file: String,
    /// What names of this module stand for, by imports and re-exports.
    names: BTreeMap<String, Vec<String>>,
    /// Paths that the file uses itself.
    used: Vec<Vec<String>>,
}

impl Module {
    fn read(file: String, code: &str) -> Self {
        let mut module = Self {
            file,
            names: BTreeMap::new(),
            used: Vec::new(),
        };
        let mut rest = code;
        while let Some(start) = rest.find("use ") {
            let (before, after) = rest.split_at(start);
            let end = after.find(';').unwrap_or(after.len());
            module.used.extend(paths_in(before));
            let is_statement = before
                .trim_end()
                .chars()
                .next_back()
                .is_none_or(|c| ";{}])".contains(c) || before.trim_end().ends_with("pub"));
            if is_statement {
                let line = before.rsplit('\n').next().unwrap_or_default();
                let is_reexport = line.trim_start().starts_with("pub");
                for (name, path) in leaves(&after["use ".len()..end], &[]) {
                    if !is_reexport {
                        module.used.push(path.clone());
                    }
                    module.names.insert(name, path);
                }
            }
            rest = &after[end..];
        }
        module.used.extend(paths_in(rest));
        module
    }
}

fn module_path(inside: &str) -> Vec<String> {
    let parts = inside.trim_end_matches(".rs").split('/');
    parts
        .filter(|part| !matches!(*part, "mod" | "lib" | "main"))
        .map(str::to_owned)
        .collect()
}

/// The names that a tree of `use` brings in, and their paths.
fn leaves(tree: &str, prefix: &[String]) -> Vec<(String, Vec<String>)> {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let outer = segments(&tree[..open]);
        let prefix = [prefix, &outer].concat();
        let inner = tree[open + 1..].trim_end().trim_end_matches('}');
        let branches = split_outside_braces(inner);
        return branches
            .into_iter()
            .flat_map(|branch| leaves(branch, &prefix))
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim())),
        None => (tree, None),
    };
    let mut path = [prefix, &segments(path)].concat();
    if path
        .last()
        .is_some_and(|last| last == "self" && path.len() > 1)
    {
        path.pop();
    }
    let name = alias.map(str::to_owned).or_else(|| path.last().cloned());
    name.into_iter().map(|name| (name, path.clone())).collect()
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn segments(path: &str) -> Vec<String> {
    path.split("::")
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Paths of two segments and more in code.
fn paths_in(code: &str) -> impl Iterator<Item = Vec<String>> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.contains("::"))
        .map(segments)
        .filter(|path| path.len() > 1)
}

/// The module that an item's path leads to, seen from `from`; `None` for a path out of the crate,
/// and for one that names a module and no item.
fn resolve(modules: &Crate, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
    let (first, rest) = path.split_first().filter(|_| depth < 16)?;
    let (mut at, mut rest) = match first.as_str() {
        "crate" => (Vec::new(), rest),
        "self" => (from.to_vec(), rest),
        "super" => (from.split_last()?.1.to_vec(), rest),
        _ => (from.to_vec(), path),
    };
    let starts_here = rest.len() == path.len();
    while let Some((name, after)) = rest.split_first() {
        if name == "super" {
            at.pop();
            rest = after;
            continue;
        }
        let child = [at.as_slice(), std::slice::from_ref(name)].concat();
        if modules.contains_key(&child) {
            at = child;
            rest = after;
            continue;
        }
        let known = modules.get(&at).and_then(|module| module.names.get(name));
        if let Some(known) = known.filter(|known| known.first() != Some(name)) {
            let path = [known.as_slice(), after].concat();
            return resolve(modules, &at, &path, depth + 1);
        }
        let is_foreign = starts_here && at == from;
        return (!is_foreign).then_some(at);
    }
    None
}

/// Groups of files of which each leads to each other.
fn circles_of(modules: &Crate) -> Vec<Circle> {
    let imports: BTreeMap<&[String], BTreeSet<Vec<String>>> = modules
        .iter()
        .map(|(path, module)| {
            let found = module.used.iter();
            let found = found.filter_map(|used| resolve(modules, path, used, 0));
            (path.as_slice(), found.filter(|to| to != path).collect())
        })
        .collect();
    let reachable = |start: &[String]| {
        let mut seen: BTreeSet<&[String]> = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(at) = waiting.pop() {
            for next in imports.get(at).into_iter().flatten() {
                if seen.insert(next) {
                    waiting.push(next);
                }
            }
        }
        seen
    };
    let from: BTreeMap<&[String], BTreeSet<&[String]>> = imports
        .keys()
        .map(|path| (*path, reachable(path)))
        .collect();
    let in_circle = |path: &&[String]| from[path].contains(path);
    let circles: BTreeSet<Circle> = from
        .keys()
        .filter(|path| in_circle(path))
        .map(|path| {
            let both = from[path].iter().filter(|to| from[*to].contains(path));
            both.map(|to| modules[*to].file.clone()).collect()
        })
        .collect();
    circles.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], want: &[&[&str]]) {
        let found = found(&checkout_of(files));
        let want: Vec<Circle> = want
            .iter()
            .map(|circle| circle.iter().map(|file| (*file).to_owned()).collect())
            .collect();
        assert_eq!(found, want);
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let (a, b, c) = ("host/src/a.rs", "host/src/b.rs", "host/src/c.rs");
        check(
            &[
                (a, "use crate::b::B;"),
                (b, "use super::c::{self, C};"),
                (c, "fn f(_: crate::a::A) {}"),
            ],
            &[&[a, b, c]],
        );
        check(
            &[
                (a, "use crate::b::B;"),
                (b, "use std::fmt;"),
                (c, "use crate::a::A;"),
            ],
            &[],
        );
    }

    #[test]
    fn a_re_export_is_followed_and_is_no_import() {
        let (root, a, b) = ("host/src/m/mod.rs", "host/src/m/a.rs", "host/src/m/b.rs");
        check(
            &[
                (root, "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
                (a, "use super::B;"),
                (b, ""),
            ],
            &[],
        );
        check(
            &[
                (root, "pub use a::A;\npub use b::B;"),
                (a, "use super::B;"),
                (b, "use super::A;"),
            ],
            &[&[a, b]],
        );
        check(
            &[
                (root, "use a::A;\nstruct S(A);"),
                (a, "use super::S;"),
                (b, ""),
            ],
            &[&[a, root]],
        );
    }

    #[test]
    fn tests_may_look_at_what_they_test() {
        let test = "use crate::b::B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n";
        check(
            &[
                ("host/src/a.rs", test),
                ("host/src/b.rs", "#[cfg(test)]\nuse crate::a::A;"),
            ],
            &[],
        );
    }

    #[test]
    fn an_excuse_covers_no_larger_circle_and_ends_with_it() {
        let circle = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect();
        let found: [Circle; 1] = [circle(&["a", "b"])];
        assert!(report(&found, &[&["a", "b"]]).is_empty());
        assert_eq!(report(&found, &[&["a"]]), ["a circle of files: a, b"]);
        assert_eq!(
            report(&found, &[&["a", "b", "c"]]),
            ["c: is in no circle of files any more: take it off the list"]
        );
    }
}
