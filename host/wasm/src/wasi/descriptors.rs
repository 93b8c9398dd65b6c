//! Functions on open files and directories.

use rustix::fs::{self, FileType, OFlags, SeekFrom, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::{self, Errno as SystemError};

use super::memory::Memory;
use super::types::{self, Errno};
use super::{Error, Result, STDIN, Wasi, listing};
use crate::files::{Access, Descriptor};

impl Wasi {
    pub(super) fn fd_advise(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        _offset: u64,
        _length: u64,
        _advice: u32,
    ) -> Result {
        // Advice may be ignored.
        self.file(fd).map(|_| ())
    }

    pub(super) fn fd_allocate(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        _offset: u64,
        _length: u64,
    ) -> Result {
        self.file(fd)?;
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn fd_close(&mut self, _: &mut Memory<'_>, fd: u32) -> Result {
        self.files.remove(fd).ok_or(Errno::BADF)?;
        Ok(())
    }

    pub(super) fn fd_datasync(&mut self, _: &mut Memory<'_>, fd: u32) -> Result {
        Ok(fs::fdatasync(self.opened(fd)?)?)
    }

    pub(super) fn fd_sync(&mut self, _: &mut Memory<'_>, fd: u32) -> Result {
        Ok(fs::fsync(self.opened(fd)?)?)
    }

    pub(super) fn fd_fdstat_get(&mut self, memory: &mut Memory<'_>, fd: u32, at: u32) -> Result {
        if let Descriptor::Standard(number) = self.descriptor(fd)? {
            let rights = match *number {
                STDIN => types::RIGHT_READ,
                _ => types::RIGHT_WRITE,
            };
            return memory.put(at, types::fdstat(types::TYPE_UNKNOWN, 0, rights, rights));
        }
        let opened = self.opened(fd)?;
        let open_flags = fs::fcntl_getfl(opened)?;
        let file_type = types::file_type(FileType::from_raw_mode(fs::fstat(opened)?.st_mode));
        let flags = match open_flags.contains(OFlags::APPEND) {
            true => types::FD_APPEND,
            false => 0,
        };
        let missing = match (file_type, open_flags & OFlags::RWMODE) {
            (types::TYPE_DIRECTORY, _) => {
                types::RIGHT_SEEK
                    | types::RIGHT_TELL
                    | types::RIGHT_WRITE
                    | types::RIGHT_SET_SIZE
                    | types::RIGHT_PATH_SET_SIZE
            }
            (_, OFlags::WRONLY) => types::RIGHT_READ,
            (_, OFlags::RDWR) => 0,
            _ => types::RIGHT_WRITE,
        };
        let rights = types::RIGHTS_ALL & !missing;
        memory.put(
            at,
            types::fdstat(file_type, flags as u16, rights, types::RIGHTS_ALL),
        )
    }

    pub(super) fn fd_fdstat_set_flags(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        wanted: u32,
    ) -> Result {
        if wanted & types::FD_SYNCHRONIZED != 0 {
            return Err(Errno::INVAL.into());
        }
        let file = self.file(fd)?;
        let mut flags = fs::fcntl_getfl(file)?;
        flags.set(OFlags::APPEND, wanted & types::FD_APPEND != 0);
        Ok(fs::fcntl_setfl(file, flags)?)
    }

    pub(super) fn fd_fdstat_set_rights(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        _rights: u64,
        _inheriting: u64,
    ) -> Result {
        self.opened(fd)?;
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn fd_filestat_get(&mut self, memory: &mut Memory<'_>, fd: u32, at: u32) -> Result {
        if let Descriptor::Standard(_) = self.descriptor(fd)? {
            // Neither a number nor a size nor a time: a stream of unknown type.
            return memory.put(at, [0; 64]);
        }
        let stat = fs::fstat(self.opened(fd)?)?;
        memory.put(at, types::filestat(&stat))
    }

    pub(super) fn fd_filestat_set_size(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        size: u64,
    ) -> Result {
        Ok(fs::ftruncate(self.file(fd)?, size)?)
    }

    pub(super) fn fd_filestat_set_times(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result {
        let times = timestamps(accessed, modified, flags)?;
        match self.descriptor(fd)? {
            // A file that was opened to be read was not judged for more than that.
            Descriptor::File { access, .. } if *access == Access::Read => Err(Errno::PERM.into()),
            Descriptor::File { file, .. } => Ok(fs::futimens(file, &times)?),
            Descriptor::Directory { place, .. } => Ok(place.set_own_times(&times)?),
            Descriptor::Standard(_) => Err(Errno::BADF.into()),
        }
    }

    pub(super) fn fd_pread(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        buffers: u32,
        count: u32,
        offset: u64,
        read: u32,
    ) -> Result {
        let file = self.file(fd)?;
        let size = read_into(memory, (buffers, count), |room| {
            io::pread(file, room, offset)
        })?;
        memory.put(read, size.to_le_bytes())
    }

    pub(super) fn fd_read(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        buffers: u32,
        count: u32,
        read: u32,
    ) -> Result {
        let size = match self.descriptor(fd)? {
            // There is no input.
            Descriptor::Standard(STDIN) => 0,
            _ => {
                let file = self.file(fd)?;
                read_into(memory, (buffers, count), |room| io::read(file, room))?
            }
        };
        memory.put(read, size.to_le_bytes())
    }

    pub(super) fn fd_pwrite(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        buffers: u32,
        count: u32,
        offset: u64,
        written: u32,
    ) -> Result {
        let file = self.file(fd)?;
        let size = write_from(memory, (buffers, count), |bytes| {
            io::pwrite(file, bytes, offset)
        })?;
        memory.put(written, size.to_le_bytes())
    }

    pub(super) fn fd_write(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        buffers: u32,
        count: u32,
        written: u32,
    ) -> Result {
        let size = match (self.output(fd), self.file(fd)) {
            (Some(output), _) => {
                write_from(memory, (buffers, count), |bytes| Ok(output.write(bytes)))?
            }
            (None, file) => {
                let file = file?;
                write_from(memory, (buffers, count), |bytes| io::write(file, bytes))?
            }
        };
        memory.put(written, size.to_le_bytes())
    }

    pub(super) fn fd_prestat_get(&mut self, memory: &mut Memory<'_>, fd: u32, at: u32) -> Result {
        memory.put(at, types::prestat(self.granted_name(fd)?.len() as u32))
    }

    pub(super) fn fd_prestat_dir_name(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        at: u32,
        capacity: u32,
    ) -> Result {
        let name = self.granted_name(fd)?;
        let length = name.len() as u32;
        if length > capacity {
            return Err(Errno::NAMETOOLONG.into());
        }
        memory.bytes_mut(at, length)?.copy_from_slice(name);
        Ok(())
    }

    /// The name under which a directory was granted.
    fn granted_name(&self, fd: u32) -> Result<&[u8]> {
        match self.descriptor(fd)? {
            Descriptor::Directory {
                granted: Some(name),
                ..
            } => Ok(name.as_bytes()),
            _ => Err(Errno::BADF.into()),
        }
    }

    pub(super) fn fd_readdir(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        buffer: u32,
        length: u32,
        cookie: u64,
        used: u32,
    ) -> Result {
        let directory = self.directory(fd)?;
        let room = memory.bytes_mut(buffer, length)?;
        let size = listing::read(directory, room, cookie)? as u32;
        memory.put(used, size.to_le_bytes())
    }

    pub(super) fn fd_renumber(&mut self, _: &mut Memory<'_>, fd: u32, to: u32) -> Result {
        Ok(self.files.renumber(fd, to).ok_or(Errno::BADF)?)
    }

    pub(super) fn fd_seek(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        offset: i64,
        whence: u32,
        position: u32,
    ) -> Result {
        let to = match whence {
            types::SEEK_SET => SeekFrom::Start(offset.try_into().map_err(|_| Errno::INVAL)?),
            types::SEEK_CURRENT => SeekFrom::Current(offset),
            types::SEEK_END => SeekFrom::End(offset),
            _ => return Err(Errno::INVAL.into()),
        };
        let reached = fs::seek(self.seekable(fd)?, to)?;
        memory.put(position, reached.to_le_bytes())
    }

    pub(super) fn fd_tell(&mut self, memory: &mut Memory<'_>, fd: u32, position: u32) -> Result {
        let reached = fs::tell(self.seekable(fd)?)?;
        memory.put(position, reached.to_le_bytes())
    }

    fn seekable(&self, fd: u32) -> Result<rustix::fd::BorrowedFd<'_>> {
        match self.descriptor(fd)? {
            Descriptor::Standard(_) => Err(Errno::SPIPE.into()),
            _ => self.file(fd),
        }
    }
}

/// Has the first buffer that has room filled.
fn read_into(
    memory: &mut Memory<'_>,
    (buffers, count): (u32, u32),
    mut read: impl FnMut(&mut [u8]) -> Result<usize, SystemError>,
) -> Result<u32> {
    let (at, length) = memory.first_buffer(buffers, count)?.unwrap_or_default();
    let room = memory.bytes_mut(at, length)?;
    Ok(uninterrupted(|| read(room))? as u32)
}

/// Has the first buffer that holds something taken.
fn write_from(
    memory: &Memory<'_>,
    (buffers, count): (u32, u32),
    mut write: impl FnMut(&[u8]) -> Result<usize, SystemError>,
) -> Result<u32> {
    let (at, length) = memory.first_buffer(buffers, count)?.unwrap_or_default();
    let bytes = memory.bytes(at, length)?;
    Ok(uninterrupted(|| write(bytes))? as u32)
}

/// Does it again when a signal interrupted it.
fn uninterrupted(mut io: impl FnMut() -> Result<usize, SystemError>) -> Result<usize> {
    loop {
        match io() {
            Err(SystemError::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// The times that a guest sets.
pub(super) fn timestamps(accessed: u64, modified: u64, flags: u32) -> Result<Timestamps> {
    let is_set = |flag| flags & flag != 0;
    Ok(Timestamps {
        last_access: timestamp(
            accessed,
            is_set(types::SET_ACCESSED),
            is_set(types::SET_ACCESSED_NOW),
        )?,
        last_modification: timestamp(
            modified,
            is_set(types::SET_MODIFIED),
            is_set(types::SET_MODIFIED_NOW),
        )?,
    })
}

fn timestamp(nanoseconds: u64, given: bool, now: bool) -> Result<Timespec> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    match (given, now) {
        (true, true) => Err(Error::Errno(Errno::INVAL)),
        (false, true) => Ok(special(UTIME_NOW)),
        (false, false) => Ok(special(UTIME_OMIT)),
        (true, false) => Ok(Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as _,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        }),
    }
}
