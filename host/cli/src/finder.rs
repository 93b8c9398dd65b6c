//! Finds a plugin's file by the plugin's name.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::args::SearchArgs;
use super::report::Problem;
use offshoot::json::near;
use offshoot::{Plugin, PluginError};

/// Names that an error lists.
const LISTED_MAX: usize = 20;

/// Where to search, in order.
pub(super) struct Finder {
    directories: Vec<PathBuf>,
}

impl Finder {
    /// The directories named on the command line, then those where the library looks.
    pub(super) fn new(search: &SearchArgs) -> Self {
        let mut directories = search.directories.clone();
        directories.extend(offshoot::search_path());
        Self { directories }
    }

    /// The file of the plugin; hyphens equal underscores.
    pub(super) fn find(&self, plugin: &str) -> Result<PathBuf, Problem> {
        for directory in &self.directories {
            let files = plugins_in(directory);
            let exact = files.iter().find(|(name, _)| name == plugin);
            let alike = || files.iter().find(|(name, _)| is_same(name, plugin));
            if let Some((_, path)) = exact.or_else(alike) {
                return Ok(path.clone());
            }
        }
        Err(self.unknown(plugin))
    }

    fn unknown(&self, plugin: &str) -> Problem {
        let mut found: Vec<String> = self
            .directories
            .iter()
            .flat_map(|directory| plugins_in(directory))
            .map(|(name, _)| name)
            .collect();
        found.sort();
        found.dedup();
        let mut problem = Problem::usage(format!("unknown plugin `{plugin}`"));
        for directory in &self.directories {
            let shown = directory.display();
            problem = problem.note(match directory.is_dir() {
                true => format!("no `{plugin}.wasm` is in {shown}"),
                false => format!("there is no directory {shown}"),
            });
        }
        let guesses = near(plugin, found.iter().map(String::as_str));
        if let Some(guess) = guesses.first() {
            problem = problem.help(format!("did you mean `{guess}`?"));
        } else if !found.is_empty() {
            found.truncate(LISTED_MAX);
            problem = problem.note(format!("there are {}", found.join(", ")));
        }
        problem.help(
            "name the file with `--plugin FILE`, or its directory with `--plugin-dir DIR` or \
             OFFSHOOT_PLUGIN_PATH; `offshoot plugin build` makes one from a crate",
        )
    }
}

/// Reads a plugin's file.
pub(super) fn open(path: &Path) -> Result<Plugin, Problem> {
    Plugin::open(path).map_err(|error| match &error {
        PluginError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
            Problem::usage(format!("there is no file {}", path.display()))
                .help("`offshoot plugin build` prints where it puts a plugin")
        }
        PluginError::Read { .. } => Problem::usage(error.to_string()),
        _ => Problem::failed(error.to_string()),
    })
}

/// Whether two names mean one plugin: cargo turns a package's hyphens into a file's underscores.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let fold = |c| if c == '-' { '_' } else { c };
    a.chars().map(fold).eq(b.chars().map(fold))
}

/// Names and paths of the plugins right in a directory, in order of their names.
fn plugins_in(directory: &Path) -> Vec<(String, PathBuf)> {
    let mut plugins: Vec<(String, PathBuf)> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "wasm"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    plugins.sort();
    plugins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(names: &[&str]) -> (tempfile::TempDir, Finder) {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let directories = vec![directory.path().join("none"), directory.path().to_owned()];
        (directory, Finder { directories })
    }

    #[test]
    fn an_exact_name_comes_before_one_that_is_alike() {
        let (root, finder) = finder(&["disk-use.wasm", "disk_use.wasm", "facts.wasm"]);
        let file = |name: &str| root.path().join(name);
        assert_eq!(finder.find("disk_use").unwrap(), file("disk_use.wasm"));
        assert_eq!(finder.find("disk-use").unwrap(), file("disk-use.wasm"));
        assert_eq!(finder.find("facts").unwrap(), file("facts.wasm"));
    }

    #[test]
    fn an_unknown_name_says_where_we_looked_and_what_is_near() {
        let (root, finder) = finder(&["facts.wasm", "digest.wasm", "notes.txt"]);
        let shown = root.path().display();
        let want = Problem::usage("unknown plugin `fatcs`")
            .note(format!("there is no directory {shown}/none"))
            .note(format!("no `fatcs.wasm` is in {shown}"))
            .help("did you mean `facts`?")
            .help(
                "name the file with `--plugin FILE`, or its directory with `--plugin-dir DIR` or \
                 OFFSHOOT_PLUGIN_PATH; `offshoot plugin build` makes one from a crate",
            );
        assert_eq!(finder.find("fatcs").unwrap_err(), want);
    }

    #[test]
    fn a_name_is_never_a_path() {
        let (_root, finder) = finder(&["facts.wasm"]);
        assert!(finder.find("../facts").is_err());
        assert!(finder.find("").is_err());
    }
}
