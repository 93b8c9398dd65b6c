//! Lists a directory where the operating system answers directly.

use std::fs;
use std::io;
use std::path::Path;

use super::{Found, Kind};

/// Lists directories.
pub(crate) struct Lister;

impl Lister {
    pub(crate) fn new() -> Self {
        Self
    }

    /// All entries of `directory`, in no order.
    pub(crate) fn list(&mut self, directory: &Path) -> io::Result<Vec<Found>> {
        fs::read_dir(directory)?
            .map(|entry| {
                let entry = entry?;
                Ok(Found {
                    name: entry.file_name(),
                    kind: entry.file_type().ok().map(Kind::from),
                })
            })
            .collect()
    }
}
