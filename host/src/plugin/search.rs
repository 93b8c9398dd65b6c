//! Finds a plugin's file by the plugin's name.

use std::path::{Path, PathBuf};

use offshoot_wasm::places::{self, Origin};

use super::ownership::{self, NotOurs};
use super::{Plugin, PluginError};

/// The directories where plugins are looked for, in order: those of `OFFSHOOT_PLUGIN_PATH`, then
/// where `offshoot plugin build` leaves them: below `OFFSHOOT_TARGET_DIR` or `CARGO_TARGET_DIR` if
/// one is set, and in the project around the current directory.
///
/// The last one is found by looking around, so a plugin in it is refused if it, or a directory on
/// the way to it, belongs to another user than this one and root, or others may write there.
pub fn search_path() -> Vec<PathBuf> {
    search_places()
        .into_iter()
        .map(|place| place.directory)
        .collect()
}

/// A directory where plugins are looked for.
#[derive(Clone, Debug)]
pub struct SearchPlace {
    /// Its path.
    pub directory: PathBuf,
    origin: Origin,
}

impl SearchPlace {
    /// One that the user named, whose owner is the user's own business.
    pub fn named(directory: PathBuf) -> Self {
        Self {
            directory,
            origin: Origin::Named,
        }
    }

    /// One that was found by looking around.
    pub fn found(directory: PathBuf) -> Self {
        Self {
            directory,
            origin: Origin::Found,
        }
    }

    /// Makes sure that a file in it is the user's own: that nobody but the user and root could have
    /// put it there. What the user named is.
    ///
    /// # Errors
    ///
    /// Fails with what others own or may write.
    pub fn check(&self, file: &Path) -> Result<(), NotOurs> {
        match self.origin {
            Origin::Named => Ok(()),
            Origin::Found => ownership::check(file),
        }
    }
}

/// The same directories, with whether the user named each.
pub fn search_places() -> Vec<SearchPlace> {
    let places = places::plugins().into_iter();
    places
        .map(|(directory, origin)| SearchPlace { directory, origin })
        .collect()
}

pub(super) fn find(name: &str) -> Result<Plugin, PluginError> {
    for place in search_places() {
        if let Some(path) = file_in(&place.directory, name) {
            place.check(&path).map_err(|reason| PluginError::NotOurs {
                path: path.clone(),
                reason: reason.to_string(),
            })?;
            return Plugin::open(path);
        }
    }
    Err(PluginError::Unknown {
        name: name.to_owned(),
        searched: search_path(),
    })
}

/// The file of that plugin in `place`: Cargo writes underscores where a package has hyphens.
fn file_in(place: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), name.replace('-', "_")]
        .into_iter()
        .map(|stem| place.join(stem + ".wasm"))
        .find(|path| path.is_file())
}
