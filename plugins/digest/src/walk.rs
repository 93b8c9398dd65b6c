//! Finds the regular files of a tree, in the order of their paths.
//!
//! Paths are ordered byte by byte, as `LC_ALL=C sort` orders them, and files come one at a time:
//! the walk holds the names of one directory on each level, never those of the whole tree. What
//! a directory listing says of an entry's type is believed, so a file costs no system call here.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::listing::{Found, Kind, Lister};
use crate::report::Skips;

/// Not entered from above: the kernel makes these up while they are read, some without an end.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// A walk under way.
pub(crate) struct Walk {
    root: PathBuf,
    lister: Lister,
    /// What is left, last first. It lives here and not on the stack, which is small in a plugin
    /// and would let a deep tree end it.
    pending: Vec<Entry>,
    /// Directories listed so far.
    pub(crate) directories: u64,
    /// Symbolic links seen so far.
    pub(crate) links: u64,
}

/// Something to visit, by its path below the root.
enum Entry {
    File(OsString),
    /// With a slash at the end, which gives the directory its place among files: `a-b` is
    /// before `a/b`.
    Directory(OsString),
}

impl Entry {
    fn path(&self) -> &OsString {
        match self {
            Self::File(path) | Self::Directory(path) => path,
        }
    }
}

impl Walk {
    /// Starts at `root`. It may be a link to a directory; links below it are not followed.
    pub(crate) fn new(root: &Path, skips: &mut Skips) -> Result<Self> {
        let mut lister = Lister::new();
        let entries = lister
            .list(root)
            .map_err(|error| Error::opening(root, error))?;
        let mut walk = Self {
            root: root.to_owned(),
            lister,
            pending: Vec::new(),
            directories: 0,
            links: 0,
        };
        walk.list(OsStr::new(""), entries, skips);
        Ok(walk)
    }

    /// The next file's path below the root.
    pub(crate) fn next_file(&mut self, skips: &mut Skips) -> Option<PathBuf> {
        loop {
            match self.pending.pop()? {
                Entry::File(path) => return Some(path.into()),
                Entry::Directory(path) => self.enter(&path, skips),
            }
        }
    }

    /// Where a path below the root lies.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    fn enter(&mut self, path: &OsStr, skips: &mut Skips) {
        let relative = Path::new(path);
        let absolute = self.absolute(relative);
        if KERNEL.iter().any(|kernel| absolute == Path::new(kernel)) {
            skips.add(
                relative,
                "belongs to the kernel: name it as the tree to hash it",
            );
            return;
        }
        match self.lister.list(&absolute) {
            Ok(entries) => self.list(path, entries, skips),
            Err(error) => skips.add(relative, format!("cannot list: {error}")),
        }
    }

    fn list(&mut self, directory: &OsStr, entries: Vec<Found>, skips: &mut Skips) {
        self.directories += 1;
        let first = self.pending.len();
        for entry in entries {
            self.add(directory, entry, skips);
        }
        self.pending[first..].sort_unstable_by(|one, other| other.path().cmp(one.path()));
    }

    fn add(&mut self, directory: &OsStr, entry: Found, skips: &mut Skips) {
        let mut path = directory.to_owned();
        path.push(entry.name);
        let kind = match entry.kind {
            Some(kind) => Ok(kind),
            None => fs::symlink_metadata(self.root.join(&path)).map(|data| data.file_type().into()),
        };
        match kind {
            Ok(Kind::File) => self.pending.push(Entry::File(path)),
            Ok(Kind::Directory) => {
                path.push("/");
                self.pending.push(Entry::Directory(path));
            }
            Ok(Kind::Link) => self.links += 1,
            Ok(Kind::Special) => skips.add(Path::new(&path), "is a device, a socket or a pipe"),
            Err(error) => skips.add(Path::new(&path), format!("cannot tell its type: {error}")),
        }
    }
}
