//! A guest's memory during one function of WASI.

use crate::imports::{OUTSIDE, range};

use super::Error;
use super::types::Errno;

/// Buffers of one call that are looked at.
const BUFFERS_MAX: u32 = 1024;
/// Bytes of a path, as the kernel's.
const PATH_MAX: u32 = 4096;
/// Bytes of an address and a length: `iovec` and `ciovec`.
const BUFFER_SIZE: u32 = 8;

/// The guest's memory. Each pointer is checked against it at each use.
pub(super) struct Memory<'a>(pub(super) &'a mut [u8]);

impl Memory<'_> {
    pub(super) fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Error> {
        let bytes = range(at, length).and_then(|range| self.0.get(range));
        Ok(bytes.ok_or(OUTSIDE)?)
    }

    pub(super) fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Error> {
        let bytes = range(at, length).and_then(|range| self.0.get_mut(range));
        Ok(bytes.ok_or(OUTSIDE)?)
    }

    /// Reads a record.
    pub(super) fn get<const N: usize>(&self, at: u32) -> Result<[u8; N], Error> {
        let bytes = self.bytes(at, N as u32)?;
        Ok(bytes.try_into().expect("it has the record's length"))
    }

    /// Writes a record or a number.
    pub(super) fn put<const N: usize>(&mut self, at: u32, record: [u8; N]) -> Result<(), Error> {
        self.bytes_mut(at, N as u32)?.copy_from_slice(&record);
        Ok(())
    }

    /// The bytes of a path. They need not be text.
    pub(super) fn path(&self, at: u32, length: u32) -> Result<&[u8], Error> {
        if length > PATH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        self.bytes(at, length)
    }

    /// The first buffer of a list that has a length: a function may read or write less than it
    /// was asked to. `None` where all are empty.
    pub(super) fn first_buffer(&self, list: u32, count: u32) -> Result<Option<(u32, u32)>, Error> {
        for index in 0..count.min(BUFFERS_MAX) {
            let at = list.checked_add(index * BUFFER_SIZE).ok_or(OUTSIDE)?;
            let record = u64::from_le_bytes(self.get(at)?);
            let (address, length) = (record as u32, (record >> 32) as u32);
            if length > 0 {
                return Ok(Some((address, length)));
            }
        }
        Ok(None)
    }
}
