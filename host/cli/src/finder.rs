//! Finds a plugin's file by the plugin's name.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::args::SearchArgs;
use super::report::Diagnostic;
use offshoot::json::near;
use offshoot::{NotOurs, Plugin, PluginError, SearchPlace, search_places};

/// Names that an error lists.
const LISTED_MAX: usize = 20;

/// Where to search, in order.
pub(super) struct Finder {
    places: Vec<SearchPlace>,
}

impl Finder {
    /// The directories named on the command line, then those where the library looks.
    pub(super) fn new(search: &SearchArgs) -> Self {
        let named = search.directories.iter().cloned().map(SearchPlace::named);
        Self {
            places: named.chain(search_places()).collect(),
        }
    }

    /// The file of the plugin; hyphens equal underscores. One that another user could have put
    /// where it was found is refused, and not passed by: it may stand before the right one.
    pub(super) fn find(&self, plugin: &str) -> Result<PathBuf, Diagnostic> {
        for place in &self.places {
            let files = plugins_in(&place.directory);
            let exact = files.iter().find(|(name, _)| name == plugin);
            let alike = || files.iter().find(|(name, _)| is_same(name, plugin));
            if let Some((_, path)) = exact.or_else(alike) {
                let refused = |reason: NotOurs| {
                    let path = path.display();
                    Diagnostic::usage(format!("plugin {path} is not taken: {reason}")).help(
                        format!("if it is to be trusted, name it with `--plugin {path}`"),
                    )
                };
                place.check(path).map_err(refused)?;
                return Ok(path.clone());
            }
        }
        Err(self.unknown(plugin))
    }

    fn unknown(&self, plugin: &str) -> Diagnostic {
        let mut found: Vec<String> = self
            .places
            .iter()
            .flat_map(|place| plugins_in(&place.directory))
            .map(|(name, _)| name)
            .collect();
        found.sort();
        found.dedup();
        let mut problem = Diagnostic::usage(format!("unknown plugin `{plugin}`"));
        for SearchPlace { directory, .. } in &self.places {
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
pub(super) fn open(path: &Path) -> Result<Plugin, Diagnostic> {
    Plugin::open(path).map_err(|error| match &error {
        PluginError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
            Diagnostic::usage(format!("there is no file {}", path.display()))
                .help("`offshoot plugin build` prints where it puts a plugin")
        }
        PluginError::Read { .. } => Diagnostic::usage(error.to_string()),
        _ => Diagnostic::failed(error.to_string()),
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
        let directories = [directory.path().join("none"), directory.path().to_owned()];
        let places = directories.map(SearchPlace::named).into();
        (directory, Finder { places })
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
        let want = Diagnostic::usage("unknown plugin `fatcs`")
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
    fn a_plugin_that_others_can_write_is_refused_where_it_was_found_and_taken_where_named() {
        use std::os::unix::fs::PermissionsExt as _;

        let (root, _) = finder(&["facts.wasm"]);
        let file = root.path().join("facts.wasm");
        let find = |place: fn(PathBuf) -> SearchPlace| {
            let places = vec![place(root.path().to_owned())];
            Finder { places }.find("facts")
        };
        assert_eq!(find(SearchPlace::found).unwrap(), file);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o646)).unwrap();
        let path = file.display();
        let want = Diagnostic::usage(format!(
            "plugin {path} is not taken: `{path}` can be written by others: its mode is 646"
        ))
        .help(format!(
            "if it is to be trusted, name it with `--plugin {path}`"
        ));
        assert_eq!(find(SearchPlace::found).unwrap_err(), want);
        assert_eq!(find(SearchPlace::named).unwrap(), file);
    }

    #[test]
    fn a_name_is_never_a_path() {
        let (_root, finder) = finder(&["facts.wasm"]);
        assert!(finder.find("../facts").is_err());
        assert!(finder.find("").is_err());
    }
}
