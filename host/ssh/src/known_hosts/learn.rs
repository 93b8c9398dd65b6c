//! Writes the key of a new host down.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::line::{SALT, hashed};

/// How long another process may have the file locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Time between two attempts to lock it.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// A file that takes the keys of new hosts, locked: what is read from it now stays true until this is
/// dropped, unless it is written by a program that takes no lock, as OpenSSH's own are.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
}

impl LockedFile {
    /// Opens and locks a file, which is made if it is missing, for its owner alone to read.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written, and when another process keeps it locked.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(folder)?;
        }
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?;
            match try_lock(&file, path)? {
                true => return Ok(Self { file }),
                false if Instant::now() >= deadline => {
                    let reason = "another process keeps it locked";
                    return Err(io::Error::new(ErrorKind::TimedOut, reason));
                }
                false => std::thread::sleep(LOCK_RETRY),
            }
        }
    }

    /// Appends a host's key.
    ///
    /// It is one write to the file's end, so that programs that take no lock find whole lines.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written, and for a name that a line would not be for, or for
    /// others too: a pattern.
    pub fn append(mut self, name: &str, openssh_key: &str, hash: Hash) -> io::Result<()> {
        if !is_literal(name) {
            let reason = "the host's name would be a pattern there";
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        let host = match hash {
            Hash::Plain => name.to_owned(),
            Hash::Hashed => hashed(name, &salt()?),
        };
        // A last line that somebody left open is closed first.
        let open = if ends_open(&mut self.file)? { "\n" } else { "" };
        let line = format!("{open}{host} {openssh_key}\n");
        self.file.write_all(line.as_bytes())
    }
}

/// Whether a lock was taken, or none is needed.
fn try_lock(file: &File, path: &Path) -> io::Result<bool> {
    let about = file.metadata()?;
    if !about.is_file() {
        // Nothing is ever found again in `/dev/null`.
        return Ok(true);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
            return Ok(true);
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever removes a line replaces the file.
    let now = path.metadata();
    Ok(now.is_ok_and(|now| (now.dev(), now.ino()) == (about.dev(), about.ino())))
}

/// Whether a name in a line stands for itself alone.
fn is_literal(name: &str) -> bool {
    let special = |c: char| c.is_whitespace() || c.is_control() || "*?,!".contains(c);
    !name.is_empty() && !name.starts_with(['#', '@', '|']) && !name.contains(special)
}

/// Whether a name is written so that it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// It is.
    Hashed,
    /// It is not.
    Plain,
}

fn ends_open(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn salt() -> io::Result<[u8; SALT]> {
    let mut salt = [0; SALT];
    File::open("/dev/urandom")?.read_exact(&mut salt)?;
    Ok(salt)
}
