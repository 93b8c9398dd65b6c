//! WASI preview 1: what Rust's standard library imports in a plugin.
//!
//! A plugin sees the granted directories and variables, and nothing else. What it prints becomes
//! log records, at the pace at which they are taken away; its standard input is empty; it has no
//! sockets. The functions block the thread that runs the call, except for `poll_oneoff` and
//! printing, which a cancel or a deadline wakes.
//!
//! ```text
//! import --serve--> Wasi::fd_*, path_* (descriptors, paths) --> files::{Table, Place} --> system
//!                   Wasi::clock_*, random_get, ..  (system)
//! ```

mod descriptors;
mod listing;
mod memory;
mod paths;
mod system;
mod types;
mod wait;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use wasmtime::{Caller, Linker};

use self::memory::Memory;
use self::types::Errno;
use crate::files::{Descriptor, Full, Granted, Place, Table};
use crate::finish::{Exit, Stop};
use crate::imports;
use crate::output::Output;
use crate::state::State;

/// Module of WASI preview 1.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// Numbers of the standard streams.
const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// What an instance has of the system.
pub(super) struct Wasi {
    /// The granted environment: `NAME=value`, each with a zero at its end.
    environment: Vec<Vec<u8>>,
    pub(super) files: Table,
    pub(super) stdout: Arc<Output>,
    pub(super) stderr: Arc<Output>,
}

impl Wasi {
    pub(super) fn new(stdout: Arc<Output>, stderr: Arc<Output>) -> Self {
        Self {
            environment: Vec::new(),
            files: Table::new(),
            stdout,
            stderr,
        }
    }

    /// Gives the plugin a granted directory under its own name.
    pub(super) fn grant(&mut self, granted: &Granted) -> Result<(), String> {
        let descriptor = granted.open().map_err(|error| error.to_string())?;
        let pushed = self.files.push(descriptor);
        pushed.map(|_| ()).map_err(|Full| {
            let reason = self.files.take_refused();
            reason.expect("the table says why it is full")
        })
    }

    fn descriptor(&self, fd: u32) -> Result<&Descriptor> {
        Ok(self.files.get(fd).ok_or(Errno::BADF)?)
    }

    /// Standard output or error.
    fn output(&self, fd: u32) -> Option<&Arc<Output>> {
        match self.files.get(fd)? {
            Descriptor::Standard(STDOUT) => Some(&self.stdout),
            Descriptor::Standard(STDERR) => Some(&self.stderr),
            _ => None,
        }
    }

    /// A directory of the plugin's.
    fn directory(&self, fd: u32) -> Result<&Place> {
        match self.descriptor(fd)? {
            Descriptor::Directory { place, .. } => Ok(place),
            Descriptor::File { .. } => Err(Errno::NOTDIR.into()),
            Descriptor::Standard(_) => Err(Errno::BADF.into()),
        }
    }

    /// A file of the plugin's.
    fn file(&self, fd: u32) -> Result<BorrowedFd<'_>> {
        match self.descriptor(fd)? {
            Descriptor::File { file, .. } => Ok(file.as_fd()),
            Descriptor::Directory { .. } | Descriptor::Standard(_) => Err(Errno::BADF.into()),
        }
    }

    /// A file or directory of the plugin's.
    fn opened(&self, fd: u32) -> Result<BorrowedFd<'_>> {
        match self.descriptor(fd)? {
            Descriptor::File { file, .. } => Ok(file.as_fd()),
            Descriptor::Directory { place, .. } => Ok(place.as_fd()),
            Descriptor::Standard(_) => Err(Errno::BADF.into()),
        }
    }
}

