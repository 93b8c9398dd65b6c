//! Hashes the contents of one file after another.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::algorithm::{Algorithm, Hasher};

/// Bytes read at once. Most files fit, and take one read and one more that finds the end.
const BUFFER: usize = 256 << 10;

/// A file's length and digest.
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) digest: String,
}

/// Reads files through one buffer and one hasher.
pub(crate) struct Reader {
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self {
            hasher: Hasher::new(algorithm),
            buffer: vec![0; BUFFER],
        }
    }

    /// Hashes the file at `path`; the error says in words why that was not possible.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Content, String> {
        let outcome = self.stream(path);
        // Also after a failure, or the next file would start with this one's first half.
        let digest = self.hasher.finish();
        Ok(Content {
            bytes: outcome?,
            digest,
        })
    }

    fn stream(&mut self, path: &Path) -> Result<u64, String> {
        let mut file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "vanished before it was read".to_owned(),
            _ => format!("cannot open: {error}"),
        })?;
        let mut bytes = 0;
        // Known once the file turns out to be longer than the buffer: a small file is not worth
        // the question.
        let mut length = None;
        loop {
            let read = match file.read(&mut self.buffer) {
                Ok(0) => return Ok(bytes),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("cannot read: {error}")),
            };
            self.hasher.update(&self.buffer[..read]);
            bytes += read as u64;
            if bytes < BUFFER as u64 {
                continue;
            }
            let length = match length {
                Some(length) => length,
                None => *length.insert(claimed_length(&file)?),
            };
            if bytes > length {
                // A log that is written faster than we hash, or a device that somebody put
                // there: either might never end.
                return Err(format!("longer than the {length} bytes it claimed to have"));
            }
        }
    }
}

fn claimed_length(file: &File) -> Result<u64, String> {
    let metadata = file
        .metadata()
        .map_err(|error| format!("cannot ask for its length: {error}"))?;
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn reader() -> Reader {
        Reader::new(Algorithm::Blake3)
    }

    #[test]
    fn lengths_around_the_buffer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let content = reader().read(&path).unwrap();
            assert_eq!(content.bytes, length as u64);
            assert_eq!(content.digest, blake3::hash(&bytes).to_hex().as_str());
        }
    }

    #[test]
    fn a_failure_leaves_nothing_for_the_next_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"abc").unwrap();
        let mut reader = reader();

        let gone = reader.read(&directory.path().join("gone"));
        assert_eq!(gone.err().as_deref(), Some("vanished before it was read"));
        let directory_itself = reader.read(directory.path());
        assert!(directory_itself.is_err());
        #[cfg(unix)]
        assert!(reader.read(Path::new("/dev/zero")).is_err(), "never ends");

        let content = reader.read(&path).unwrap();
        assert_eq!(content.digest, blake3::hash(b"abc").to_hex().as_str());
    }
}
