//! Between the words of WASI preview 1 and those of the system.

use std::mem::MaybeUninit;

use rustix::fs::{
    self, FileType, RawDir, SeekFrom, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno;
use wasmtime_wasi::p1::types::{self, Error};
use wiggle::{GuestMemory, GuestPtr};

use super::walk::{Directory, Last};

/// Bytes of directory entries that are read at once.
const LISTING: usize = 32 << 10;
/// Buffers of one call that are looked at.
const BUFFERS_MAX: u32 = 1024;
/// Bytes of a path, as the kernel's.
const PATH_MAX: u32 = 4096;

type Result<T, E = Error> = std::result::Result<T, E>;

pub(super) fn done(result: Result<(), Errno>) -> Result<()> {
    result.map_err(errno)
}

/// Does it again when a signal came between.
pub(super) fn uninterrupted(mut io: impl FnMut() -> Result<usize, Errno>) -> Result<usize> {
    loop {
        match io() {
            Err(Errno::INTR) => {}
            result => return result.map_err(errno),
        }
    }
}

/// The bytes of a path. It need not be text.
pub(super) fn bytes_of<'a>(memory: &'a GuestMemory<'_>, path: GuestPtr<str>) -> Result<&'a [u8]> {
    if path.len() > PATH_MAX {
        return Err(types::Errno::Nametoolong.into());
    }
    Ok(memory
        .as_slice(path.as_bytes())?
        .ok_or(types::Errno::Notsup)?)
}

pub(super) fn unshared<'a>(
    memory: &'a mut GuestMemory<'_>,
    buffer: GuestPtr<[u8]>,
) -> Result<&'a mut [u8]> {
    Ok(memory.as_slice_mut(buffer)?.ok_or(types::Errno::Notsup)?)
}

/// The first buffer that has room: a system call may read less than it was asked for.
pub(super) fn room<'a>(
    memory: &'a mut GuestMemory<'_>,
    buffers: types::IovecArray,
) -> Result<&'a mut [u8]> {
    for index in 0..buffers.len().min(BUFFERS_MAX) {
        let buffer = buffers.get(index).expect("the index is below the length");
        let buffer = memory.read(buffer)?;
        if buffer.buf_len > 0 {
            return unshared(memory, buffer.buf.as_array(buffer.buf_len));
        }
    }
    Ok(&mut [])
}

/// The first buffer that holds something: a system call may write less than it was asked to.
pub(super) fn filled<'a>(
    memory: &'a GuestMemory<'_>,
    buffers: types::CiovecArray,
) -> Result<&'a [u8]> {
    for index in 0..buffers.len().min(BUFFERS_MAX) {
        let buffer = buffers.get(index).expect("the index is below the length");
        let buffer = memory.read(buffer)?;
        if buffer.buf_len > 0 {
            let bytes = memory.as_slice(buffer.buf.as_array(buffer.buf_len))?;
            return Ok(bytes.ok_or(types::Errno::Notsup)?);
        }
    }
    Ok(&[])
}

pub(super) fn last(flags: types::Lookupflags) -> Last {
    match flags.contains(types::Lookupflags::SYMLINK_FOLLOW) {
        true => Last::Follow,
        false => Last::Keep,
    }
}

pub(super) fn file_type(found: FileType) -> types::Filetype {
    match found {
        FileType::RegularFile => types::Filetype::RegularFile,
        FileType::Directory => types::Filetype::Directory,
        FileType::Symlink => types::Filetype::SymbolicLink,
        FileType::CharacterDevice => types::Filetype::CharacterDevice,
        FileType::BlockDevice => types::Filetype::BlockDevice,
        FileType::Socket => types::Filetype::SocketStream,
        FileType::Fifo | FileType::Unknown => types::Filetype::Unknown,
    }
}

