//! Functions on paths below a directory that the plugin has a descriptor for.

#![expect(
    clippy::too_many_arguments,
    reason = "as many as WASI's functions have"
)]

use rustix::fs::AtFlags;

use super::descriptors::timestamps;
use super::memory::Memory;
use super::types::{self, Errno};
use super::{Result, Wasi};
use crate::files::{Full, Last, OpenOptions};

impl Wasi {
    pub(super) fn path_create_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Result {
        let path = memory.path(path, length)?;
        Ok(self.directory(fd)?.make_directory(path)?)
    }

    pub(super) fn path_filestat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        at: u32,
    ) -> Result {
        let path = memory.path(path, length)?;
        let stat = self.directory(fd)?.stat(path, last(lookup))?;
        memory.put(at, types::filestat(&stat))
    }

    pub(super) fn path_filestat_set_times(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result {
        let times = timestamps(accessed, modified, flags)?;
        let path = memory.path(path, length)?;
        Ok(self.directory(fd)?.set_times(path, last(lookup), &times)?)
    }

    pub(super) fn path_link(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        to: u32,
        new_path: u32,
        new_length: u32,
    ) -> Result {
        if last(lookup) == Last::Follow {
            return Err(Errno::INVAL.into());
        }
        let path = memory.path(path, length)?;
        let new_path = memory.path(new_path, new_length)?;
        let to = self.directory(to)?;
        Ok(self.directory(fd)?.link(path, to, new_path)?)
    }

    pub(super) fn path_open(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        how: u32,
        rights: u64,
        _inheriting: u64,
        flags: u32,
        opened: u32,
    ) -> Result {
        if flags & types::FD_SYNCHRONIZED != 0 {
            return Err(Errno::NOTSUP.into());
        }
        let write = rights & types::RIGHT_WRITE != 0;
        let options = OpenOptions {
            read: rights & types::RIGHT_READ != 0,
            write,
            append: write && flags & types::FD_APPEND != 0,
            create: how & types::OPEN_CREATE != 0,
            exclusive: how & types::OPEN_EXCLUSIVE != 0,
            truncate: how & types::OPEN_TRUNCATE != 0,
            directory: how & types::OPEN_DIRECTORY != 0,
        };
        let path = memory.path(path, length)?;
        let descriptor = self.directory(fd)?.open(path, last(lookup), options)?;
        let number = self.files.push(descriptor);
        let number = number.map_err(|Full| Errno::MFILE)?;
        memory.put(opened, number.to_le_bytes())
    }

    pub(super) fn path_readlink(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        length: u32,
        buffer: u32,
        capacity: u32,
        used: u32,
    ) -> Result {
        let text = self.directory(fd)?.read_link(memory.path(path, length)?)?;
        let text = &text[..text.len().min(capacity as usize)];
        let size = text.len() as u32;
        memory.bytes_mut(buffer, size)?.copy_from_slice(text);
        memory.put(used, size.to_le_bytes())
    }

    pub(super) fn path_remove_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Result {
        let path = memory.path(path, length)?;
        Ok(self.directory(fd)?.remove(path, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn path_rename(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        length: u32,
        to: u32,
        new_path: u32,
        new_length: u32,
    ) -> Result {
        let path = memory.path(path, length)?;
        let new_path = memory.path(new_path, new_length)?;
        let to = self.directory(to)?;
        Ok(self.directory(fd)?.rename(path, to, new_path)?)
    }

    pub(super) fn path_symlink(
        &mut self,
        memory: &mut Memory<'_>,
        text: u32,
        text_length: u32,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Result {
        let text = memory.path(text, text_length)?;
        let path = memory.path(path, length)?;
        Ok(self.directory(fd)?.make_link(text, path)?)
    }

    pub(super) fn path_unlink_file(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Result {
        let path = memory.path(path, length)?;
        Ok(self.directory(fd)?.remove(path, AtFlags::empty())?)
    }
}

fn last(lookup: u32) -> Last {
    match lookup & types::LOOKUP_SYMLINK_FOLLOW {
        0 => Last::Keep,
        _ => Last::Follow,
    }
}
