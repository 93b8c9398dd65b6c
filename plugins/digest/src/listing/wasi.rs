//! Lists a directory with few calls of WASI's `fd_readdir`.
//!
//! The host answers each call by listing the whole directory and looking at every entry again,
//! whatever part of it was asked for. `std::fs::read_dir` asks 4 KiB at a time, about a hundred
//! entries, so the cost of a directory is quadratic in its size: one of 18,000 manual pages takes
//! 300 calls and five million looks. With a buffer that grows it takes three calls.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::{Found, dirent};

/// Bytes asked for at first: some 1,500 entries, more than most directories have.
const BUFFER_MIN: usize = 64 << 10;
/// Bytes asked for at most.
const BUFFER_MAX: usize = 16 << 20;

/// Times that a directory is listed before it counts as one that cannot be.
const TRIES: u32 = 4;

/// Lists directories through one buffer.
pub(crate) struct Lister {
    buffer: Vec<u8>,
}

impl Lister {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_MIN],
        }
    }

    /// All entries of `directory`, in no order.
    pub(crate) fn list(&mut self, directory: &Path) -> io::Result<Vec<Found>> {
        let directory = File::open(directory)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // The host fails when an entry goes away between its listing and its look, so a
        // directory in use takes another try.
        for _ in 1..TRIES {
            match self.entries(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => return outcome,
            }
        }
        self.entries(&directory)
    }

    fn entries(&mut self, directory: &File) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut cookie = 0;
        loop {
            let filled = self.read(directory, cookie)?;
            let next = dirent::parse(&self.buffer[..filled], &mut found)?;
            // There is more only where the answer was cut off by the buffer's end.
            if filled < self.buffer.len() {
                return Ok(found);
            }
            cookie = next.ok_or(io::ErrorKind::InvalidData)?;
            let larger = (self.buffer.len() * 4).min(BUFFER_MAX);
            self.buffer.resize(larger, 0);
        }
    }

    /// Asks for the entries after `cookie`, and returns how many bytes of the buffer they fill.
    fn read(&mut self, directory: &File, cookie: u64) -> io::Result<usize> {
        let descriptor = directory.as_raw_fd() as wasip1::Fd;
        let (buffer, length) = (self.buffer.as_mut_ptr(), self.buffer.len());
        // SAFETY: the host writes at most `length` bytes to `buffer`, which is all that the
        // vector holds and which nobody else uses meanwhile, and it keeps no pointer to it.
        let filled = unsafe { wasip1::fd_readdir(descriptor, buffer, length, cookie) };
        filled
            .map(|filled| filled.min(length))
            .map_err(|errno| io::Error::from_raw_os_error(errno.raw().into()))
    }
}
