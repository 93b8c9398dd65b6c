//! Finds a plugin's file by the plugin's name.

use std::path::{Path, PathBuf};

use super::{Plugin, PluginError};

/// The directories where plugins are looked for, in order: those of `OFFSHOOT_PLUGIN_PATH`, then
/// where `offshoot plugin build` leaves them: below `OFFSHOOT_TARGET_DIR` or `CARGO_TARGET_DIR` if
/// one is set, and in the project around the current directory.
pub fn search_path() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(path) = variable("OFFSHOOT_PLUGIN_PATH") {
        places.extend(std::env::split_paths(&path).filter(|place| !place.as_os_str().is_empty()));
    }
    let moved = variable("OFFSHOOT_TARGET_DIR").map(PathBuf::from);
    let moved = moved.or_else(|| {
        let target = variable("CARGO_TARGET_DIR");
        target.map(|target| Path::new(&target).join("offshoot"))
    });
    let moved = moved.map(|output| output.join("plugins"));
    places.extend(moved.filter(|place| place.is_dir()));
    if let Ok(current) = std::env::current_dir() {
        let outputs = current.ancestors().map(|around| around.join(BUILD_OUTPUT));
        places.extend(outputs.filter(|output| output.is_dir()).take(1));
    }
    places
}

/// Where plugins are built, below the project's root.
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
