//! `docs/ARCHITECTURE.md` as data: which crate names which, and where each module is.

use std::collections::{BTreeMap, BTreeSet};

use super::Checkout;

const DOCUMENT: &str = "docs/ARCHITECTURE.md";

/// The crates of the product and those that each may name, as the table of the code map has them.
pub(super) fn drawn_edges(checkout: &Checkout) -> BTreeMap<String, BTreeSet<String>> {
    let text = text(checkout);
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| crate | names |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| {
        let mut names = code_spans(row).map(str::to_owned);
        Some((names.next()?, names.collect()))
    })
    .collect()
}

/// Crates and modules that the code map does not have, and those that it has and are gone.
pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    let sections = sections(text(checkout));
    let mut problems = Vec::new();
    for folder in crates(checkout) {
        match sections.iter().filter(|(name, _)| *name == folder).count() {
            1 => {}
            count => problems.push(format!(
                "{DOCUMENT}: the code map has {folder} {count} times"
            )),
        }
    }
    for (folder, section) in &sections {
        let table: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        if table.is_empty() {
            continue;
        }
        let there = modules(checkout, folder);
        let named = table.iter().filter_map(|row| row.split('|').nth(1));
        for name in named.flat_map(code_spans) {
            if !there.contains(name.trim_end_matches('/').trim_end_matches(".rs")) {
                problems.push(format!("{DOCUMENT}: {folder}/src has no {name}"));
            }
        }
        let mentioned: BTreeSet<&str> = code_spans(section)
            .map(|name| name.trim_end_matches('/').trim_end_matches(".rs"))
            .collect();
        for module in there.difference(&mentioned) {
            problems.push(format!(
                "{DOCUMENT}: does not say what {folder}/src/{module} is"
            ));
        }
    }
    problems
}

fn text(checkout: &Checkout) -> &str {
    checkout.file(DOCUMENT).map_or("", |file| &file.text)
}

/// Folders of the product's crates.
fn crates(checkout: &Checkout) -> impl Iterator<Item = &str> {
    let manifests = checkout.files.iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        file.in_any(&["host/", "guest-sdk/"]).then_some(folder)
    });
    manifests.filter(|folder| !folder.contains("/tests/"))
}

/// The folder that each part of the code map is about, and the part.
fn sections(text: &str) -> Vec<(&str, &str)> {
    let map = text.split("\n## Code map").nth(1).unwrap_or_default();
    let map = map.split("\n## ").next().unwrap_or_default();
    map.split("\n**")
        .filter(|section| section.starts_with('`'))
        .filter_map(|section| {
            let folder = code_spans(section).next()?;
            Some((folder.trim_end_matches('/'), section))
        })
        .collect()
}

/// Names of the modules in a crate's `src`, without those that every crate has.
fn modules<'a>(checkout: &'a Checkout, folder: &str) -> BTreeSet<&'a str> {
    let inside = format!("{folder}/src/");
    let names = checkout.files.iter().filter_map(|file| {
        let path = file.path.strip_prefix(&inside)?;
        let name = path.split('/').next()?;
        Some(name.trim_end_matches(".rs"))
    });
    names
        .filter(|name| !matches!(*name, "lib" | "main" | "tests"))
        .collect()
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::*;

    const MAP: &str = "\n## Code map\n\n| crate | names |\n|---|---|\n| `x` | `y`, `z` |\n\n\
        **`host/x`, `x`.** What it is.\n\n| module | |\n|---|---|\n| `a.rs`, `b/` | both |\n\n## More\n";

    #[track_caller]
    fn expect(files: &[&str], want: &[&str]) {
        let mut all = vec![(DOCUMENT, MAP), ("host/x/Cargo.toml", "")];
        all.extend(files.iter().map(|path| (*path, "")));
        assert_eq!(check(&checkout_of(&all)), want);
    }

    #[test]
    fn each_module_of_a_table_is_there_and_each_that_is_there_is_told() {
        expect(
            &[
                "host/x/src/a.rs",
                "host/x/src/b/mod.rs",
                "host/x/src/lib.rs",
            ],
            &[],
        );
        expect(
            &["host/x/src/a.rs", "host/x/src/c.rs"],
            &[
                "docs/ARCHITECTURE.md: host/x/src has no b/",
                "docs/ARCHITECTURE.md: does not say what host/x/src/c is",
            ],
        );
    }

    #[test]
    fn each_crate_has_one_place_in_the_map() {
        let new = ["host/x/src/a.rs", "host/x/src/b.rs", "host/new/Cargo.toml"];
        expect(
            &new,
            &["docs/ARCHITECTURE.md: the code map has host/new 0 times"],
        );
    }

    #[test]
    fn the_table_of_crates_is_read_by_its_code_spans() {
        let drawn = drawn_edges(&checkout_of(&[(DOCUMENT, MAP)]));
        let want = BTreeSet::from(["y".to_owned(), "z".to_owned()]);
        assert_eq!(drawn, BTreeMap::from([("x".to_owned(), want)]));
    }
}
