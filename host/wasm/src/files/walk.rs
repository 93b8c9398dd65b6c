//! From a path to an opened object, component by component.
//!
//! No component is followed by the kernel: each is opened without following links and judged
//! ([`Area`]) before the next one is looked up in it. So nothing is ever opened that was not
//! judged, whatever is renamed meanwhile.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::area::{Area, Intent};

/// Bytes of a path, as the kernel's.
const PATH_MAX: usize = 4096;
/// Links on the way of one path, as the kernel's.
const LINKS_MAX: usize = 40;
/// Directories of one path that are held open at once.
const DEPTH_MAX: usize = 256;

const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An opened directory, and what its files are.
#[derive(Clone)]
pub(super) struct Directory {
    /// Opened as a path, or to be read.
    pub(super) fd: Arc<OwnedFd>,
    pub(super) stat: Stat,
    pub(super) area: Area,
}

/// Whether the last component's link is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// It is followed.
    Follow,
    /// It is what is meant.
    Keep,
}

/// Where a path leads.
pub(super) struct Found {
    /// The directory that the last component is in.
    pub(super) parent: Directory,
    /// The last component. Empty where the path is the parent itself.
    pub(super) name: Vec<u8>,
    /// What has that name, if anything.
    pub(super) object: Option<Object>,
}

/// Something that has a name.
pub(super) struct Object {
    /// Opened as a path.
    pub(super) fd: OwnedFd,
    pub(super) stat: Stat,
}

impl Object {
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

impl Directory {
    /// The root of all paths of this process.
    fn root() -> Result<Self, Errno> {
        let fd = fs::open("/", LOOK | OFlags::DIRECTORY, Mode::empty())?;
        let stat = fs::fstat(&fd)?;
        Ok(Self {
            area: Area::of(&fd, &stat)?,
            fd: Arc::new(fd),
            stat,
        })
    }

    /// The directory that an absolute path leads to, which must be readable.
    pub(super) fn at(path: &str) -> Result<Self, Errno> {
        let found = Walk::from(Self::root()?, Bounds::None).to(path.as_bytes(), Last::Follow)?;
        found.into_directory()?.readable()
    }

    /// Opens what a path below this directory leads to.
    pub(super) fn find(&self, path: &[u8], last: Last) -> Result<Found, Errno> {
        Walk::from(self.clone(), Bounds::Below).to(path, last)
    }

    /// Opens an object by one path that the kernel walks, where it leaves neither this directory's
    /// mount nor storage: one system call instead of one for each component.
    fn look_up_at_once(&self, path: &[u8]) -> Option<Object> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_XDEV;
        let fd = fs::openat2(&*self.fd, path, LOOK, Mode::empty(), resolve).ok()?;
        let stat = fs::fstat(&fd).ok()?;
        Some(Object { fd, stat })
    }

    /// What a path below this directory leads to, without opening it.
    pub(super) fn stat(&self, path: &[u8], last: Last) -> Result<Stat, Errno> {
        if self.area.is_storage()
            && let Some(object) = self.look_up_at_once(path)
            && object.file_type() != FileType::Symlink
        {
            return Ok(object.stat);
        }
        let found = self.find(path, last)?;
        match found.name.is_empty() {
            true => fs::fstat(&found.parent),
            false => Ok(found.existing()?.stat),
        }
    }

    /// Opens what a path below this directory leads to, to read it.
    pub(super) fn open_to_read(&self, path: &[u8], last: Last) -> Result<Opened, Errno> {
        if self.area.is_storage()
            && let Some(object) = self.look_up_at_once(path)
            && object.file_type() != FileType::Symlink
        {
            return match object.file_type() {
                FileType::Directory => Self {
                    fd: Arc::new(object.fd),
                    stat: object.stat,
                    area: self.area,
                }
                .readable()
                .map(Opened::Directory),
                FileType::RegularFile => object.open(OFlags::RDONLY),
                _ => Err(Errno::ACCESS),
            };
        }
        self.find(path, last)?.open(OFlags::RDONLY, Intent::Read)
    }

    /// The same directory, opened so that it can be listed.
    pub(super) fn readable(self) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(&*self.fd, ".", flags, Mode::empty())?;
        Ok(Self {
            fd: Arc::new(fd),
            ..self
        })
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What was opened.
pub(super) enum Opened {
    Directory(Directory),
    File(OwnedFd, Stat),
}

impl Object {
    /// Opens the file.
    fn open(&self, flags: OFlags) -> Result<Opened, Errno> {
        Ok(Opened::File(self.reopen(flags)?, self.stat))
    }

