//! Whether the key that a host shows is the host's: what `known_hosts` files say, judged as
//! OpenSSH judges.
//!
//! All files count together. A key that no line has, while some line has another key for the
//! host, is a changed key, of whatever type the two are: whoever is in between could choose the
//! type.

mod learn;
mod line;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

pub use self::learn::{Hash, LockedFile};
use self::line::{Entry, Marker};

/// Bytes that one file may have. A million hosts fit.
const FILE_MAX: u64 = 256 << 20;

/// A line that speaks of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    marker: Marker,
    key_type: String,
    key: Vec<u8>,
    file: PathBuf,
    line: usize,
    /// Whether it speaks of the host's name without the port only.
    without_port: bool,
}

/// All that is known of one host.
#[derive(Clone, Debug, Default)]
pub struct KnownHost {
    lines: Vec<Known>,
}

/// What a key is to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's.
    Known,
    /// Nothing is known of the host.
    Unknown,
    /// The host is known, with other keys.
    Changed {
        /// Where one of them is.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// Nobody is to believe it.
    Revoked {
        /// Where that is said.
        file: PathBuf,
        /// The line.
        line: usize,
    },
}

/// A file that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", file.display())]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The name under which a host's key is known: with the port, where that is not the usual one.
pub fn name(hostname: &str, port: u16) -> String {
    let hostname = hostname.to_ascii_lowercase();
    match port {
        22 => hostname,
        port => format!("[{hostname}]:{port}"),
    }
}

impl KnownHost {
    /// Reads what the files say of a host. One that is missing says nothing.
    ///
    /// `plain` is the name without the port, where that is another one: OpenSSH believes a key
    /// that is known for it.
    ///
    /// # Errors
    ///
    /// Fails when a file is there and cannot be read: it might speak of this host.
    pub fn read(files: &[PathBuf], name: &str, plain: Option<&str>) -> Result<Self, FileError> {
        let name = &name.to_ascii_lowercase();
        let plain = plain.map(str::to_ascii_lowercase);
        let mut known = Self::default();
        for file in files {
            let text = contents(file).map_err(|source| FileError {
                file: file.clone(),
                source,
            })?;
            known.add(&text, file, name, plain.as_deref());
        }
        Ok(known)
    }

    fn add(&mut self, text: &str, file: &Path, name: &str, plain: Option<&str>) {
        for (number, line) in text.lines().enumerate() {
            let Some(entry) = Entry::read(line) else {
                continue;
            };
            let named = entry.is_for(name);
            if !named && !plain.is_some_and(|plain| entry.is_for(plain)) {
                continue;
            }
            self.lines.push(Known {
                marker: entry.marker,
                key_type: entry.key_type.to_owned(),
                key: entry.key,
                file: file.to_owned(),
                line: number + 1,
                without_port: !named,
            });
        }
    }

    /// Types of keys that the host is known to have, without repetition.
    pub fn key_types(&self) -> Vec<&str> {
        let mut types = Vec::new();
        // Those of the name without the port count where nothing else is known.
        let named = self
            .lines
            .iter()
            .any(|line| line.marker == Marker::Host && !line.without_port);
        for line in &self.lines {
            let counts = line.marker == Marker::Host && line.without_port != named;
            if counts && !types.contains(&line.key_type.as_str()) {
                types.push(&line.key_type);
            }
        }
        types
    }

    /// Whether somebody may vouch for the host's keys.
    pub fn has_authority(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.marker == Marker::Authority)
    }

    /// What a key, as it goes over the wire, is to the host.
    pub fn judge(&self, key: &[u8]) -> Verdict {
        if let Some(revoked) = self.revoked(key) {
            return revoked;
        }
        // What is known with the port decides, if anything is.
        for without_port in [false, true] {
            let mut lines = self
                .lines
                .iter()
                .filter(|line| line.marker == Marker::Host && line.without_port == without_port);
            if lines.clone().any(|line| line.key == key) {
                return Verdict::Known;
            }
            match lines.next() {
                Some(other) if !without_port => {
                    return Verdict::Changed {
                        file: other.file.clone(),
                        line: other.line,
                    };
                }
                // Another port of the same machine may well be another server.
                _ => {}
            }
        }
        Verdict::Unknown
    }

    /// What a certificate's key, signed by `authority`, is to the host. That the certificate is
    /// for this host, and valid, is for the caller to check.
    pub fn judge_certificate(&self, key: &[u8], authority: &[u8]) -> Verdict {
        if let Some(revoked) = self.revoked(key).or_else(|| self.revoked(authority)) {
            return revoked;
        }
        let mut authorities = self
            .lines
            .iter()
            .filter(|line| line.marker == Marker::Authority);
        match authorities.any(|line| line.key == authority) {
            true => Verdict::Known,
            false => Verdict::Unknown,
        }
    }

    fn revoked(&self, key: &[u8]) -> Option<Verdict> {
        let line = self
            .lines
            .iter()
            .find(|line| line.marker == Marker::Revoked && line.key == key)?;
        Some(Verdict::Revoked {
            file: line.file.clone(),
            line: line.line,
        })
    }
}

fn contents(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::other("it is larger than any such file"));
    }
    // Names and keys are ASCII: nothing that counts is lost.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
