//! Numbers and records of WASI preview 1, as its witx files lay them out.

use rustix::fs::{FileType, Stat};
use rustix::io;

/// An error number of WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(pub(super) u16);

impl Errno {
    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const ACCES: Self = Self(2);
    pub(super) const AGAIN: Self = Self(6);
    pub(super) const BADF: Self = Self(8);
    pub(super) const BUSY: Self = Self(10);
    pub(super) const DQUOT: Self = Self(19);
    pub(super) const EXIST: Self = Self(20);
    pub(super) const FBIG: Self = Self(22);
    pub(super) const INVAL: Self = Self(28);
    pub(super) const IO: Self = Self(29);
    pub(super) const ISDIR: Self = Self(31);
    pub(super) const LOOP: Self = Self(32);
    pub(super) const MFILE: Self = Self(33);
    pub(super) const MLINK: Self = Self(34);
    pub(super) const NAMETOOLONG: Self = Self(37);
    pub(super) const NFILE: Self = Self(41);
    pub(super) const NOENT: Self = Self(44);
    pub(super) const NOMEM: Self = Self(48);
    pub(super) const NOSPC: Self = Self(51);
    pub(super) const NOSYS: Self = Self(52);
    pub(super) const NOTDIR: Self = Self(54);
    pub(super) const NOTEMPTY: Self = Self(55);
    pub(super) const NOTSOCK: Self = Self(57);
    pub(super) const NOTSUP: Self = Self(58);
    pub(super) const NXIO: Self = Self(60);
    pub(super) const OVERFLOW: Self = Self(61);
    pub(super) const PERM: Self = Self(63);
    pub(super) const PIPE: Self = Self(64);
    pub(super) const ROFS: Self = Self(69);
    pub(super) const SPIPE: Self = Self(70);
    pub(super) const STALE: Self = Self(72);
    pub(super) const TIMEDOUT: Self = Self(73);
    pub(super) const TXTBSY: Self = Self(74);
    pub(super) const XDEV: Self = Self(75);
}

impl From<io::Errno> for Errno {
    fn from(error: io::Errno) -> Self {
        match error {
            io::Errno::ACCESS => Self::ACCES,
            io::Errno::AGAIN => Self::AGAIN,
            io::Errno::BADF => Self::BADF,
            io::Errno::BUSY => Self::BUSY,
            io::Errno::DQUOT => Self::DQUOT,
            io::Errno::EXIST => Self::EXIST,
            io::Errno::FBIG => Self::FBIG,
            io::Errno::INVAL => Self::INVAL,
            io::Errno::ISDIR => Self::ISDIR,
            io::Errno::LOOP => Self::LOOP,
            io::Errno::MFILE => Self::MFILE,
            io::Errno::MLINK => Self::MLINK,
            io::Errno::NAMETOOLONG => Self::NAMETOOLONG,
            io::Errno::NFILE => Self::NFILE,
            io::Errno::NOENT => Self::NOENT,
            io::Errno::NOMEM => Self::NOMEM,
            io::Errno::NOSPC => Self::NOSPC,
            io::Errno::NOSYS => Self::NOSYS,
            io::Errno::NOTDIR => Self::NOTDIR,
            io::Errno::NOTEMPTY => Self::NOTEMPTY,
            io::Errno::NOTSUP => Self::NOTSUP,
            io::Errno::NXIO => Self::NXIO,
            io::Errno::OVERFLOW => Self::OVERFLOW,
            io::Errno::PERM => Self::PERM,
            io::Errno::PIPE => Self::PIPE,
            io::Errno::ROFS => Self::ROFS,
            io::Errno::SPIPE => Self::SPIPE,
            io::Errno::STALE => Self::STALE,
            io::Errno::TIMEDOUT => Self::TIMEDOUT,
            io::Errno::TXTBSY => Self::TXTBSY,
            io::Errno::XDEV => Self::XDEV,
            _ => Self::IO,
        }
    }
}

// `lookupflags`.
pub(super) const LOOKUP_SYMLINK_FOLLOW: u32 = 1;

// `oflags`.
pub(super) const OPEN_CREATE: u32 = 1;
pub(super) const OPEN_DIRECTORY: u32 = 2;
pub(super) const OPEN_EXCLUSIVE: u32 = 4;
pub(super) const OPEN_TRUNCATE: u32 = 8;

// `fdflags`.
pub(super) const FD_APPEND: u32 = 1;
/// `dsync`, `rsync` and `sync`.
pub(super) const FD_SYNCHRONIZED: u32 = 2 | 8 | 16;

