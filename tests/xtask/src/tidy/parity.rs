//! docs/PARITY.md promises something for every row of the API it follows; a promise that is
//! called kept names the tests that show it.

use std::collections::BTreeSet;

use super::Checkout;
use super::code::without_text;

const PATH: &str = "docs/PARITY.md";

/// What a row's third cell may say.
const STATES: &[&str] = &["done", "partly", "planned", "departs", "not applicable"];

pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    let Some(file) = checkout.file(PATH) else {
        return vec![format!("{PATH}: missing")];
    };
    let functions = functions(checkout);
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (number, line) in file.text.lines().enumerate() {
        let Some(id) = id(line) else { continue };
        let mut report = |what: String| {
            problems.push(format!("{PATH}:{}: {id}: {what}", number + 1));
        };
        if !seen.insert(id) {
            report("a second row".to_owned());
        }
        match Row::parse(line) {
            Ok(row) => {
                for test in row.tests() {
                    let name = test.rsplit("::").next().unwrap_or(test);
                    if !functions.contains(name) {
                        report(format!("names the test `{test}`, which does not exist"));
                    }
                }
                if row.state == "done" && row.tests().next().is_none() {
                    report("is done, and names no test".to_owned());
                }
            }
            Err(problem) => report(problem),
        }
    }
    if seen.is_empty() {
        problems.push(format!(
            "{PATH}: has no rows `| S001 | what | state | tests |`"
        ));
    }
    problems
}

struct Row<'a> {
    state: &'a str,
    /// What shows it: tests as code spans, and prose.
    shown_by: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Result<Self, String> {
        let cells: Vec<&str> = cells(line).collect();
        let [_, what, state, shown_by] = cells[..] else {
            return Err(format!("has {} cells instead of 4", cells.len()));
        };
        if what.is_empty() {
            return Err("does not say what it promises".to_owned());
        }
        if !STATES.contains(&state) {
            return Err(format!("`{state}` is none of: {}", STATES.join(", ")));
        }
        if state != "planned" && shown_by.is_empty() {
            return Err(format!("is {state}, and gives neither a test nor a reason"));
        }
        Ok(Self { state, shown_by })
    }

    /// Code spans that could be the name of a test.
    fn tests(&self) -> impl Iterator<Item = &'a str> {
        self.shown_by
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|span| span.contains('_') && span.chars().all(is_path_character))
    }
}

fn is_path_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':'
}

/// The id of the row that `line` is, such as `S023`.
fn id(line: &str) -> Option<&str> {
    let first = line.starts_with('|').then(|| cells(line).next())??;
    let digits = first.strip_prefix(['S', 'B'])?;
    (!digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())).then_some(first)
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim().trim_matches('|').split('|').map(str::trim)
}

/// Names of all functions in the checkout's Rust code.
fn functions(checkout: &Checkout) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in checkout.rust() {
        let code = without_text(&file.text);
        let mut words = code
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            if word == "fn" {
                names.extend(words.next().map(str::to_owned));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::{PATH, check};

    #[track_caller]
    fn expect(rows: &str, want: &[&str]) {
        let files = [
            (PATH, rows),
            ("host/a.rs", "#[test] fn ids_are_unique() {}"),
        ];
        assert_eq!(check(&checkout_of(&files)), want);
    }

    #[test]
    fn well_formed_rows_pass() {
        expect(
            "| id | what | state | shown by |\n|---|---|---|---|\n\
             | S001 | ids | done | `host::ids_are_unique`, with `u32` ids |\n\
             | S002 | roles | planned | |\n\
             | B003 | sites | not applicable | there is no interpreter |\n",
            &[],
        );
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        expect(
            "| S001 | ids | done | `no_such_test` |",
            &["docs/PARITY.md:1: S001: names the test `no_such_test`, which does not exist"],
        );
        expect(
            "| S001 | ids | done | trust me |",
            &["docs/PARITY.md:1: S001: is done, and names no test"],
        );
        expect(
            "| S001 | ids | finished | `ids_are_unique` |",
            &[
                "docs/PARITY.md:1: S001: `finished` is none of: done, partly, planned, departs, not applicable",
            ],
        );
        expect(
            "| S001 | ids |",
            &["docs/PARITY.md:1: S001: has 2 cells instead of 4"],
        );
        expect(
            "| S001 | ids | planned | |\n| S001 | ids | planned | |",
            &["docs/PARITY.md:2: S001: a second row"],
        );
        expect(
            "nothing",
            &["docs/PARITY.md: has no rows `| S001 | what | state | tests |`"],
        );
    }
}
