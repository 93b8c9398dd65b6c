//! A file that others wait to open, as from a server that does not answer.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A file that the system lets others open only when this is dropped, or after 45 seconds.
#[derive(Debug)]
pub struct Lease {
    _file: File,
    path: PathBuf,
}

impl Lease {
    /// Makes the file.
    ///
    /// # Panics
    ///
    /// Panics if it is there, or if its file system knows no leases.
    pub fn on(path: &Path) -> Self {
        let file = File::create_new(path).expect("a new file");
        // SAFETY: the descriptor is open, and no memory is involved.
        let leased = unsafe {
            // The system tells the holder of a lease that somebody waits.
            libc::signal(libc::SIGIO, libc::SIG_IGN);
            libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
        };
        assert_eq!(leased, 0, "{}", std::io::Error::last_os_error());
        Self {
            _file: file,
            path: path.to_owned(),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