// `rights`.
pub(super) const RIGHT_READ: u64 = 1 << 1;
pub(super) const RIGHT_SEEK: u64 = 1 << 2;
pub(super) const RIGHT_TELL: u64 = 1 << 5;
pub(super) const RIGHT_WRITE: u64 = 1 << 6;
pub(super) const RIGHT_PATH_SET_SIZE: u64 = 1 << 19;
pub(super) const RIGHT_SET_SIZE: u64 = 1 << 22;
pub(super) const RIGHTS_ALL: u64 = (1 << 30) - 1;

// `fstflags`.
pub(super) const SET_ACCESSED: u32 = 1;
pub(super) const SET_ACCESSED_NOW: u32 = 2;
pub(super) const SET_MODIFIED: u32 = 4;
pub(super) const SET_MODIFIED_NOW: u32 = 8;

// `whence`.
pub(super) const SEEK_SET: u32 = 0;
pub(super) const SEEK_CURRENT: u32 = 1;
pub(super) const SEEK_END: u32 = 2;

// `clockid`.
pub(super) const CLOCK_REALTIME: u32 = 0;
pub(super) const CLOCK_MONOTONIC: u32 = 1;

// `filetype`.
pub(super) const TYPE_UNKNOWN: u8 = 0;
const TYPE_BLOCK_DEVICE: u8 = 1;
const TYPE_CHARACTER_DEVICE: u8 = 2;
pub(super) const TYPE_DIRECTORY: u8 = 3;
const TYPE_REGULAR_FILE: u8 = 4;
const TYPE_SOCKET_STREAM: u8 = 6;
const TYPE_SYMBOLIC_LINK: u8 = 7;

pub(super) fn file_type(found: FileType) -> u8 {
    match found {
        FileType::RegularFile => TYPE_REGULAR_FILE,
        FileType::Directory => TYPE_DIRECTORY,
        FileType::Symlink => TYPE_SYMBOLIC_LINK,
        FileType::CharacterDevice => TYPE_CHARACTER_DEVICE,
        FileType::BlockDevice => TYPE_BLOCK_DEVICE,
        FileType::Socket => TYPE_SOCKET_STREAM,
        FileType::Fifo | FileType::Unknown => TYPE_UNKNOWN,
    }
}

/// `fdstat`: what a descriptor is and what may be done with it.
pub(super) fn fdstat(file_type: u8, flags: u16, rights: u64, inheriting: u64) -> [u8; 24] {
    let mut record = [0; 24];
    record[0] = file_type;
    record[2..4].copy_from_slice(&flags.to_le_bytes());
    record[8..16].copy_from_slice(&rights.to_le_bytes());
    record[16..].copy_from_slice(&inheriting.to_le_bytes());
    record
}

/// `filestat` of something that the system has.
pub(super) fn filestat(stat: &Stat) -> [u8; 64] {
    let mut record = [0; 64];
    let mut put = |at: usize, value: u64| record[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, stat.st_dev);
    put(8, stat.st_ino);
    put(24, widened(stat.st_nlink));
    put(32, u64::try_from(stat.st_size).unwrap_or(0));
    put(40, nanoseconds(stat.st_atime, stat.st_atime_nsec));
    put(48, nanoseconds(stat.st_mtime, stat.st_mtime_nsec));
    put(56, nanoseconds(stat.st_ctime, stat.st_ctime_nsec));
    record[16] = file_type(FileType::from_raw_mode(stat.st_mode));
    record
}

/// `prestat` of a granted directory whose name has that length.
pub(super) fn prestat(name_length: u32) -> [u8; 8] {
    let mut record = [0; 8];
    record[4..].copy_from_slice(&name_length.to_le_bytes());
    record
}

/// `dirent`: what stands before an entry's name.
pub(super) fn dirent(next: u64, inode: u64, name_length: usize, file_type: u8) -> [u8; 24] {
    let mut record = [0; 24];
    record[..8].copy_from_slice(&next.to_le_bytes());
    record[8..16].copy_from_slice(&inode.to_le_bytes());
    record[16..20].copy_from_slice(&(name_length as u32).to_le_bytes());
    record[20] = file_type;
    record
}

/// The system's numbers are of other sizes on other processors.
fn widened(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Nanoseconds since 1970. An earlier time is 1970.
fn nanoseconds(seconds: impl Into<i64>, nanoseconds: impl Into<u64>) -> u64 {
    u64::try_from(seconds.into()).map_or(0, |seconds| {
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds.into())
    })
}