pub(super) fn file_stat(stat: &Stat) -> types::Filestat {
    types::Filestat {
        dev: stat.st_dev,
        ino: stat.st_ino,
        filetype: file_type(FileType::from_raw_mode(stat.st_mode)),
        nlink: widened(stat.st_nlink),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        atim: nanoseconds(stat.st_atime, stat.st_atime_nsec),
        mtim: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        ctim: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The system's numbers are of other sizes on other processors.
fn widened(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Nanoseconds since 1970; what was before is 1970.
fn nanoseconds(seconds: impl Into<i64>, nanoseconds: impl Into<u64>) -> u64 {
    u64::try_from(seconds.into()).map_or(0, |seconds| {
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds.into())
    })
}

pub(super) fn timestamps(
    accessed: u64,
    modified: u64,
    flags: types::Fstflags,
) -> Result<Timestamps> {
    Ok(Timestamps {
        last_access: timestamp(
            accessed,
            flags.contains(types::Fstflags::ATIM),
            flags.contains(types::Fstflags::ATIM_NOW),
        )?,
        last_modification: timestamp(
            modified,
            flags.contains(types::Fstflags::MTIM),
            flags.contains(types::Fstflags::MTIM_NOW),
        )?,
    })
}

fn timestamp(nanoseconds: u64, given: bool, now: bool) -> Result<Timespec> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    match (given, now) {
        (true, true) => Err(types::Errno::Inval.into()),
        (false, true) => Ok(special(UTIME_NOW)),
        (false, false) => Ok(special(UTIME_OMIT)),
        (true, false) => Ok(Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as _,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        }),
    }
}

/// Writes the entries from `cookie` on, as many as there is room for; the last one may be cut off.
///
/// A cookie is the kernel's own, so each call goes on where the last one ended, and a directory
/// of any size takes time in proportion to it.
pub(super) fn list(directory: &Directory, room: &mut [u8], cookie: u64) -> Result<usize, Errno> {
    fs::seek(directory, SeekFrom::Start(cookie))?;
    let mut buffer = [MaybeUninit::uninit(); LISTING];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut used = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&entry.next_entry_cookie().to_le_bytes());
        head[8..16].copy_from_slice(&entry.ino().to_le_bytes());
        head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        head[20] = file_type(entry.file_type()) as u8;
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

/// Bytes of a directory entry before its name.
const HEAD: usize = 24;

pub(super) fn errno(error: Errno) -> Error {
    let errno = match error {
        Errno::ACCESS => types::Errno::Acces,
        Errno::AGAIN => types::Errno::Again,
        Errno::BADF => types::Errno::Badf,
        Errno::BUSY => types::Errno::Busy,
        Errno::DQUOT => types::Errno::Dquot,
        Errno::EXIST => types::Errno::Exist,
        Errno::FBIG => types::Errno::Fbig,
        Errno::INVAL => types::Errno::Inval,
        Errno::ISDIR => types::Errno::Isdir,
        Errno::LOOP => types::Errno::Loop,
        Errno::MFILE => types::Errno::Mfile,
        Errno::MLINK => types::Errno::Mlink,
        Errno::NAMETOOLONG => types::Errno::Nametoolong,
        Errno::NFILE => types::Errno::Nfile,
        Errno::NOENT => types::Errno::Noent,
        Errno::NOMEM => types::Errno::Nomem,
        Errno::NOSPC => types::Errno::Nospc,
        Errno::NOSYS => types::Errno::Nosys,
        Errno::NOTDIR => types::Errno::Notdir,
        Errno::NOTEMPTY => types::Errno::Notempty,
        Errno::NOTSUP => types::Errno::Notsup,
        Errno::NXIO => types::Errno::Nxio,
        Errno::OVERFLOW => types::Errno::Overflow,
        Errno::PERM => types::Errno::Perm,
        Errno::PIPE => types::Errno::Pipe,
        Errno::ROFS => types::Errno::Rofs,
        Errno::SPIPE => types::Errno::Spipe,
        Errno::STALE => types::Errno::Stale,
        Errno::TIMEDOUT => types::Errno::Timedout,
        Errno::TXTBSY => types::Errno::Txtbsy,
        Errno::XDEV => types::Errno::Xdev,
        _ => types::Errno::Io,
    };
    errno.into()
}
