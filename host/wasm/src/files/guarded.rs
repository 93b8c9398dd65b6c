//! Which directories no plugin may change: code is loaded from them.
//!
//! They are told by device and inode, so that it does not matter by which path, link or mount a
//! plugin gets there.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::{Directory, Found};

/// Directories from an opened one up to the root.
const DEPTH_MAX: usize = 256;

/// Device and inode.
type Identity = (u64, u64);

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The guarded places as they are now.
#[derive(Default)]
pub(super) struct Guarded {
    /// The places themselves.
    places: Vec<Identity>,
    /// All that must keep its name for the places to keep theirs: the directories above them, and
    /// links on the way.
    above: Vec<Identity>,
    /// Names that would begin a way to a place, and are not taken.
    vacant: Vec<(Identity, OsString)>,
}

impl Guarded {
    /// Looks where the guarded places are.
    pub(super) fn now() -> Self {
        let mut guarded = Self::default();
        for place in crate::places::guarded() {
            guarded.add(&place);
            if let Ok(real) = std::fs::canonicalize(&place) {
                guarded.add(&real);
            }
        }
        guarded
    }

    fn add(&mut self, place: &Path) {
        let mut way: Vec<&Path> = place.ancestors().collect();
        way.reverse();
        let mut parent = None;
        for step in way {
            let Ok(found) = std::fs::metadata(step) else {
                if let (Some(parent), Some(name)) = (parent, step.file_name()) {
                    self.vacant.push((parent, name.to_owned()));
                }
                return;
            };
            let itself = (found.dev(), found.ino());
            if step == place {
                self.places.push(itself);
            } else {
                self.above.push(itself);
            }
            if let Ok(link) = std::fs::symlink_metadata(step)
                && link.is_symlink()
            {
                self.above.push((link.dev(), link.ino()));
            }
            parent = Some(itself);
        }
    }

    /// Refuses a directory that is a guarded place or below one.
    pub(super) fn admit_changes_in(&self, directory: &Directory) -> Result<(), Errno> {
        let mut stat = fs::fstat(directory)?;
        let mut fd = None;
        for _ in 0..DEPTH_MAX {
            if self.places.contains(&identity(&stat)) {
                return Err(Errno::ACCESS);
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let above = match &fd {
                None => fs::openat(directory, "..", flags, Mode::empty())?,
                Some(fd) => fs::openat(fd, "..", flags, Mode::empty())?,
            };
            let stat_above = fs::fstat(&above)?;
            if identity(&stat_above) == identity(&stat) {
                return Ok(());
            }
            stat = stat_above;
            fd = Some(above);
        }
        Err(Errno::NAMETOOLONG)
    }

    /// Refuses to make, replace or remove what was found.
    pub(super) fn admit_change_of(&self, found: &Found) -> Result<(), Errno> {
        let parent = identity(&found.parent.stat);
        let is_vacant = |(directory, name): &(Identity, OsString)| {
            *directory == parent && name.as_bytes() == found.name
        };
        if self.vacant.iter().any(is_vacant) {
            return Err(Errno::ACCESS);
        }
        if let Some(object) = &found.object {
            let object = identity(&object.stat);
            if self.places.contains(&object) || self.above.contains(&object) {
                return Err(Errno::ACCESS);
            }
        }
        self.admit_changes_in(&found.parent)
    }
}

/// Whether a file is in the directory of this user's secret.
pub(super) fn is_secret(stat: &Stat) -> bool {
    // Looked up for few files: what is not of its size cannot be the secret.
    u64::try_from(stat.st_size) == Ok(crate::places::SECRET_LEN as u64)
        && crate::places::secret().is_some_and(|secret: PathBuf| {
            std::fs::metadata(secret)
                .is_ok_and(|secret| (secret.dev(), secret.ino()) == (stat.st_dev, stat.st_ino))
        })
}
