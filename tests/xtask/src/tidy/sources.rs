//! Rules about what stands in source files.

use super::code::{has_word, without_text};
use super::exceptions::{LONG_FILES, UNSAFE_FILES};
use super::{Checkout, File};

/// Longer than this, and a file holds more than one idea.
const LINES_MAX: usize = 600;

/// Names that make a queue without a bound.
const UNBOUNDED: &[&str] = &["unbounded", "unbounded_channel", "UnboundedSender"];

pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    let mut problems = too_long(checkout, LONG_FILES);
    problems.extend(unsafe_code(checkout, UNSAFE_FILES));
    problems.extend(unbounded(checkout));
    problems.extend(machine_paths(checkout));
    problems
}

type Excused<'a> = &'a [(&'a str, &'a str)];

fn too_long(checkout: &Checkout, excused: Excused) -> Vec<String> {
    let long = |file: &&File| file.text.lines().count() > LINES_MAX;
    let found = checkout
        .product()
        .filter(|file| file.in_any(&["host/", "guest-sdk/"]))
        .filter(long);
    unexcused(found, excused, &format!("longer than {LINES_MAX} lines"))
}

fn unsafe_code(checkout: &Checkout, excused: Excused) -> Vec<String> {
    let found = checkout
        .product()
        .filter(|file| !file.is_test())
        .filter(|file| has_word(&without_text(&file.text), "unsafe"));
    unexcused(found, excused, "`unsafe` in its code")
}

/// What was found and is not excused, and what is excused and was not found.
fn unexcused<'a>(
    found: impl Iterator<Item = &'a File>,
    excused: Excused,
    what: &str,
) -> Vec<String> {
    let found: Vec<&str> = found.map(|file| file.path.as_str()).collect();
    let is_excused = |path: &str| excused.iter().any(|(known, _)| *known == path);
    let news = found
        .iter()
        .filter(|path| !is_excused(path))
        .map(|path| format!("{path}: {what}, and not among the exceptions"));
    let stale = excused
        .iter()
        .filter(|(path, _)| !found.contains(path))
        .map(|(path, _)| format!("{path}: needs no exception any more: {what}"));
    news.chain(stale).collect()
}

fn unbounded(checkout: &Checkout) -> Vec<String> {
    let mut problems = Vec::new();
    // A test makes its own bounds by what it sends.
    for file in checkout.product().filter(|file| !file.is_test()) {
        let code = without_text(&file.text);
        for (number, line) in code.lines().enumerate() {
            let named = UNBOUNDED.iter().any(|word| has_word(line, word));
            if named || line.contains("mpsc::channel()") {
                let number = number + 1;
                problems.push(format!(
                    "{}:{number}: a queue without a bound; give it one that is named",
                    file.path
                ));
            }
        }
    }
    problems
}

/// Where this checkout and this user's tools lie means nothing to anyone else.
fn machine_paths(checkout: &Checkout) -> Vec<String> {
    let mut private = vec![checkout.root.display().to_string()];
    if let Some(home) = std::env::var_os("HOME") {
        let home = home.to_string_lossy();
        private.push(format!("{home}/.cargo"));
        private.push(format!("{home}/.rustup"));
    }
    let mut problems = Vec::new();
    for file in &checkout.files {
        for path in &private {
            if file.text.contains(path.as_str()) {
                problems.push(format!(
                    "{}: names `{path}`, which is this machine's",
                    file.path
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason_and_loses_it_when_short() {
        let long = "\n".repeat(LINES_MAX + 1);
        let files = [("host/a.rs", long.as_str()), ("tests/a.rs", long.as_str())];
        let checkout = checkout_of(&files);
        assert_eq!(
            too_long(&checkout, &[]),
            ["host/a.rs: longer than 600 lines, and not among the exceptions"]
        );
        assert!(too_long(&checkout, &[("host/a.rs", "generated")]).is_empty());
        assert_eq!(
            too_long(
                &checkout,
                &[("host/a.rs", "generated"), ("host/b.rs", "gone")]
            ),
            ["host/b.rs: needs no exception any more: longer than 600 lines"]
        );
    }

    #[test]
    fn unsafe_counts_in_the_product_only() {
        let files = [
            ("guest-sdk/a.rs", "unsafe { f() }"),
            ("guest-sdk/b.rs", "// unsafe"),
            ("tests/c.rs", "unsafe { f() }"),
        ];
        let problems = unsafe_code(&checkout_of(&files), &[]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("guest-sdk/a.rs: "), "{problems:?}");
    }

    #[test]
    fn unbounded_queues_are_found_by_line() {
        let source = "let a = mpsc::channel(8);\nlet b = mpsc::unbounded_channel();\n";
        assert_eq!(
            unbounded(&checkout_of(&[("host/a.rs", source)])),
            ["host/a.rs:2: a queue without a bound; give it one that is named"]
        );
    }

    #[test]
    fn the_checkout_s_own_place_is_private() {
        let files = [
            ("README.md", "cd /checkout && make"),
            ("docs/a.md", "cd offshoot"),
        ];
        assert_eq!(
            machine_paths(&checkout_of(&files)),
            ["README.md: names `/checkout`, which is this machine's"]
        );
    }
}