type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a function of WASI did not do what it was asked to.
enum Error {
    /// The guest is told.
    Errno(Errno),
    /// The guest broke the contract, which ends its call.
    Stop(Stop),
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Errno(errno.into())
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Defines imports that all take numbers and return an error number, each by the method of its
/// name.
macro_rules! functions {
    ($linker:ident: $($name:ident($($argument:ident: $type:ty),*))*) => {
        $($linker.func_wrap(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, State>, $($argument: $type),*| {
                serve(&mut caller, |wasi, memory| wasi.$name(memory, $($argument),*))
            },
        )?;)*
    };
}

/// Adds all functions of WASI preview 1 to what modules may import.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    functions! { linker:
        args_get(list: u32, text: u32)
        args_sizes_get(count: u32, size: u32)
        environ_get(list: u32, text: u32)
        environ_sizes_get(count: u32, size: u32)
        clock_res_get(clock: u32, resolution: u32)
        clock_time_get(clock: u32, precision: u64, time: u32)
        fd_advise(fd: u32, offset: u64, length: u64, advice: u32)
        fd_allocate(fd: u32, offset: u64, length: u64)
        fd_close(fd: u32)
        fd_datasync(fd: u32)
        fd_fdstat_get(fd: u32, stat: u32)
        fd_fdstat_set_flags(fd: u32, flags: u32)
        fd_fdstat_set_rights(fd: u32, rights: u64, inheriting: u64)
        fd_filestat_get(fd: u32, stat: u32)
        fd_filestat_set_size(fd: u32, size: u64)
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32)
        fd_pread(fd: u32, buffers: u32, count: u32, offset: u64, read: u32)
        fd_prestat_get(fd: u32, prestat: u32)
        fd_prestat_dir_name(fd: u32, name: u32, length: u32)
        fd_pwrite(fd: u32, buffers: u32, count: u32, offset: u64, written: u32)
        fd_read(fd: u32, buffers: u32, count: u32, read: u32)
        fd_readdir(fd: u32, buffer: u32, length: u32, cookie: u64, used: u32)
        fd_renumber(fd: u32, to: u32)
        fd_seek(fd: u32, offset: i64, whence: u32, position: u32)
        fd_sync(fd: u32)
        fd_tell(fd: u32, position: u32)
        path_create_directory(fd: u32, path: u32, length: u32)
        path_filestat_get(fd: u32, lookup: u32, path: u32, length: u32, stat: u32)
        path_filestat_set_times(
            fd: u32, lookup: u32, path: u32, length: u32, accessed: u64, modified: u64, flags: u32
        )
        path_link(
            fd: u32, lookup: u32, path: u32, length: u32, to: u32, new_path: u32, new_length: u32
        )
        path_open(
            fd: u32, lookup: u32, path: u32, length: u32, how: u32, rights: u64, inheriting: u64,
            flags: u32, opened: u32
        )
        path_readlink(fd: u32, path: u32, length: u32, buffer: u32, capacity: u32, used: u32)
        path_remove_directory(fd: u32, path: u32, length: u32)
        path_rename(fd: u32, path: u32, length: u32, to: u32, new_path: u32, new_length: u32)
        path_symlink(text: u32, text_length: u32, fd: u32, path: u32, length: u32)
        path_unlink_file(fd: u32, path: u32, length: u32)
        proc_raise(signal: u32)
        random_get(buffer: u32, length: u32)
        sched_yield()
        sock_accept(fd: u32, flags: u32, accepted: u32)
        sock_recv(fd: u32, buffers: u32, count: u32, flags: u32, received: u32, answer: u32)
        sock_send(fd: u32, buffers: u32, count: u32, flags: u32, sent: u32)
        sock_shutdown(fd: u32, how: u32)
    }
    // Ends the call: it is the one function that never returns to the guest.
    linker.func_wrap(MODULE, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(Exit(status).into())
    })?;
    linker.func_wrap_async(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, State>, (fd, buffers, count, written): (u32, u32, u32, u32)| {
            Box::new(async move {
                until_printable(&caller, fd).await;
                serve(&mut caller, |wasi, memory| {
                    wasi.fd_write(memory, fd, buffers, count, written)
                })
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, State>,
         (subscriptions, events, count, counted): (u32, u32, u32, u32)| {
            Box::new(async move {
                wait::poll_oneoff(&mut caller, [subscriptions, events, count, counted]).await
            })
        },
    )?;
    Ok(())
}

/// Waits until there is room for a line that is printed there. Files need no room.
async fn until_printable(caller: &Caller<'_, State>, fd: u32) {
    let output = caller.data().wasi.as_ref().and_then(|wasi| wasi.output(fd));
    if let Some(output) = output {
        output.until_room().await;
    }
}

/// Runs one function on the instance's memory, and returns its error number.
fn serve(
    caller: &mut Caller<'_, State>,
    function: impl FnOnce(&mut Wasi, &mut Memory<'_>) -> Result,
) -> wasmtime::Result<u32> {
    let memory = imports::memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let wasi = state.wasi.as_mut();
    let wasi = wasi.expect("only modules that import WASI reach its functions");
    match function(wasi, &mut Memory(bytes)) {
        Ok(()) => Ok(Errno::SUCCESS.0.into()),
        Err(Error::Errno(errno)) => Ok(errno.0.into()),
        Err(Error::Stop(stop)) => Err(stop.into()),
    }
}
