//! Rules about what the product's users read: parameters, and documentation.

use std::collections::BTreeSet;

use super::code::{shipped, without_text};
use super::exceptions::BOOL_PARAMETERS;
use super::{Checkout, File};

pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    let mut problems = bool_parameters(checkout, BOOL_PARAMETERS);
    problems.extend(row_ids(checkout));
    problems
}

/// A `bool` says nothing at the place of the call: two functions or an enum do. A setter of a builder,
/// whose name says what is set, is excepted.
fn bool_parameters(checkout: &Checkout, excused: &[&str]) -> Vec<String> {
    let found: BTreeSet<String> = checkout
        .product()
        .filter(|file| file.in_any(&["host/", "guest-sdk/"]) && !file.is_test())
        .flat_map(functions_with_bool)
        .collect();
    let news = found
        .iter()
        .filter(|name| !excused.contains(&name.as_str()))
        .map(|name| format!("{name}: a public function with a `bool` parameter"));
    let stale = excused
        .iter()
        .filter(|name| !found.contains(**name))
        .map(|name| format!("{name}: has no `bool` parameter any more: take it off the list"));
    news.chain(stale).collect()
}

fn functions_with_bool(file: &File) -> Vec<String> {
    let code = shipped(&without_text(&file.text));
    let mut found = Vec::new();
    for start in public_functions(&code) {
        let Some((name, rest)) = start.split_once('(') else {
            continue;
        };
        let name = name.split('<').next().unwrap_or_default().trim();
        let Some(parameters) = parameters_in(rest) else {
            continue;
        };
        let is_bool = |parameter: &&str| parameter.split(':').nth(1).map(str::trim) == Some("bool");
        let is_self = parameters
            .split(',')
            .any(|it| matches!(it.trim(), "self" | "mut self"));
        let setter = is_self
            && rest[parameters.len()..]
                .trim_start_matches(')')
                .trim_start()
                .starts_with("-> Self");
        if !setter && parameters.split(',').any(|it| is_bool(&it)) {
            found.push(format!("{}::{name}", file.path));
        }
    }
    found
}

/// What follows `fn ` of each function that other crates may call.
fn public_functions(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("fn ").filter_map(|(at, word)| {
        let line = code[..at]
            .rsplit(['\n', ';', '}', '{'])
            .next()
            .unwrap_or_default();
        let mut words = line.split_whitespace();
        let is_public = words.next() == Some("pub");
        is_public.then(|| &code[at + word.len()..])
    })
}

/// The text up to the parenthesis that closes the list.
fn parameters_in(rest: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(&rest[..at]),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Rows of `docs/PARITY.md` are for those who work on this, and mean nothing to a user.
fn row_ids(checkout: &Checkout) -> Vec<String> {
    let mut problems = Vec::new();
    for file in checkout.product() {
        for (number, line) in file.text.lines().enumerate() {
            let line = line.trim_start();
            if !line.starts_with("///") && !line.starts_with("//!") {
                continue;
            }
            if line.split('`').skip(1).step_by(2).any(is_row_id) {
                problems.push(format!(
                    "{}:{}: documentation names a row of docs/PARITY.md",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    problems
}

fn is_row_id(span: &str) -> bool {
    let mut characters = span.chars();
    let kind = characters.next().is_some_and(|c| "SBTF".contains(c));
    kind && span.len() > 1 && characters.all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::*;

    #[track_caller]
    fn expect_bool(source: &str, want: &[&str]) {
        let found = bool_parameters(&checkout_of(&[("host/a.rs", source)]), &[]);
        let names: Vec<&str> = found
            .iter()
            .filter_map(|it| it.split(": ").next())
            .collect();
        assert_eq!(names, want);
    }

    #[test]
    fn a_bool_among_the_parameters_is_found_and_a_setter_is_excepted() {
        expect_bool("pub fn f(a: u8, b: bool) {}", &["host/a.rs::f"]);
        expect_bool(
            "pub async fn g<T>(\n    a: fn(u8) -> T,\n    b: bool,\n) {}",
            &["host/a.rs::g"],
        );
        expect_bool(
            "pub fn persist(mut self, persist: bool) -> Self { self }",
            &[],
        );
        expect_bool("fn f(b: bool) {}\npub(crate) fn g(b: bool) {}", &[]);
        expect_bool("pub fn f(a: u8) -> bool { true }", &[]);
    }

    #[test]
    fn an_excuse_ends_with_what_it_excuses() {
        let checkout = checkout_of(&[("host/a.rs", "pub fn f(b: bool) {}")]);
        assert!(bool_parameters(&checkout, &["host/a.rs::f"]).is_empty());
        assert_eq!(
            bool_parameters(&checkout, &["host/a.rs::f", "host/a.rs::g"]),
            ["host/a.rs::g: has no `bool` parameter any more: take it off the list"]
        );
    }

    #[test]
    fn row_ids_are_for_tests_and_comments() {
        let source =
            "/// Waits (`S105`).\n// As `B042` says.\nfn s105_waits() {}\n/// `SIGTERM`, `T`\n";
        assert_eq!(
            row_ids(&checkout_of(&[("host/a.rs", source)])),
            ["host/a.rs:1: documentation names a row of docs/PARITY.md"]
        );
    }
}
