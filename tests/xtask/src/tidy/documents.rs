//! Documents drift: what they point at must exist.

use super::Checkout;

/// Folders that a path in a document may start with.
const FOLDERS: &[&str] = &[
    ".cargo/",
    ".ci/",
    "docs/",
    "guest-sdk/",
    "host/",
    "plugins/",
    "tests/",
];

/// It tells what was, and what was may be gone.
const HISTORY: &str = "CHANGELOG.md";

pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    let mut problems = Vec::new();
    for file in checkout.markdown().filter(|file| file.path != HISTORY) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, line) in file.text.lines().enumerate() {
            let linked = links(line).filter_map(|target| resolve(folder, target));
            let named = code_spans(line).filter_map(path_in_span).map(Some);
            for target in linked.chain(named) {
                problems.extend(missing(checkout, &file.path, number + 1, target.as_deref()));
            }
        }
    }
    for file in checkout.rust() {
        for (number, line) in file.text.lines().enumerate() {
            let comment = line.trim_start();
            if !comment.starts_with("//") {
                continue;
            }
            for path in comment.split(|c: char| !is_path_character(c)).map(trim_end) {
                if path.starts_with("docs/") && path.ends_with(".md") {
                    problems.extend(missing(checkout, &file.path, number + 1, Some(path)));
                }
            }
        }
    }
    problems
}

fn missing(checkout: &Checkout, from: &str, line: usize, target: Option<&str>) -> Option<String> {
    let Some(target) = target else {
        return Some(format!("{from}:{line}: a link that leaves the checkout"));
    };
    let folder = format!("{}/", target.trim_end_matches('/'));
    let exists = checkout
        .files
        .iter()
        .any(|file| file.path == target || file.path.starts_with(&folder));
    (!exists).then(|| format!("{from}:{line}: mentions {target}, which does not exist"))
}

/// Targets of the inline links on a line that point at files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
            .then_some(target)
    })
}

/// The path from the root that `target`, seen from `folder`, stands for; `None` inside when it
/// leaves the checkout.
fn resolve(folder: &str, target: &str) -> Option<Option<String>> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Some(None),
            ".." => {}
            _ => parts.push(part),
        }
    }
    // A link to the root itself mentions nothing that could be missing.
    (!parts.is_empty()).then(|| Some(parts.join("/")))
}

fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The file that a code span names: a path below one of our folders, a line number cut off.
fn path_in_span(span: &str) -> Option<String> {
    let path = span.split(['#', ':']).next()?;
    let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
    (ours && path.chars().all(is_path_character)).then(|| path.to_owned())
}

fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./".contains(c)
}

/// A path at the end of a sentence.
fn trim_end(path: &str) -> &str {
    path.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::check;

    #[track_caller]
    fn expect(path: &str, text: &str, want: &[&str]) {
        let files = [
            (path, text),
            ("host/src/lib.rs", ""),
            ("docs/design/a.md", ""),
        ];
        assert_eq!(check(&checkout_of(&files)), want);
    }

    #[test]
    fn links_are_followed_from_the_document() {
        expect(
            "docs/b.md",
            "[a](design/a.md) [lib](../host/src/lib.rs#new)",
            &[],
        );
        expect(
            "docs/b.md",
            "[out](../../elsewhere)",
            &["docs/b.md:1: a link that leaves the checkout"],
        );
        expect(
            "docs/b.md",
            "\n[gone](gone.md)",
            &["docs/b.md:2: mentions docs/gone.md, which does not exist"],
        );
        expect(
            "README.md",
            "[site](https://example.org/a) [here](#words)",
            &[],
        );
    }

    #[test]
    fn code_spans_that_look_like_our_files_must_be_files() {
        expect("README.md", "`host/src/lib.rs:12` and `docs/design/`", &[]);
        expect("README.md", "`host/src/<name>.rs` `/usr/bin` `a/b`", &[]);
        expect(
            "README.md",
            "see `host/src/gone.rs`",
            &["README.md:1: mentions host/src/gone.rs, which does not exist"],
        );
    }

    #[test]
    fn comments_may_only_name_documents_that_exist() {
        expect("host/a.rs", "//! See docs/design/a.md.", &[]);
        expect(
            "host/a.rs",
            "// Described in docs/gone.md.",
            &["host/a.rs:1: mentions docs/gone.md, which does not exist"],
        );
    }
}
