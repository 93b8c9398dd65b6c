//! The entries of a directory as WASI preview 1 lays them out in memory.

use std::ffi::OsString;
use std::io;

use super::{Found, Kind};

/// Bytes before each name.
const HEADER: usize = size_of::<u64>() * 3;

/// Adds the entries that are complete, and returns the cookie behind the last of them.
///
/// An entry is `d_next: u64`, `d_ino: u64`, `d_namlen: u32`, `d_type: u8` and three bytes of
/// padding, little-endian, and then the name. The last one may be cut off anywhere.
pub(super) fn parse(mut bytes: &[u8], found: &mut Vec<Found>) -> io::Result<Option<u64>> {
    let mut cookie = None;
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| header[at + index]));
        let (next, length_and_kind) = (word(0), word(16));
        let length = length_and_kind as u32 as usize;
        let kind = (length_and_kind >> 32) as u8;
        let Some((name, rest)) = rest.split_at_checked(length) else {
            break;
        };
        (bytes, cookie) = (rest, Some(next));
        if matches!(name, b"." | b"..") {
            continue;
        }
        let name = str::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?;
        found.push(Found {
            name: OsString::from(name),
            kind: kind_of(kind),
        });
    }
    Ok(cookie)
}

/// WASI's `filetype`.
fn kind_of(kind: u8) -> Option<Kind> {
    match kind {
        0 => None,
        3 => Some(Kind::Directory),
        4 => Some(Kind::File),
        7 => Some(Kind::Link),
        _ => Some(Kind::Special),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(next: u64, kind: u8, name: &str) -> Vec<u8> {
        let mut bytes = next.to_le_bytes().to_vec();
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend([kind, 0xff, 0xff, 0xff]);
        bytes.extend(name.as_bytes());
        bytes
    }

    fn parsed(bytes: &[u8]) -> (Option<u64>, Vec<(String, Option<Kind>)>) {
        let mut found = Vec::new();
        let cookie = parse(bytes, &mut found).expect("UTF-8");
        let name = |found: &Found| found.name.to_string_lossy().into_owned();
        (
            cookie,
            found.iter().map(|one| (name(one), one.kind)).collect(),
        )
    }

    #[test]
    fn a_listing_cut_anywhere_gives_what_is_complete() {
        let entries = [
            entry(1, 3, "."),
            entry(2, 3, ".."),
            entry(3, 4, "file"),
            entry(4, 7, "link"),
            entry(5, 0, "unknown"),
            entry(6, 6, "socket"),
        ];
        let all = [
            ("file".to_owned(), Some(Kind::File)),
            ("link".to_owned(), Some(Kind::Link)),
            ("unknown".to_owned(), None),
            ("socket".to_owned(), Some(Kind::Special)),
        ];
        let bytes = entries.concat();
        for cut in 0..=bytes.len() {
            let mut end = 0;
            let complete = entries.iter().take_while(|entry| {
                end += entry.len();
                end <= cut
            });
            let complete = complete.count();
            let (cookie, found) = parsed(&bytes[..cut]);
            assert_eq!(
                cookie,
                (complete > 0).then_some(complete as u64),
                "cut at {cut}"
            );
            assert_eq!(found, all[..complete.saturating_sub(2)], "cut at {cut}");
        }
    }

    #[test]
    fn a_length_that_lies_ends_the_listing() {
        let mut bytes = entry(1, 4, "file");
        bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parsed(&bytes), (None, Vec::new()));
    }

    #[test]
    fn a_name_must_be_text() {
        let mut bytes = entry(1, 4, "file");
        bytes[HEADER] = 0xff;
        assert!(parse(&bytes, &mut Vec::new()).is_err());
    }
}
