//! The rules of this project that a compiler does not check.
//!
//! A rule that nobody checks is a wish. Each one here is a function from the checkout to a list
//! of problems; `cargo xtask tidy` prints them, and a test of this crate runs the same.

mod circles;
mod code;
mod code_map;
mod documents;
mod edges;
mod exceptions;
mod parity;
mod signatures;
mod sources;
mod top_level;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::workspace;

pub(crate) const HELP: &str = "\
Checks the project's own rules, in a second:
  - crates depend on each other as docs/ARCHITECTURE.md has it, which has each crate and module
  - no files of one crate import each other in a circle
  - public functions take no `bool`, and documentation names no row of docs/PARITY.md
  - no source file of the host or the SDK is longer than 600 lines
  - `unsafe` appears only in tests and in the files listed for it
  - no unbounded queue in the host, the SDK or the plugins
  - nothing names a path of one person's machine
  - documents mention only files that exist
  - every row of docs/PARITY.md is well-formed and names tests that exist
  - nothing new at the top of the checkout

Usage: cargo xtask tidy

Exceptions, each with its reason, are in tests/xtask/src/tidy/exceptions.rs.";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    if let [word, ..] = arguments {
        bail!("tidy takes no arguments, and got `{word}`");
    }
    check_and_report()
}

/// Prints every problem, and fails when there is one.
pub(crate) fn check_and_report() -> Result<()> {
    let problems = problems()?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        count => bail!("{count} rules broken"),
    }
}

fn problems() -> Result<Vec<String>> {
    let checkout = Checkout::read()?;
    let mut problems = top_level::check(&checkout);
    let drawn = code_map::drawn_edges(&checkout);
    let metadata = workspace::metadata(&checkout.root)?;
    problems.extend(edges::check(&metadata, &drawn)?);
    problems.extend(code_map::check(&checkout));
    problems.extend(signatures::check(&checkout));
    problems.extend(circles::check(&checkout));
    problems.extend(sources::check(&checkout));
    problems.extend(documents::check(&checkout));
    problems.extend(parity::check(&checkout));
    Ok(problems)
}

/// The files of the checkout, read once.
struct Checkout {
    root: PathBuf,
    files: Vec<File>,
}

struct File {
    /// Relative to the root, with `/`.
    path: String,
    /// Empty for a file that is not text.
    text: String,
}

impl Checkout {
    fn read() -> Result<Self> {
        let root = workspace::root()?;
        let read = |path: String| {
            let bytes = std::fs::read(root.join(&path))
                .with_context(|| format!("could not read {path}"))?;
            let text = String::from_utf8(bytes).unwrap_or_default();
            Ok(File { path, text })
        };
        let files = workspace::files(&root)?
            .into_iter()
            .map(read)
            .collect::<Result<_>>()?;
        Ok(Self { root, files })
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files of the crates themselves: what ships, not what tests it.
    fn product(&self) -> impl Iterator<Item = &File> {
        self.rust()
            .filter(|file| file.in_any(&["host/", "guest-sdk/", "plugins/"]))
    }

    fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }
}

impl File {
    /// Whether it is a module of tests, by the names that modules of tests have here.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn in_any(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

#[cfg(test)]
fn checkout_of(files: &[(&str, &str)]) -> Checkout {
    let files = files.iter().map(|(path, text)| File {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    });
    Checkout {
        root: PathBuf::from("/checkout"),
        files: files.collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checkout_is_tidy() {
        let problems = super::problems().unwrap();
        assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    }
}
