//! What a directory holds, and of which type each entry is.

#[cfg(any(target_os = "wasi", test))]
mod dirent;
#[cfg_attr(target_os = "wasi", path = "listing/wasi.rs")]
#[cfg_attr(not(target_os = "wasi"), path = "listing/native.rs")]
mod system;

use std::ffi::OsString;
use std::fs::FileType;

pub(crate) use system::Lister;

/// An entry of a directory.
pub(crate) struct Found {
    pub(crate) name: OsString,
    /// `None` when the listing does not say, as on some file systems.
    pub(crate) kind: Option<Kind>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// A device, a socket or a pipe.
    Special,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        if kind.is_file() {
            Self::File
        } else if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            Self::Link
        } else {
            Self::Special
        }
    }
}
