//! What a plugin sees of the file systems: the granted directories, and what it opened there.
//!
//! ```text
//! path --Directory::find--> Found --Area::admit_file, Guarded::admit_change_of--> descriptor
//! ```
//!
//! Each object is judged by its descriptor, and this descriptor is the one that is used.

mod area;
mod guarded;
mod table;
mod walk;

use std::os::fd::{AsFd, BorrowedFd};

use offshoot_abi::Grant;
use rustix::fs::{self, AtFlags, Mode, OFlags, Stat, Timestamps};
use rustix::io::Errno;

use self::area::Intent;
use self::guarded::{Guarded, is_secret};
use self::walk::{Directory, Found, Opened};

pub(crate) use self::table::{Descriptor, Full, Table};
pub(crate) use self::walk::Last;

/// Mode of a file that a plugin makes, before the process's mask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
/// The same of a directory.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A granted directory. It is found once for all instances: what its path leads to later is not
/// what was granted.
pub(crate) struct Granted {
    place: Place,
    path: String,
}

impl Granted {
    /// Finds the directory, if the grant is one of a directory.
    pub(crate) fn find(grant: &Grant) -> Option<Result<Self, Errno>> {
        let (path, access) = match grant {
            Grant::Read(path) => (path, Access::Read),
            Grant::Write(path) => (path, Access::Write),
            Grant::Env(_) | Grant::Router => return None,
        };
        Some(Directory::at(path).map(|directory| Self {
            place: Place { directory, access },
            path: path.clone(),
        }))
    }

    /// A descriptor for one instance, which reads its entries at its own pace.
    pub(crate) fn open(&self) -> Result<Descriptor, Errno> {
        let place = Place {
            directory: self.place.directory.clone().readable()?,
            access: self.place.access,
        };
        Ok(Descriptor::Directory {
            place,
            granted: Some(self.path.clone()),
        })
    }
}

/// A directory that a plugin has a descriptor for.
#[derive(Clone)]
pub(crate) struct Place {
    directory: Directory,
    access: Access,
}

/// How a plugin opens a file.
#[derive(Clone, Copy, Default)]
pub(crate) struct OpenOptions {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    pub(crate) directory: bool,
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Place {
    /// What a path leads to, to change it or its name.
    fn find_to_change(&self, path: &[u8], last: Last) -> Result<Found, Errno> {
        if self.access != Access::Write {
            return Err(Errno::PERM);
        }
        let found = self.directory.find(path, last)?;
        if !found.parent.area.is_storage() {
            return Err(Errno::ACCESS);
        }
        Guarded::now().admit_change_of(&found)?;
        Ok(found)
    }

    /// The same for a name, which must be one.
    fn find_name_to_change(&self, path: &[u8]) -> Result<Found, Errno> {
        let found = self.find_to_change(path.trim_ascii_end_of(b'/'), Last::Keep)?;
        match found.name.is_empty() {
            true => Err(Errno::INVAL),
            false => Ok(found),
        }
    }

    /// What a path leads to, without opening it.
    pub(crate) fn stat(&self, path: &[u8], last: Last) -> Result<Stat, Errno> {
        self.directory.stat(path, last)
    }

    /// Opens what a path leads to, or makes a file there.
    pub(crate) fn open(
        &self,
        path: &[u8],
        last: Last,
        options: OpenOptions,
    ) -> Result<Descriptor, Errno> {
        let changes = options.write || options.create || options.truncate || options.append;
        let opened = match changes {
            true => self.open_to_write(path, last, options)?,
            false => self.directory.open_to_read(path, last)?,
        };
        match opened {
            Opened::File(..) if options.directory => Err(Errno::NOTDIR),
            Opened::File(_, stat) if is_secret(&stat) => Err(Errno::ACCESS),
            Opened::File(file, _) => Ok(Descriptor::File {
                file,
                access: match options.write {
                    true => Access::Write,
                    false => Access::Read,
                },
            }),
            Opened::Directory(directory) => Ok(Descriptor::Directory {
                place: Self {
                    directory,
                    access: self.access,
                },
                granted: None,
            }),
        }
    }

    fn open_to_write(
        &self,
        path: &[u8],
        last: Last,
        options: OpenOptions,
    ) -> Result<Opened, Errno> {
        if options.directory {
            return Err(match options.create {
                true => Errno::INVAL,
                false => Errno::ISDIR,
            });
        }
        let mut flags = match (options.read, options.write || options.append) {
            (true, true) => OFlags::RDWR,
            // To truncate a file is to write it.
            (true, false) if options.truncate => OFlags::RDWR,
            (false, false) if options.truncate => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
        };
        flags.set(OFlags::APPEND, options.append);
        let last = if options.exclusive { Last::Keep } else { last };
        let found = self.find_to_change(path, last)?;
        if found.object.is_some() && options.create && options.exclusive {
            return Err(Errno::EXIST);
        }
        if found.object.is_some() || found.name.is_empty() || !options.create {
            flags.set(OFlags::TRUNC, options.truncate);
            return found.open(flags, Intent::Write);
        }
        // Nothing but what is made here: whatever took the name meanwhile was not judged.
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&found.parent, &*found.name, flags, FILE_MODE)?;
        let stat = fs::fstat(&file)?;
        Ok(Opened::File(file, stat))
    }

