//! Finds the program that runs a child.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

use super::embedded;
use super::error::ConnectError;

/// A program that can be started under `path` for as long as it is kept.
#[derive(Clone, Debug)]
pub struct ChildBinary {
    /// Where it is.
    pub path: OsString,
}

/// Name of the program where it lies beside another one.
const FILE_NAME: &str = "offshoot-child";

impl ChildBinary {
    /// The program to start on this machine: the one asked for, else the one that the environment
    /// names, else the embedded one, else one beside the running program.
    ///
    /// A child is its own best child: it is of the right build and cannot be swapped any more.
    pub fn find(asked_for: Option<&str>) -> Result<Self, ConnectError> {
        if let Some(path) = asked_for {
            return Ok(Self { path: path.into() });
        }
        if crate::identity::is_child() {
            return Ok(Self {
                path: "/proc/self/exe".into(),
            });
        }
        if let Some(path) = std::env::var_os("OFFSHOOT_CHILD") {
            return Ok(Self { path });
        }
        if let Some(path) = embedded() {
            return Ok(Self { path });
        }
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("this program"));
        let beside = program.with_file_name(FILE_NAME);
        if beside.is_file() {
            return Ok(Self {
                path: beside.into(),
            });
        }
        Err(ConnectError::NoChildBinary { beside: program })
    }

    /// Its path for messages.
    pub fn name(&self) -> String {
        match self.is_embedded() {
            true => "the embedded child".to_owned(),
            false => self.path.display().to_string(),
        }
    }

    /// Whether it is the embedded one.
    pub fn is_embedded(&self) -> bool {
        embedded().is_some_and(|path| path == self.path)
    }

    /// A path under which processes that this one did not start find it as well, as long as this
    /// one lives.
    pub fn path_for_others(&self) -> OsString {
        let path = self.path.to_string_lossy();
        match path.strip_prefix("/proc/self/") {
            Some(rest) => format!("/proc/{}/{rest}", std::process::id()).into(),
            None => std::path::absolute(&self.path).map_or_else(|_| self.path.clone(), Into::into),
        }
    }
}

/// The path of the embedded program, once it is in memory.
fn embedded() -> Option<OsString> {
    static FILE: OnceLock<Option<OwnedFd>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let child = embedded::embedded().map(|programs| programs.child)?;
        (!child.is_empty()).then(|| in_memory(FILE_NAME, child).ok())?
    });
    let descriptor = file.as_ref()?.as_raw_fd();
    Some(format!("/proc/self/fd/{descriptor}").into())
}

/// Puts a program into a file that has no name, so that none is left behind and none can be
/// swapped.
pub(super) fn in_memory(name: &str, mut program: &[u8]) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(name, flags)?;
    while !program.is_empty() {
        let count = rustix::io::write(&file, program)?;
        program = &program[count..];
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    // A file that anyone has open for writing does not execute: keep a reader only.
    let writer = format!("/proc/self/fd/{}", file.as_raw_fd());
    let reader = rustix::fs::open(writer, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(reader)
}
