//! Writes the key of a new host down.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::FileError;
use super::line::{SALT, hashed};

/// Appends a host's key to a file, which is made if it is missing, for nobody else to read.
///
/// It is one write to the file's end, so that several at once leave whole lines.
///
/// # Errors
///
/// Fails when the file cannot be written. The caller is not to go on then: the next connection
/// would trust whoever answers.
pub fn learn(file: &Path, name: &str, openssh_key: &str, hash: Hash) -> Result<(), FileError> {
    append(file, name, openssh_key, hash).map_err(|source| FileError {
        file: file.to_owned(),
        source,
    })
}

/// Whether a name is written so that it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// It is.
    Hashed,
    /// It is not.
    Plain,
}

fn append(path: &Path, name: &str, openssh_key: &str, hash: Hash) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(folder)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let host = match hash {
        Hash::Plain => name.to_owned(),
        Hash::Hashed => hashed(name, &salt()?),
    };
    // A last line that somebody left open is closed first.
    let open = if ends_open(&mut file)? { "\n" } else { "" };
    file.write_all(format!("{open}{host} {openssh_key}\n").as_bytes())
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