    pub(crate) fn make_directory(&self, path: &[u8]) -> Result<(), Errno> {
        let found = self.find_name_to_change(path)?;
        fs::mkdirat(&found.parent, &*found.name, DIRECTORY_MODE)
    }

    pub(crate) fn remove(&self, path: &[u8], flags: AtFlags) -> Result<(), Errno> {
        let found = self.find_name_to_change(path)?;
        fs::unlinkat(&found.parent, &*found.name, flags)
    }

    pub(crate) fn rename(&self, path: &[u8], to: &Self, new_path: &[u8]) -> Result<(), Errno> {
        let from = self.find_name_to_change(path)?;
        let to = to.find_name_to_change(new_path)?;
        fs::renameat(&from.parent, &*from.name, &to.parent, &*to.name)
    }

    pub(crate) fn link(&self, path: &[u8], to: &Self, new_path: &[u8]) -> Result<(), Errno> {
        let from = self.find_name_to_change(path)?;
        let to = to.find_name_to_change(new_path)?;
        fs::linkat(
            &from.parent,
            &*from.name,
            &to.parent,
            &*to.name,
            AtFlags::empty(),
        )
    }

    pub(crate) fn make_link(&self, text: &[u8], path: &[u8]) -> Result<(), Errno> {
        // Such a link would lead other programs out of what was granted.
        if text.starts_with(b"/") {
            return Err(Errno::PERM);
        }
        let found = self.find_name_to_change(path)?;
        fs::symlinkat(text, &found.parent, &*found.name)
    }

    pub(crate) fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let found = self.directory.find(path, Last::Keep)?;
        found
            .existing()
            .map_err(|error| match found.name.is_empty() {
                true => Errno::INVAL,
                false => error,
            })?;
        if !found.parent.area.admits_link(&found.name) {
            return Err(Errno::ACCESS);
        }
        let text = fs::readlinkat(&found.parent, &*found.name, Vec::new())?.into_bytes();
        match text.starts_with(b"/") {
            true => Err(Errno::PERM),
            false => Ok(text),
        }
    }

    pub(crate) fn set_times(
        &self,
        path: &[u8],
        last: Last,
        times: &Timestamps,
    ) -> Result<(), Errno> {
        let found = self.find_to_change(path, last)?;
        let (of, name) = (&found.parent, &*found.name);
        match name.is_empty() {
            true => fs::utimensat(of, ".", times, AtFlags::empty()),
            false => fs::utimensat(of, name, times, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    /// The same for the directory itself.
    pub(crate) fn set_own_times(&self, times: &Timestamps) -> Result<(), Errno> {
        self.set_times(b".", Last::Keep, times)
    }
}

trait TrimEnd {
    fn trim_ascii_end_of(&self, byte: u8) -> &Self;
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_of(&self, byte: u8) -> &Self {
        let end = self.iter().rposition(|&found| found != byte);
        &self[..end.map_or(0, |end| end + 1)]
    }
}
