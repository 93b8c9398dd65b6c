//! This program, for processes that this one did not start.
//!
//! Those cannot reach it through a child's directory in procfs, which is closed
//! (`PR_SET_DUMPABLE`). So a process that has nothing to hide runs the same program and waits.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};

use super::super::binary::ChildBinary;
use super::super::error::ConnectError;

/// The argument that has a child's program wait until its input ends.
pub const LEND: &str = "lend-program";

/// The child's program, as long as this exists.
pub(in crate::launch) struct LentProgram {
    path: OsString,
    lender: Option<Child>,
}

impl LentProgram {
    pub(in crate::launch) fn new() -> Result<Self, ConnectError> {
        let program = ChildBinary::find(None)?;
        if !crate::identity::is_child() {
            return Ok(Self {
                path: program.path_for_others(),
                lender: None,
            });
        }
        let failed = |source| ConnectError::Start {
            program: program.name(),
            source,
        };
        let mut lender = Command::new(&program.path)
            .arg(LEND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let output = lender.stdout.take();
        let lent = Self {
            path: format!("/proc/{}/exe", lender.id()).into(),
            lender: Some(lender),
        };
        // It runs the program when it writes.
        let mut output = output.expect("it was asked for");
        output.read_exact(&mut [0]).map_err(failed)?;
        Ok(lent)
    }

    /// Where it is, for whoever runs as the same user.
    pub(in crate::launch) fn path(&self) -> &OsString {
        &self.path
    }
}

impl Drop for LentProgram {
    fn drop(&mut self) {
        if let Some(lender) = &mut self.lender {
            let _ = lender.kill();
            let _ = lender.wait();
        }
    }
}

/// Waits until the input ends, so that others find this program by the process.
pub fn lend() -> ExitCode {
    let mut output = std::io::stdout();
    let began = output.write_all(b".").and_then(|()| output.flush());
    match began.and_then(|()| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
