//! Directories that this program loads code from, and where it keeps the secret that seals what
//! it finds there. No plugin may write to any of them, whatever it was granted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Name of this program's directories.
const OURS: &str = "offshoot";
/// Where other machines keep children for users whose home serves no cache: bootstrap makes one of
/// these for each user.
const SHARED: [&str; 3] = ["/var/tmp", "/tmp", "/dev/shm"];
/// Where plugins are built, below a project's root.
const BUILD_OUTPUT: &str = "target/offshoot/plugins";

/// The user's cache: `offshoot` in `$XDG_CACHE_HOME` or `~/.cache`.
#[cfg(feature = "compiler")]
pub(crate) fn cache() -> Option<PathBuf> {
    Some(base("XDG_CACHE_HOME", ".cache")?.join(OURS))
}

/// Where the user's secret is kept: `offshoot` in `$XDG_STATE_HOME` or `~/.local/state`.
fn state() -> Option<PathBuf> {
    Some(base("XDG_STATE_HOME", ".local/state")?.join(OURS))
}

/// Bytes of the secret.
pub(crate) const SECRET_LEN: usize = 32;

/// The file of the secret that seals what is in the cache.
pub(crate) fn secret() -> Option<PathBuf> {
    Some(state()?.join("image-key"))
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    path.is_absolute().then_some(path)
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whose word a directory of plugins is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user named it.
    Named,
    /// It was found by looking around.
    Found,
}

/// The directories where plugins are looked for, in order: those of `OFFSHOOT_PLUGIN_PATH`, then
/// where `offshoot plugin build` leaves them: below `OFFSHOOT_TARGET_DIR` or `CARGO_TARGET_DIR` if
/// one is set, and in the project around the current directory.
pub fn plugins() -> Vec<(PathBuf, Origin)> {
    let mut places: Vec<(PathBuf, Origin)> = Vec::new();
    if let Some(path) = variable("OFFSHOOT_PLUGIN_PATH") {
        let named = std::env::split_paths(&path).filter(|place| !place.as_os_str().is_empty());
        places.extend(named.map(|place| (place, Origin::Named)));
    }
    let moved = variable("OFFSHOOT_TARGET_DIR").map(PathBuf::from);
    let moved = moved.or_else(|| {
        let target = variable("CARGO_TARGET_DIR");
        target.map(|target| Path::new(&target).join(OURS))
    });
    let moved = moved.map(|output| output.join("plugins"));
    let moved = moved.filter(|place| place.is_dir());
    places.extend(moved.map(|place| (place, Origin::Named)));
    if let Ok(current) = std::env::current_dir() {
        let outputs = current.ancestors().map(|around| around.join(BUILD_OUTPUT));
        let found = outputs.filter(|output| output.is_dir()).take(1);
        places.extend(found.map(|place| (place, Origin::Found)));
    }
    places
}

/// All directories and files that code of this user's contexts is loaded from, or that say which
/// code is sound. Those that are not there yet are among them.
pub(crate) fn guarded() -> impl Iterator<Item = PathBuf> {
    static FIXED: LazyLock<Vec<PathBuf>> = LazyLock::new(fixed);
    let places = FIXED
        .iter()
        .cloned()
        .chain(plugins().into_iter().map(|(place, _)| place));
    places.filter_map(|place| std::path::absolute(place).ok())
}

/// Those that stay the same while this process lives.
fn fixed() -> Vec<PathBuf> {
    let mut caches: Vec<PathBuf> = Vec::new();
    caches.extend(absolute("XDG_CACHE_HOME"));
    // A shell that starts a child may be told another home than this process.
    let homes = absolute("HOME").into_iter().chain(home_of_user());
    caches.extend(homes.map(|home| home.join(".cache")));
    let mut places: Vec<PathBuf> = caches.iter().map(|cache| cache.join(OURS)).collect();
    // A directory below one may be bound to another name.
    places.extend(caches.iter().map(|cache| cache.join(OURS).join("images")));
    let user = rustix::process::geteuid().as_raw();
    places.extend(SHARED.map(|shared| Path::new(shared).join(format!("{OURS}-{user}"))));
    places.extend(state());
    places.extend(variable("OFFSHOOT_CHILD").map(PathBuf::from));
    places.extend(std::env::current_exe());
    places
}

/// The home that the system's own list of users names.
fn home_of_user() -> Option<PathBuf> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users
        .lines()
        .map(|line| line.split(':'))
        .find(|line| line.clone().nth(2) == Some(&user))?;
    let home = PathBuf::from(line.clone().nth(5)?);
    home.is_absolute().then_some(home)
}
