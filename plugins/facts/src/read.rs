//! Reads the small text files that facts come from.
//!
//! A file here may be anything that the machine's administrator, or whoever broke in, put in its
//! place, so no read is unbounded, and bytes that are not UTF-8 become replacement characters.

use std::fs::File;
use std::io::Read;

use crate::error::{Error, Result};

/// Bytes of a file at most. The longest that is real is the mount table of a container host,
/// some hundred bytes for each of some thousand mounts.
const TEXT_MAX: u64 = 4 << 20;

/// Bytes of a file whose beginning is enough.
const HEAD_MAX: u64 = 8 << 10;

/// A file's text, whole.
pub(crate) fn text(path: &str) -> Result<String> {
    let bytes = prefix(path, TEXT_MAX + 1)?;
    if bytes.len() as u64 > TEXT_MAX {
        return Err(Error::TooLong {
            path: path.to_owned(),
            max: TEXT_MAX,
        });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The beginning of a file that may be long, such as `/proc/cpuinfo` where there are many.
pub(crate) fn head(path: &str) -> Result<String> {
    let bytes = prefix(path, HEAD_MAX)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first line of a file that holds one value, without the space around it.
pub(crate) fn line(path: &str) -> Result<String> {
    let text = head(path)?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Error::Format {
            path: path.to_owned(),
            reason: "it is empty",
        });
    }
    Ok(line.to_owned())
}

/// A file's text as `parse` understands it; the parser's error is what it missed.
pub(crate) fn parsed<T>(
    path: &str,
    parse: impl FnOnce(&str) -> std::result::Result<T, &'static str>,
) -> Result<T> {
    parse(&text(path)?).map_err(|reason| Error::Format {
        path: path.to_owned(),
        reason,
    })
}

fn prefix(path: &str, max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max).read_to_end(&mut bytes))
        .map_err(|error| Error::reading(path, error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_are_not_what_they_should_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let path = path.to_str().unwrap();

        fs::write(path, b"\xffname \n more").unwrap();
        assert_eq!(line(path).unwrap(), "\u{fffd}name");
        assert_eq!(text(path).unwrap(), "\u{fffd}name \n more");

        fs::write(path, b" \n").unwrap();
        assert!(matches!(line(path), Err(Error::Format { .. })));

        let file = File::create(path).unwrap();
        file.set_len(TEXT_MAX).unwrap();
        assert_eq!(text(path).unwrap().len() as u64, TEXT_MAX);
        file.set_len(TEXT_MAX + 1).unwrap();
        assert!(matches!(text(path), Err(Error::TooLong { .. })));
        assert_eq!(head(path).unwrap().len() as u64, HEAD_MAX);
    }
}
