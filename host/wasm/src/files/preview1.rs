//! The functions of WASI preview 1, on `Table` and `Place`.
//!
//! What has nothing to do with files is the library's.

use rustix::fs::{self, AtFlags, FileType, OFlags, SeekFrom};
use rustix::io;
use wasmtime_wasi::p1::types::{self, Error};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use super::convert::{
    bytes_of, done, errno, file_stat, file_type, filled, last, list, room, timestamps,
    uninterrupted, unshared,
};
use super::table::{Descriptor, Full};
use super::walk::Opened;
use super::wasi::Wasi;
use super::{Access, OpenOptions, Place};

type Result<T, E = Error> = std::result::Result<T, E>;

impl WasiSnapshotPreview1 for Wasi {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.context.set_hostcall_fuel(fuel);
    }

    fn args_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        list: GuestPtr<GuestPtr<u8>>,
        text: GuestPtr<u8>,
    ) -> Result<()> {
        self.context.args_get(memory, list, text)
    }

    fn args_sizes_get(&mut self, memory: &mut GuestMemory<'_>) -> Result<(u32, u32)> {
        self.context.args_sizes_get(memory)
    }

    fn environ_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        list: GuestPtr<GuestPtr<u8>>,
        text: GuestPtr<u8>,
    ) -> Result<()> {
        self.context.environ_get(memory, list, text)
    }

    fn environ_sizes_get(&mut self, memory: &mut GuestMemory<'_>) -> Result<(u32, u32)> {
        self.context.environ_sizes_get(memory)
    }

    fn clock_res_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        clock: types::Clockid,
    ) -> Result<u64> {
        self.context.clock_res_get(memory, clock)
    }

    fn clock_time_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        clock: types::Clockid,
        precision: u64,
    ) -> Result<u64> {
        self.context.clock_time_get(memory, clock, precision)
    }

    async fn fd_advise(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: u64,
        _: u64,
        _: types::Advice,
    ) -> Result<()> {
        // Advice may be ignored.
        self.file(fd).map(|_| ())
    }

    fn fd_allocate(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: u64,
        _: u64,
    ) -> Result<()> {
        self.file(fd)?;
        Err(types::Errno::Notsup.into())
    }

    async fn fd_close(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        self.files.remove(fd.into()).ok_or(types::Errno::Badf)?;
        Ok(())
    }

    async fn fd_datasync(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        done(fs::fdatasync(self.opened(fd)?))
    }

    async fn fd_sync(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<()> {
        done(fs::fsync(self.opened(fd)?))
    }

    async fn fd_fdstat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
    ) -> Result<types::Fdstat> {
        if let Some(number) = self.standard(fd) {
            return self.context.fd_fdstat_get(memory, number).await;
        }
        let opened = self.opened(fd)?;
        let flags = fs::fcntl_getfl(opened).map_err(errno)?;
        let stat = fs::fstat(opened).map_err(errno)?;
        let fs_filetype = file_type(FileType::from_raw_mode(stat.st_mode));
        let mut fs_flags = types::Fdflags::empty();
        fs_flags.set(types::Fdflags::APPEND, flags.contains(OFlags::APPEND));
        let mut rights = types::Rights::all();
        if fs_filetype == types::Filetype::Directory {
            rights &= !(types::Rights::FD_SEEK
                | types::Rights::FD_TELL
                | types::Rights::FD_WRITE
                | types::Rights::FD_FILESTAT_SET_SIZE
                | types::Rights::PATH_FILESTAT_SET_SIZE);
        } else {
            let mode = flags & OFlags::RWMODE;
            rights.set(types::Rights::FD_READ, mode != OFlags::WRONLY);
            rights.set(types::Rights::FD_WRITE, mode != OFlags::RDONLY);
        }
        Ok(types::Fdstat {
            fs_filetype,
            fs_flags,
            fs_rights_base: rights,
            fs_rights_inheriting: types::Rights::all(),
        })
    }

    fn fd_fdstat_set_flags(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        wanted: types::Fdflags,
    ) -> Result<()> {
        if let Some(number) = self.standard(fd) {
            return self.context.fd_fdstat_set_flags(memory, number, wanted);
        }
        let synchronized = types::Fdflags::DSYNC | types::Fdflags::SYNC | types::Fdflags::RSYNC;
        if wanted.intersects(synchronized) {
            return Err(types::Errno::Inval.into());
        }
        let file = self.file(fd)?;
        let mut flags = fs::fcntl_getfl(file).map_err(errno)?;
        flags.set(OFlags::APPEND, wanted.contains(types::Fdflags::APPEND));
        done(fs::fcntl_setfl(file, flags))
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::Rights,
        _: types::Rights,
    ) -> Result<()> {
        self.opened(fd)?;
        Err(types::Errno::Notsup.into())
    }

    async fn fd_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
    ) -> Result<types::Filestat> {
        if let Some(number) = self.standard(fd) {
            return self.context.fd_filestat_get(memory, number).await;
        }
        let stat = fs::fstat(self.opened(fd)?).map_err(errno)?;
        Ok(file_stat(&stat))
    }

    async fn fd_filestat_set_size(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        size: u64,
    ) -> Result<()> {
        done(fs::ftruncate(self.file(fd)?, size))
    }

    async fn fd_filestat_set_times(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        accessed: u64,
        modified: u64,
        flags: types::Fstflags,
    ) -> Result<()> {
        let times = timestamps(accessed, modified, flags)?;
        match self.descriptor(fd)? {
            // A file that was opened to be read was not judged for more than that.
            Descriptor::File { access, .. } if *access == Access::Read => {
                Err(types::Errno::Perm.into())
            }
            Descriptor::File { file, .. } => done(fs::futimens(file, &times)),
            Descriptor::Directory { place, .. } => done(place.set_own_times(&times)),
            Descriptor::Standard(_) => Err(types::Errno::Badf.into()),
        }
    }

    async fn fd_pread(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::IovecArray,
        offset: u64,
    ) -> Result<u32> {
        let file = self.file(fd)?;
        let buffer = room(memory, buffers)?;
        Ok(uninterrupted(|| io::pread(file, &mut *buffer, offset))? as u32)
    }

    async fn fd_read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::IovecArray,
    ) -> Result<u32> {
        if let Some(number) = self.standard(fd) {
            return self.context.fd_read(memory, number, buffers).await;
        }
        let file = self.file(fd)?;
        let buffer = room(memory, buffers)?;
        Ok(uninterrupted(|| io::read(file, &mut *buffer))? as u32)
    }

    async fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
        offset: u64,
    ) -> Result<u32> {
        let file = self.file(fd)?;
        let bytes = filled(memory, buffers)?;
        Ok(uninterrupted(|| io::pwrite(file, bytes, offset))? as u32)
    }

    async fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffers: types::CiovecArray,
    ) -> Result<u32> {
        if let Some(number) = self.standard(fd) {
            return self.context.fd_write(memory, number, buffers).await;
        }
        let file = self.file(fd)?;
        let bytes = filled(memory, buffers)?;
        Ok(uninterrupted(|| io::write(file, bytes))? as u32)
    }

    fn fd_prestat_get(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<types::Prestat> {
        match self.descriptor(fd)? {
            Descriptor::Directory {
                granted: Some(name),
                ..
            } => Ok(types::Prestat::Dir(types::PrestatDir {
                pr_name_len: name.len().try_into()?,
            })),
            _ => Err(types::Errno::Badf.into()),
        }
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        name: GuestPtr<u8>,
        length: u32,
    ) -> Result<()> {
        let Descriptor::Directory {
            granted: Some(granted),
            ..
        } = self.descriptor(fd)?
        else {
            return Err(types::Errno::Notdir.into());
        };
        let size = u32::try_from(granted.len())?;
        if size > length {
            return Err(types::Errno::Nametoolong.into());
        }
        memory.copy_from_slice(granted.as_bytes(), name.as_array(size))?;
        Ok(())
    }

    async fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        buffer: GuestPtr<u8>,
        length: u32,
        cookie: u64,
    ) -> Result<u32> {
        let place = self.place(fd)?;
        let room = unshared(memory, buffer.as_array(length))?;
        Ok(list(&place.directory, room, cookie).map_err(errno)? as u32)
    }

    async fn fd_renumber(
        &mut self,
        _: &mut GuestMemory<'_>,
        from: types::Fd,
        to: types::Fd,
    ) -> Result<()> {
        let moved = self.files.renumber(from.into(), to.into());
        Ok(moved.ok_or(types::Errno::Badf)?)
    }

    async fn fd_seek(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        offset: i64,
        whence: types::Whence,
    ) -> Result<u64> {
        if self.standard(fd).is_some() {
            return Err(types::Errno::Spipe.into());
        }
        let position = match whence {
            types::Whence::Set => {
                SeekFrom::Start(offset.try_into().map_err(|_| types::Errno::Inval)?)
            }
            types::Whence::Cur => SeekFrom::Current(offset),
            types::Whence::End => SeekFrom::End(offset),
        };
        fs::seek(self.file(fd)?, position).map_err(errno)
    }

    fn fd_tell(&mut self, _: &mut GuestMemory<'_>, fd: types::Fd) -> Result<u64> {
        if self.standard(fd).is_some() {
            return Err(types::Errno::Spipe.into());
        }
        fs::tell(self.file(fd)?).map_err(errno)
    }

    async fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let path = bytes_of(memory, path)?;
        done(self.place(fd)?.make_directory(path))
    }

    async fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        flags: types::Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<types::Filestat> {
        let path = bytes_of(memory, path)?;
        let stat = self.place(fd)?.directory.stat(path, last(flags));
        Ok(file_stat(&stat.map_err(errno)?))
    }

    async fn path_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        flags: types::Lookupflags,
        path: GuestPtr<str>,
        accessed: u64,
        modified: u64,
        which: types::Fstflags,
    ) -> Result<()> {
        let times = timestamps(accessed, modified, which)?;
        let path = bytes_of(memory, path)?;
        done(self.place(fd)?.set_times(path, last(flags), &times))
    }

    async fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        flags: types::Lookupflags,
        path: GuestPtr<str>,
        new_fd: types::Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        if flags.contains(types::Lookupflags::SYMLINK_FOLLOW) {
            return Err(types::Errno::Inval.into());
        }
        let (path, new_path) = (bytes_of(memory, path)?, bytes_of(memory, new_path)?);
        done(self.place(fd)?.link(path, self.place(new_fd)?, new_path))
    }

    async fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        lookup: types::Lookupflags,
        path: GuestPtr<str>,
        how: types::Oflags,
        rights: types::Rights,
        _: types::Rights,
        flags: types::Fdflags,
    ) -> Result<types::Fd> {
        let synchronized = types::Fdflags::DSYNC | types::Fdflags::SYNC | types::Fdflags::RSYNC;
        if flags.intersects(synchronized) {
            return Err(types::Errno::Notsup.into());
        }
        let options = OpenOptions {
            read: rights.contains(types::Rights::FD_READ),
            write: rights.contains(types::Rights::FD_WRITE),
            append: flags.contains(types::Fdflags::APPEND)
                && rights.contains(types::Rights::FD_WRITE),
            create: how.contains(types::Oflags::CREAT),
            exclusive: how.contains(types::Oflags::EXCL),
            truncate: how.contains(types::Oflags::TRUNC),
            directory: how.contains(types::Oflags::DIRECTORY),
        };
        let path = bytes_of(memory, path)?;
        let place = self.place(fd)?;
        let access = place.access;
        let opened = place.open(path, last(lookup), options).map_err(errno)?;
        let descriptor = match opened {
            Opened::Directory(directory) => Descriptor::Directory {
                place: Place { directory, access },
                granted: None,
            },
            Opened::File(file, _) => Descriptor::File {
                file,
                access: match options.write {
                    true => Access::Write,
                    false => Access::Read,
                },
            },
        };
        match self.files.push(descriptor) {
            Ok(number) => Ok(number.into()),
            Err(Full) => Err(types::Errno::Mfile.into()),
        }
    }

    async fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        length: u32,
    ) -> Result<u32> {
        let path = bytes_of(memory, path)?;
        let text = self.place(fd)?.read_link(path).map_err(errno)?;
        let text = &text[..text.len().min(length as usize)];
        let size = text.len() as u32;
        memory.copy_from_slice(text, buffer.as_array(size))?;
        Ok(size)
    }

    async fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let path = bytes_of(memory, path)?;
        done(self.place(fd)?.remove(path, AtFlags::REMOVEDIR))
    }

    async fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
        new_fd: types::Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let (path, new_path) = (bytes_of(memory, path)?, bytes_of(memory, new_path)?);
        done(self.place(fd)?.rename(path, self.place(new_fd)?, new_path))
    }

    async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        text: GuestPtr<str>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let (text, path) = (bytes_of(memory, text)?, bytes_of(memory, path)?);
        done(self.place(fd)?.make_link(text, path))
    }

    async fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let path = bytes_of(memory, path)?;
        done(self.place(fd)?.remove(path, AtFlags::empty()))
    }

    async fn poll_oneoff(
        &mut self,
        _: &mut GuestMemory<'_>,
        _: GuestPtr<types::Subscription>,
        _: GuestPtr<types::Event>,
        _: u32,
    ) -> Result<u32> {
        // `clock.rs` puts its own function in this one's place.
        Err(types::Errno::Notsup.into())
    }

    fn proc_exit(&mut self, memory: &mut GuestMemory<'_>, status: u32) -> wasmtime::Error {
        self.context.proc_exit(memory, status)
    }

    fn proc_raise(&mut self, _: &mut GuestMemory<'_>, _: types::Signal) -> Result<()> {
        Err(types::Errno::Notsup.into())
    }

    fn sched_yield(&mut self, _: &mut GuestMemory<'_>) -> Result<()> {
        Ok(())
    }

    fn random_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        buffer: GuestPtr<u8>,
        length: u32,
    ) -> Result<()> {
        self.context.random_get(memory, buffer, length)
    }

    fn sock_accept(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::Fdflags,
    ) -> Result<types::Fd> {
        self.descriptor(fd)?;
        Err(types::Errno::Notsock.into())
    }

    fn sock_recv(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::IovecArray,
        _: types::Riflags,
    ) -> Result<(u32, types::Roflags)> {
        self.descriptor(fd)?;
        Err(types::Errno::Notsock.into())
    }

    fn sock_send(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::CiovecArray,
        _: types::Siflags,
    ) -> Result<u32> {
        self.descriptor(fd)?;
        Err(types::Errno::Notsock.into())
    }

    fn sock_shutdown(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: types::Fd,
        _: types::Sdflags,
    ) -> Result<()> {
        self.descriptor(fd)?;
        Err(types::Errno::Notsock.into())
    }
}
