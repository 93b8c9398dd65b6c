//! Compiled images on disk, by the hash of all that went into them.
//!
//! Whoever can write here can run code as the user, on every machine of the tree. So the directory
//! must be the user's own and closed to others, it is opened once and only entered through that
//! descriptor, and what is read must bear a seal of the user's secret, which is kept elsewhere. Any
//! doubt, and there is no cache: a slow start is no error.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::{fs, process};

use super::seal::Secret;
use crate::places;

/// Bytes of all images together, before the oldest go.
const TOTAL_MAX: u64 = 512 << 20;
/// Bytes of one image.
const IMAGE_MAX: u64 = 256 << 20;
/// Age at which a file that is still being written is one that a crash left behind.
const STALE: Duration = Duration::from_secs(60 * 60);
/// Ends the name of a file that is still being written.
const TEMPORARY: &str = ".tmp";
const DIGEST: usize = 32;

/// What an image was made from: module, target and settings.
pub(super) struct Key(blake3::Hash);

impl Key {
    pub(super) fn of(wasm: &[u8], target: &str, settings: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("offshoot image cache v1");
        hasher.update(&(target.len() as u64).to_le_bytes());
        hasher.update(target.as_bytes());
        hasher.update(&settings.to_le_bytes());
        hasher.update(wasm);
        Self(hasher.finalize())
    }

    fn name(&self) -> String {
        self.0.to_hex().to_string()
    }
}

/// A directory of images.
#[derive(Debug)]
pub struct ImageCache {
    directory: OwnedFd,
    secret: Secret,
    total_max: u64,
}

/// Whether the nearest directory on the way to `path` that exists belongs to neither root nor us.
pub(super) fn is_of_another(path: &Path) -> bool {
    let mut existing = path.ancestors().filter_map(|step| fs::stat(step).ok());
    let owner = existing.next().map(|stat| stat.st_uid);
    owner.is_some_and(|owner| ![0, process::geteuid().as_raw()].contains(&owner))
}

/// Why a directory does not serve as a cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The environment names no places for the cache and its secret.
    #[error("no place for a cache: set HOME, or XDG_CACHE_HOME and XDG_STATE_HOME")]
    NoPlace,
    /// It cannot be made or opened.
    #[error("cannot use `{path}` as a cache: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// It would be made in the home of another user, as `sudo -E` names it.
    #[error("not making a cache in `{path}`: it belongs to another user")]
    OfAnother {
        /// The home, or what is in it.
        path: PathBuf,
    },
    /// Others may read the secret, or own it.
    #[error("not using a cache: `{path}` must be a file of yours with mode 0600; remove it")]
    ExposedSecret {
        /// The file.
        path: PathBuf,
    },
    /// Others may write there, or own it.
    #[error("not using `{path}` as a cache: it must be yours with mode 0700")]
    Exposed {
        /// The directory.
        path: PathBuf,
    },
}

impl ImageCache {
    /// The user's cache: `offshoot/images` in `$XDG_CACHE_HOME` or `~/.cache`. Its secret is
    /// `offshoot/image-key` in `$XDG_STATE_HOME` or `~/.local/state`.
    pub fn of_user() -> Result<Self, CacheError> {
        let cache = places::cache().ok_or(CacheError::NoPlace)?;
        let secret = places::secret().ok_or(CacheError::NoPlace)?;
        let mut steps = cache.ancestors().chain(secret.ancestors());
        if let Some(path) = steps.find(|step| is_of_another(step)) {
            let path = path.to_owned();
            return Err(CacheError::OfAnother { path });
        }
        Self::open(&cache.join("images"), &secret)
    }

    /// The cache in that directory and the secret in that file, which are made when they are
    /// missing.
    pub(super) fn open(path: &Path, secret: &Path) -> Result<Self, CacheError> {
        Self::open_with(path, secret, TOTAL_MAX)
    }

    pub(super) fn open_with(
        path: &Path,
        secret: &Path,
        total_max: u64,
    ) -> Result<Self, CacheError> {
        let io = |source| CacheError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(io)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| io(e.into()))?;
        let stat = fs::fstat(&directory).map_err(|e| io(e.into()))?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        if stat.st_uid != process::geteuid().as_raw() || mode != Mode::RWXU {
            return Err(CacheError::Exposed {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            directory,
            secret: Secret::open(secret)?,
            total_max,
        })
    }

    /// The image, when it is here and whole.
    pub(super) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let name = key.name();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&self.directory, &name, flags, Mode::empty()).ok()?;
        let image = self.read(key, &file);
        if image.is_none() {
            // Damaged: the next compile replaces it.
            let _ = fs::unlinkat(&self.directory, &name, AtFlags::empty());
        } else {
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            };
            let _ = fs::futimens(
                &file,
                &Timestamps {
                    last_access: now,
                    last_modification: now,
                },
            );
        }
        image
    }

    fn read(&self, key: &Key, file: &OwnedFd) -> Option<Vec<u8>> {
        let stat = fs::fstat(file).ok()?;
        let size = u64::try_from(stat.st_size).ok()?;
        let sound = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_uid == process::geteuid().as_raw()
            && size <= IMAGE_MAX;
        if !sound {
            return None;
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let file = File::from(file.try_clone().ok()?);
        file.take(size).read_to_end(&mut bytes).ok()?;
        let (seal, image) = bytes.split_first_chunk::<DIGEST>()?;
        if self.secret.seal(&key.0, image) != *seal {
            return None;
        }
        bytes.drain(..DIGEST);
        Some(bytes)
    }

    /// Keeps the image, if that is possible.
    pub(super) fn put(&self, key: &Key, image: &[u8]) {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        if image.len() as u64 > IMAGE_MAX - DIGEST as u64 {
            return;
        }
        let temporary = format!(
            "{}-{}{TEMPORARY}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let written = self.write(&temporary, key, image).and_then(|()| {
            fs::renameat(&self.directory, &temporary, &self.directory, key.name())?;
            Ok(())
        });
        if let Err(error) = written {
            let _ = fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
            tracing::debug!(%error, "the image was not kept in the cache");
        }
        self.clean_up();
    }

    fn write(&self, name: &str, key: &Key, image: &[u8]) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(fs::openat(&self.directory, name, flags, mode)?);
        file.write_all(self.secret.seal(&key.0, image).as_bytes())?;
        file.write_all(image)
    }

    /// Removes the images that were used longest ago, and what crashes left behind.
    fn clean_up(&self) {
        let Ok(entries) = Dir::read_from(&self.directory) else {
            return;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut images = Vec::new();
        let mut total = 0u64;
        for entry in entries.flatten() {
            let name = entry.file_name().to_owned();
            let Ok(stat) = fs::statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            let used = stat.st_mtime;
            if name.to_bytes().ends_with(TEMPORARY.as_bytes()) {
                let age = now.as_secs().saturating_sub(used.try_into().unwrap_or(0));
                if age > STALE.as_secs() {
                    let _ = fs::unlinkat(&self.directory, &name, AtFlags::empty());
                }
                continue;
            }
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            total += size;
            images.push(((used, stat.st_mtime_nsec), size, name));
        }
        images.sort();
        for (_, size, name) in images {
            if total <= self.total_max {
                break;
            }
            if fs::unlinkat(&self.directory, &name, AtFlags::empty()).is_ok() {
                total -= size;
            }
        }
    }
}
