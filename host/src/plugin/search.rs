//! Finds a plugin's file by the plugin's name.

use std::path::{Path, PathBuf};

use super::{Plugin, PluginError};

/// The directories where plugins are looked for, in order: those of `OFFSHOOT_PLUGIN_PATH`, then
/// the build output of the project around the current directory.
pub fn search_path() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(path) = std::env::var_os("OFFSHOOT_PLUGIN_PATH") {
        places.extend(std::env::split_paths(&path).filter(|place| !place.as_os_str().is_empty()));
    }
    if let Ok(current) = std::env::current_dir() {
        let outputs = current.ancestors().map(|around| around.join(BUILD_OUTPUT));
        places.extend(outputs.filter(|output| output.is_dir()).take(1));
    }
    places
}

/// Where `offshoot plugin build` leaves plugins, below the project's root.
const BUILD_OUTPUT: &str = "target/offshoot/plugins";

pub(super) fn find(name: &str) -> Result<Plugin, PluginError> {
    let searched = search_path();
    match searched.iter().find_map(|place| file_in(place, name)) {
        Some(path) => Plugin::open(path),
        None => Err(PluginError::Unknown {
            name: name.to_owned(),
            searched,
        }),
    }
}

/// The file of that plugin in `place`: Cargo writes underscores where a package has hyphens.
fn file_in(place: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), name.replace('-', "_")]
        .into_iter()
        .map(|stem| place.join(stem + ".wasm"))
        .find(|path| path.is_file())
}
