//! Hashes the files of a directory tree where they lie, and sends back only the result.
//!
//! ```text
//! offshoot call web1,web2 digest::tree /usr blake3 --grant read:/usr
//! offshoot call local digest::files /etc sha256 20 --grant read:/etc
//! ```
//!
//! Two trees with the same [`Report::digest`] hold the same files under the same names. With
//! `sha256` it is also what coreutils compute, so that a result can be checked without us:
//!
//! ```text
//! cd /usr && find * -type f | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
//! ```
//!
//! Only the names and contents of regular files count. Symbolic links are counted and not
//! followed, so that a tree ends where it seems to end; devices, sockets and pipes are not
//! opened, because that alone can block or have effects. A tree may change while it is read:
//! what vanished, may not be read or misbehaves is reported in [`Report::skipped`], and the rest
//! is hashed.

mod algorithm;
mod content;
mod error;
mod listing;
mod report;
mod walk;

pub use algorithm::Algorithm;
pub use error::{Error, Result};
pub use report::{FileDigest, Listing, Report, Skipped};

use std::path::Path;

use offshoot_guest::function;

use content::Reader;
use report::{Combined, Skips};
use walk::Walk;

/// Hashes all files below a directory into one digest.
#[function]
pub fn tree(path: String, algorithm: Algorithm) -> Result<Report> {
    let mut reader = Reader::new(algorithm);
    let mut skips = Skips::default();
    let mut combined = Combined::new(algorithm);
    let mut walk = Walk::new(Path::new(&path), &mut skips)?;
    while let Some(file) = walk.next_file(&mut skips) {
        match reader.read(&walk.absolute(&file)) {
            Ok(content) => combined.add(&file, &content),
            Err(reason) => skips.add(&file, reason),
        }
    }
    let digest = combined.finish();
    Ok(Report {
        files: digest.files,
        bytes: digest.bytes,
        digest: digest.text,
        directories: walk.directories,
        links: walk.links,
        skipped_count: skips.count,
        skipped: skips.first,
    })
}

/// Hashes the files below a directory one by one, in order of their names, `limit` at most.
#[function]
pub fn files(path: String, algorithm: Algorithm, limit: u32) -> Result<Listing> {
    let mut reader = Reader::new(algorithm);
    let mut skips = Skips::default();
    let mut files = Vec::new();
    let mut walk = Walk::new(Path::new(&path), &mut skips)?;
    let complete = loop {
        let Some(file) = walk.next_file(&mut skips) else {
            break true;
        };
        if files.len() >= limit as usize {
            break false;
        }
        match reader.read(&walk.absolute(&file)) {
            Ok(content) => files.push(FileDigest {
                path: file.to_string_lossy().into_owned(),
                bytes: content.bytes,
                digest: content.digest,
            }),
            Err(reason) => skips.add(&file, reason),
        }
    };
    Ok(Listing {
        files,
        complete,
        skipped_count: skips.count,
        skipped: skips.first,
    })
}

/// Hashes one file. Unlike the other two, it follows a link that it is given.
#[function]
pub fn file(path: String, algorithm: Algorithm) -> Result<FileDigest> {
    let location = Path::new(&path);
    let kind = std::fs::metadata(location)
        .map_err(|error| Error::opening(location, error))?
        .file_type();
    if !kind.is_file() {
        return Err(Error::NotAFile { path });
    }
    match Reader::new(algorithm).read(location) {
        Ok(content) => Ok(FileDigest {
            bytes: content.bytes,
            digest: content.digest,
            path,
        }),
        Err(reason) => Err(Error::Unreadable { path, reason }),
    }
}

#[cfg(test)]
mod tests;
