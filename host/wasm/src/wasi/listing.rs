//! Entries of a directory.

use std::mem::MaybeUninit;

use rustix::fs::{self, RawDir, SeekFrom};
use rustix::io::Errno;

use super::types;
use crate::files::Place;

/// Bytes of directory entries that are read at once.
const BUFFER: usize = 32 << 10;

/// Writes the entries from `cookie` on, as many as there is room for, and returns the number of
/// bytes. The last entry may be cut off.
///
/// A cookie is the kernel's own, so each call goes on where the previous one ended, and a
/// directory of any size takes time in proportion to it. Names are bytes and need not be text.
pub(super) fn read(directory: &Place, room: &mut [u8], cookie: u64) -> Result<usize, Errno> {
    fs::seek(directory, SeekFrom::Start(cookie))?;
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut used = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let head = types::dirent(
            entry.next_entry_cookie(),
            entry.ino(),
            name.len(),
            types::file_type(entry.file_type()),
        );
        for part in [&head[..], name] {
            let size = part.len().min(room.len() - used);
            room[used..used + size].copy_from_slice(&part[..size]);
            used += size;
        }
        if used == room.len() {
            break;
        }
    }
    Ok(used)
}
