//! WASI preview 1 for one instance.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use wasmtime::Linker;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{self, Error};
use wasmtime_wasi::p1::wasi_snapshot_preview1;

use super::table::{Descriptor, Full};
use super::{Granted, Place, Table};
use crate::output::Output;
use crate::state::State;

type Result<T, E = Error> = std::result::Result<T, E>;

/// WASI preview 1, and what it printed.
pub(in super::super) struct Wasi {
    pub(in super::super) context: WasiP1Ctx,
    pub(in super::super) files: Table,
    pub(in super::super) stdout: Arc<Output>,
    pub(in super::super) stderr: Arc<Output>,
}

/// Adds all functions of WASI preview 1 to what modules may import.
pub(in super::super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasi_snapshot_preview1::add_to_linker(linker, |state: &mut State| {
        state
            .wasi
            .as_mut()
            .expect("only modules that import WASI reach its functions")
    })
}

impl Wasi {
    /// Gives the plugin a granted directory under its own name.
    pub(in super::super) fn grant(&mut self, granted: &Granted) -> Result<(), String> {
        let place = granted.open().map_err(|error| error.to_string())?;
        let descriptor = Descriptor::Directory {
            place,
            granted: Some(granted.path.clone()),
        };
        let pushed = self.files.push(descriptor);
        pushed.map(|_| ()).map_err(|Full| {
            let reason = self.files.take_refused();
            reason.expect("the table says why it is full")
        })
    }

    pub(super) fn descriptor(&self, fd: types::Fd) -> Result<&Descriptor> {
        Ok(self.files.get(fd.into()).ok_or(types::Errno::Badf)?)
    }

    /// A directory of the plugin's.
    pub(super) fn place(&self, fd: types::Fd) -> Result<&Place> {
        match self.descriptor(fd)? {
            Descriptor::Directory { place, .. } => Ok(place),
            Descriptor::File { .. } => Err(types::Errno::Notdir.into()),
            Descriptor::Standard(_) => Err(types::Errno::Badf.into()),
        }
    }

    /// A file of the plugin's.
    pub(super) fn file(&self, fd: types::Fd) -> Result<BorrowedFd<'_>> {
        match self.descriptor(fd)? {
            Descriptor::File { file, .. } => Ok(file.as_fd()),
            Descriptor::Directory { .. } | Descriptor::Standard(_) => {
                Err(types::Errno::Badf.into())
            }
        }
    }

    /// Whatever the plugin has open there.
    pub(super) fn opened(&self, fd: types::Fd) -> Result<BorrowedFd<'_>> {
        match self.descriptor(fd)? {
            Descriptor::File { file, .. } => Ok(file.as_fd()),
            Descriptor::Directory { place, .. } => Ok(place.directory.as_fd()),
            Descriptor::Standard(_) => Err(types::Errno::Badf.into()),
        }
    }

    /// The library's number for a standard stream.
    pub(super) fn standard(&self, fd: types::Fd) -> Option<types::Fd> {
        match self.files.get(fd.into()) {
            Some(Descriptor::Standard(number)) => Some((*number).into()),
            _ => None,
        }
    }
}
