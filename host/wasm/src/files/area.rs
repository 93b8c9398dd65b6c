//! Which files are only bytes, and which are doors to more than their bytes.
//!
//! Decided by the file system that an opened descriptor is on and by the type of the file, never
//! by a path: procfs may be mounted anywhere, and any directory may be bound to another name.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, Stat};
use rustix::io::Errno;

/// What the files of a directory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// Stored bytes.
    Storage,
    /// Attributes of kernel objects, in sysfs and the cgroup file systems.
    Attributes,
    /// The root of procfs.
    Proc,
    /// `sys` and `pressure` of procfs, and below.
    ProcSystem,
    /// This process's own directory in procfs.
    ProcSelf,
    /// `net` in it, and below.
    ProcNet,
}

/// File systems that store files (`statfs(2)` and the kernel's `magic.h`). All others are
/// refused: one that is not known here may be a door to anything.
const STORAGE: [u64; 40] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0x6969,      // NFS
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x517b,      // SMB
    0x6573_5546, // FUSE, virtiofs
    0x0102_1997, // 9p
    0x4d44,      // FAT
    0x2011_bab0, // exFAT
    0x5346_544e, // NTFS
    0x7366_746e, // NTFS3
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0x3153_464a, // JFS
    0x5265_4973, // ReiserFS
    0x3434,      // NILFS
    0x4244,      // HFS
    0x482b,      // HFS+
    0x1501_3346, // UDF
    0x9660,      // ISO 9660
    0x7371_7368, // SquashFS
    0xe0f5_e1e2, // EROFS
    0x28cd_3d45, // cramfs
    0xf15f,      // eCryptfs
    0x6175_6673, // aufs
    0x2405_1905, // UBIFS
    0x72b6,      // JFFS2
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
    0x0bd0_0bd0, // Lustre
    0x786f_4256, // VirtualBox's shared folders
    0x0187,      // autofs, which becomes one of the others
];
const SYSFS: u64 = 0x6265_6572;
const CGROUP: u64 = 0x0027_e0eb;
const CGROUP2: u64 = 0x6367_7270;
const PROCFS: u64 = 0x9fa0;

/// The number of procfs's root directory (`PROCFS_ROOT_INO`).
const PROC_ROOT: u64 = 1;

/// Files in the root of procfs that say how the machine is. Others show the kernel's memory, or
/// make it do something.
const PROC_FILES: [&[u8]; 22] = [
    b"cgroups",
    b"cmdline",
    b"consoles",
    b"cpuinfo",
    b"crypto",
    b"devices",
    b"diskstats",
    b"filesystems",
    b"interrupts",
    b"loadavg",
    b"mdstat",
    b"meminfo",
    b"misc",
    b"modules",
    b"partitions",
    b"softirqs",
    b"stat",
    b"swaps",
    b"uptime",
    b"version",
    b"vmstat",
    b"zoneinfo",
];
/// Links in the root of procfs. Those further down lead into processes.
const PROC_LINKS: [&[u8]; 3] = [b"self", b"mounts", b"net"];
/// Files in this process's own directory in procfs. `status` says who it is, and holds no address.
const PROC_SELF_FILES: [&[u8]; 3] = [b"mountinfo", b"mounts", b"status"];

/// Largest size that sysfs states for an attribute that is text. What states another one is
/// memory of a device or a table of the kernel.
const ATTRIBUTE_MAX: i64 = 4096;

/// Read by whoever asks.
const ANYONE_READS: u32 = 0o004;

impl Area {
    /// What the files of an opened directory are, when nothing is known of where it is.
    pub(super) fn of(directory: impl AsFd, stat: &Stat) -> Result<Self, Errno> {
        match file_system(directory)? {
            PROCFS if stat.st_ino == PROC_ROOT => Ok(Self::Proc),
            SYSFS | CGROUP | CGROUP2 => Ok(Self::Attributes),
            other if STORAGE.contains(&other) => Ok(Self::Storage),
            _ => Err(Errno::ACCESS),
        }
    }

    /// The same for one that was opened as `name` in a directory of this area.
    pub(super) fn enter(
        self,
        parent: &OwnedFd,
        parent_stat: &Stat,
        name: &[u8],
        (directory, stat): (&OwnedFd, &Stat),
    ) -> Result<Self, Errno> {
        if stat.st_dev != parent_stat.st_dev {
            return Self::of(directory, stat);
        }
        match (self, name) {
            (Self::Storage | Self::Attributes | Self::ProcSystem | Self::ProcNet, _) => Ok(self),
            (Self::Proc, b"sys" | b"pressure") => Ok(Self::ProcSystem),
            (Self::Proc, _) if is_self(parent, name) => Ok(Self::ProcSelf),
            (Self::ProcSelf, b"net") => Ok(Self::ProcNet),
            (Self::Proc | Self::ProcSelf, _) => Err(Errno::ACCESS),
        }
    }

    /// Whether a link of that name is followed and read: what magic links of procfs name cannot
    /// be told from other paths.
    pub(super) fn admits_link(self, name: &[u8]) -> bool {
        match self {
            Self::Storage | Self::Attributes => true,
            Self::Proc => PROC_LINKS.contains(&name),
            Self::ProcSystem | Self::ProcSelf | Self::ProcNet => false,
        }
    }

    /// Whether files here may be made, written, renamed and removed.
    pub(super) fn is_storage(self) -> bool {
        self == Self::Storage
    }

    /// Decides whether the file `name` in a directory of this area may be opened.
    pub(super) fn admit_file(
        self,
        parent: &Stat,
        name: &[u8],
        (file, stat): (&OwnedFd, &Stat),
        intent: Intent,
    ) -> Result<(), Errno> {
        // Pipes, sockets and devices have another end, which is not the file.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::ACCESS);
        }
        // A file may be bound over another one.
        let area = match stat.st_dev == parent.st_dev {
            true => self,
            false => Self::of(file, stat)?,
        };
        if area == Self::Storage {
            return Ok(());
        }
        let admitted = intent == Intent::Read
            && stat.st_mode & ANYONE_READS != 0
            && match area {
                Self::Storage | Self::ProcSystem | Self::ProcNet => true,
                Self::Attributes => stat.st_size <= ATTRIBUTE_MAX,
                Self::Proc => PROC_FILES.contains(&name),
                Self::ProcSelf => PROC_SELF_FILES.contains(&name),
            };
        admitted.then_some(()).ok_or(Errno::ACCESS)
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// To read it.
    Read,
    /// To write it, too.
    Write,
}

fn file_system(descriptor: impl AsFd) -> Result<u64, Errno> {
    // The type is 32 bits, which some machines extend by their sign.
    Ok(u64::from(fs::fstatfs(descriptor)?.f_type as u32))
}

/// Whether `name` in the root of procfs is this process. The number depends on whose processes
/// that procfs shows.
fn is_self(root: &OwnedFd, name: &[u8]) -> bool {
    fs::readlinkat(root, "self", Vec::new()).is_ok_and(|link| link.as_bytes() == name)
}