    /// Opens the very same file with other flags. The link in procfs leads to the object, not to
    /// its name.
    fn reopen(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        fs::open(
            path,
            flags | OFlags::CLOEXEC | OFlags::NOCTTY,
            Mode::empty(),
        )
    }
}

impl Found {
    /// The object, which must be there.
    pub(super) fn existing(&self) -> Result<&Object, Errno> {
        self.object.as_ref().ok_or(Errno::NOENT)
    }

    /// The directory that was found.
    pub(super) fn into_directory(self) -> Result<Directory, Errno> {
        if self.name.is_empty() {
            return Ok(self.parent);
        }
        let object = self.object.ok_or(Errno::NOENT)?;
        if object.file_type() != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        let area = self.parent.area.enter(
            &self.parent.fd,
            &self.parent.stat,
            &self.name,
            (&object.fd, &object.stat),
        )?;
        Ok(Directory {
            fd: Arc::new(object.fd),
            stat: object.stat,
            area,
        })
    }

    /// Opens what was found.
    pub(super) fn open(self, flags: OFlags, intent: Intent) -> Result<Opened, Errno> {
        if self.name.is_empty() {
            return self.parent.readable().map(Opened::Directory);
        }
        let object = self.existing()?;
        match object.file_type() {
            FileType::Directory if intent == Intent::Write => return Err(Errno::ISDIR),
            FileType::Directory => {
                return self.into_directory()?.readable().map(Opened::Directory);
            }
            FileType::Symlink => return Err(Errno::LOOP),
            _ => {}
        }
        let parent = &self.parent;
        parent
            .area
            .admit_file(&parent.stat, &self.name, (&object.fd, &object.stat), intent)?;
        object.open(flags)
    }
}

/// Where a walk may go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// Anywhere: whoever granted a directory may name it as they like.
    None,
    /// Nowhere but below the directory that it began in.
    Below,
}

/// A walk along a path.
struct Walk {
    /// The directories from the first one to where the walk is.
    way: Vec<Directory>,
    bounds: Bounds,
}

impl Walk {
    fn from(directory: Directory, bounds: Bounds) -> Self {
        Self {
            way: vec![directory],
            bounds,
        }
    }

    fn here(&self) -> &Directory {
        self.way
            .last()
            .expect("a walk never leaves its first directory")
    }

    fn to(mut self, path: &[u8], last: Last) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.contains(&0) {
            return Err(Errno::INVAL);
        }
        let mut rest = VecDeque::new();
        let mut wants_directory = path.ends_with(b"/");
        self.put_before(&mut rest, path)?;
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == b".." {
                // Above the first directory there is nothing, or it is its own parent.
                match (self.way.len(), self.bounds) {
                    (1, Bounds::Below) => return Err(Errno::PERM),
                    (1, Bounds::None) => {}
                    _ => _ = self.way.pop(),
                }
                continue;
            }
            let is_last = rest.is_empty();
            let object = match self.look_up(&name) {
                Ok(object) => object,
                Err(Errno::NOENT) if is_last => {
                    return Ok(Found {
                        parent: self.here().clone(),
                        name,
                        object: None,
                    });
                }
                Err(error) => return Err(error),
            };
            let follow = !is_last || wants_directory || last == Last::Follow;
            if object.file_type() == FileType::Symlink && follow {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                let link = self.read_link(&name)?;
                wants_directory |= is_last && link.ends_with(b"/");
                self.put_before(&mut rest, &link)?;
                continue;
            }
            let found = Found {
                parent: self.here().clone(),
                name,
                object: Some(object),
            };
            if is_last && !wants_directory {
                return Ok(found);
            }
            if self.way.len() == DEPTH_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            self.way.push(found.into_directory()?);
        }
        Ok(Found {
            parent: self.here().clone(),
            name: Vec::new(),
            object: None,
        })
    }

    fn look_up(&self, name: &[u8]) -> Result<Object, Errno> {
        let fd = fs::openat(self.here(), name, LOOK, Mode::empty())?;
        let stat = fs::fstat(&fd)?;
        Ok(Object { fd, stat })
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        if !self.here().area.admits_link(name) {
            return Err(Errno::ACCESS);
        }
        Ok(fs::readlinkat(self.here(), name, Vec::new())?.into_bytes())
    }

    /// Puts the components of `path` in front of what is left of the way.
    fn put_before(&mut self, rest: &mut VecDeque<Vec<u8>>, path: &[u8]) -> Result<(), Errno> {
        if path.starts_with(b"/") {
            if self.bounds == Bounds::Below {
                return Err(Errno::PERM);
            }
            self.way.truncate(1);
        }
        let components = path.split(|&byte| byte == b'/');
        let components = components.filter(|name| !name.is_empty() && *name != b".");
        for name in components.rev() {
            rest.push_front(name.to_vec());
        }
        let length: usize = rest.iter().map(|name| name.len() + 1).sum();
        if length > PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(())
    }
}
