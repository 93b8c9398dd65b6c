//! The user's secret, which seals what is in the cache of images.
//!
//! It is not kept beside the cache: who can write there, and no more, cannot make an image that is
//! believed. Plugins neither read nor write it, whatever they were granted.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process;
use rustix::rand::{GetRandomFlags, getrandom};

use super::cache::CacheError;
use crate::places::SECRET_LEN;

/// 32 random bytes of one user's.
#[derive(Clone)]
pub(super) struct Secret([u8; SECRET_LEN]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The secret in that file, which is made when it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let io = |source: std::io::Error| CacheError::Io {
            path: path.to_owned(),
            source,
        };
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(CacheError::NoPlace);
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(io)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = fs::openat(CWD, directory, flags, Mode::empty());
        let opened = opened.map_err(|error| io(error.into()))?;
        let stat = fs::fstat(&opened).map_err(|error| io(error.into()))?;
        if !is_own(&stat, Mode::WGRP | Mode::WOTH) {
            return Err(CacheError::Exposed {
                path: directory.to_owned(),
            });
        }
        let read = || {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            fs::openat(&opened, name, flags, Mode::empty())
        };
        let file = match read() {
            Err(Errno::NOENT) => {
                make(&opened, name).map_err(io)?;
                read()
            }
            file => file,
        };
        Self::read(file.map_err(|error| io(error.into()))?, path)
    }

    fn read(file: OwnedFd, path: &Path) -> Result<Self, CacheError> {
        let io = |source: std::io::Error| CacheError::Io {
            path: path.to_owned(),
            source,
        };
        let stat = fs::fstat(&file).map_err(|error| io(error.into()))?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || !is_own(&stat, Mode::RWXG | Mode::RWXO) {
            return Err(CacheError::ExposedSecret {
                path: path.to_owned(),
            });
        }
        let mut secret = [0; SECRET_LEN];
        File::from(file).read_exact(&mut secret).map_err(io)?;
        Ok(Self(secret))
    }

    /// Digest stored with an image, so that its bytes cannot change unnoticed, nor what they are
    /// the image of.
    pub(super) fn seal(&self, key: &blake3::Hash, image: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(key.as_bytes());
        hasher.update(image);
        hasher.finalize()
    }
}

/// Whether this is the user's, and none of these bits is set.
fn is_own(stat: &fs::Stat, closed: Mode) -> bool {
    stat.st_uid == process::geteuid().as_raw()
        && !Mode::from_raw_mode(stat.st_mode).intersects(closed)
}

/// Makes a secret, which appears whole or not at all. One that another process made meanwhile is
/// as good.
fn make(directory: &OwnedFd, name: &std::ffi::OsStr) -> std::io::Result<()> {
    let mut secret = [0; SECRET_LEN];
    // Up to 256 bytes come at once.
    getrandom(&mut secret, GetRandomFlags::empty())?;
    let temporary = format!("{}.tmp", std::process::id());
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
    File::from(file).write_all(&secret)?;
    let renamed = fs::renameat_with(
        directory,
        &temporary,
        directory,
        name,
        RenameFlags::NOREPLACE,
    );
    match renamed {
        // Some file systems do not know this way: there the last one wins, and the images of the
        // other are made again.
        Err(Errno::INVAL) => Ok(fs::renameat(directory, &temporary, directory, name)?),
        Err(error) => {
            let _ = fs::unlinkat(directory, &temporary, AtFlags::empty());
            match error {
                Errno::EXIST => Ok(()),
                error => Err(error.into()),
            }
        }
        Ok(()) => Ok(()),
    }
}
