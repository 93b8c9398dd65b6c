//! What the functions return, and how it adds up.

use std::path::Path;

use offshoot_guest::data;

use crate::algorithm::{Algorithm, Hasher};
use crate::content::Content;

/// Skipped paths that are listed by name. A tree that nobody may read would otherwise send back
/// the names of all its files.
const SKIPPED_MAX: usize = 1000;

/// A directory tree, hashed.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Files that were hashed.
    pub files: u64,
    /// Directories that were listed, with the tree's root.
    pub directories: u64,
    /// Symbolic links, which were not followed and are not part of the digest.
    pub links: u64,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Digest of the list that `sha256sum` would print of all files in the order of their paths.
    pub digest: String,
    /// How many paths were left out; the digest is that of the others.
    pub skipped_count: u64,
    /// The first thousand of them.
    pub skipped: Vec<Skipped>,
}

/// The files of a directory tree, hashed one by one.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The files in the order of their paths, which are relative to the tree's root.
    pub files: Vec<FileDigest>,
    /// Whether these are all: false when the limit cut the list short.
    pub complete: bool,
    /// How many paths were left out because they could not be hashed.
    pub skipped_count: u64,
    /// The first thousand of them.
    pub skipped: Vec<Skipped>,
}

/// A file, hashed.
#[data]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Where it lies. Bytes that are not UTF-8 are shown as replacement characters.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest, in hexadecimal.
    pub digest: String,
}

/// A path that was left out.
#[data]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The path, relative to the tree's root.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Collects what is left out: all of it counted, some of it by name.
#[derive(Debug, Default)]
pub(crate) struct Skips {
    pub(crate) count: u64,
    pub(crate) first: Vec<Skipped>,
}

impl Skips {
    pub(crate) fn add(&mut self, path: &Path, reason: impl Into<String>) {
        self.count += 1;
        if self.first.len() < SKIPPED_MAX {
            self.first.push(Skipped {
                path: path.to_string_lossy().into_owned(),
                reason: reason.into(),
            });
        }
    }
}

/// The digest of digests.
pub(crate) struct Combined {
    hasher: Hasher,
    files: u64,
    bytes: u64,
}

/// What became of a [`Combined`].
pub(crate) struct Total {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) text: String,
}

impl Combined {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self {
            hasher: Hasher::new(algorithm),
            files: 0,
            bytes: 0,
        }
    }

    pub(crate) fn add(&mut self, path: &Path, content: &Content) {
        self.files += 1;
        self.bytes += content.bytes;
        let name = path.as_os_str().as_encoded_bytes();
        let escaped = name.iter().any(|&byte| escape(byte).is_some());
        if escaped {
            self.hasher.update(b"\\");
        }
        self.hasher.update(content.digest.as_bytes());
        self.hasher.update(b"  ");
        if escaped {
            for &byte in name {
                self.hasher.update(escape(byte).unwrap_or(&[byte]));
            }
        } else {
            self.hasher.update(name);
        }
        self.hasher.update(b"\n");
    }

    pub(crate) fn finish(mut self) -> Total {
        Total {
            files: self.files,
            bytes: self.bytes,
            text: self.hasher.finish(),
        }
    }
}

/// How `sha256sum` writes a byte that would break its lines. Without it, two different trees
/// could have the same list.
fn escape(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'\\' => Some(b"\\\\"),
        b'\n' => Some(b"\\n"),
        b'\r' => Some(b"\\r"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_counted_beyond_the_list() {
        let mut skips = Skips::default();
        for _ in 0..SKIPPED_MAX + 5 {
            skips.add(Path::new("a"), "no");
        }
        assert_eq!(skips.count, SKIPPED_MAX as u64 + 5);
        assert_eq!(skips.first.len(), SKIPPED_MAX);
    }

    #[test]
    fn names_cannot_forge_lines() {
        let digest = |names: &[&str]| {
            let mut combined = Combined::new(Algorithm::Blake3);
            for name in names {
                let content = Content {
                    bytes: 0,
                    digest: "00".to_owned(),
                };
                combined.add(Path::new(name), &content);
            }
            combined.finish().text
        };
        assert_ne!(digest(&["a", "b"]), digest(&["a\n00  b"]));
        assert_ne!(digest(&["a\\nb"]), digest(&["a\nb"]));
    }
}
