//! Reads and writes of a login: what the tool prints, the child, a password, helpers.

use std::os::fd::{AsFd, OwnedFd};

use offshoot_proto::control::Password;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::asker::Asker;
use super::prompts::Prompts;
use super::terminal::Terminal;
use super::tool::{TerminalUse, Tool};
use crate::async_fd::read;

/// Bytes of what a tool printed that are kept for an error.
const PRINTED_MAX: usize = 16 * 1024;

/// The first and the last of what was printed.
#[derive(Default)]
pub(in crate::launch) struct Printed {
    bytes: Vec<u8>,
}

impl Printed {
    pub(in crate::launch) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(more) = self.bytes.len().checked_sub(PRINTED_MAX) {
            self.bytes.drain(PRINTED_MAX / 2..PRINTED_MAX / 2 + more);
        }
    }

    pub(in crate::launch) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Writes a password to where the tool waits for it. If the tool has gone on meanwhile, what it did
/// not read is discarded from its terminal, so that nothing else reads it there.
pub(in crate::launch) fn write_password(
    tool: &Tool,
    on_terminal: bool,
    password: &Password,
) -> std::io::Result<()> {
    let mut line = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
    line.extend_from_slice(password.expose().as_bytes());
    line.push(b'\n');
    let written = match (&tool.terminal, on_terminal) {
        (Some(terminal), true) => {
            let written = rustix::io::write(terminal.ours.get_ref(), &line);
            if !matches!(Asker::of(&tool.transport), Asker::Tool | Asker::Hidden) {
                terminal.discard_input()?;
            }
            written
        }
        _ => rustix::io::write(tool.output.get_ref(), &line),
    };
    match written? {
        count if count == line.len() => Ok(()),
        _ => Err(std::io::Error::other("the password does not fit")),
    }
}

pub(in crate::launch) async fn read_terminal(
    tool: &Tool,
    buffer: &mut [u8],
) -> std::io::Result<usize> {
    match (&tool.terminal, tool.terminal_use) {
        // One that is the standard input and output is read as the tool's output.
        (Some(Terminal { ours, .. }), TerminalUse::Prompts) => read(ours, buffer).await,
        _ => std::future::pending().await,
    }
}

/// Sends some of the bytes; waits for ever where there are none.
pub(in crate::launch) async fn send(tool: &Tool, bytes: Option<&[u8]>) -> std::io::Result<usize> {
    let Some(bytes) = bytes else {
        return std::future::pending().await;
    };
    let sent = tool
        .output
        .async_io(Interest::WRITABLE, |output: &OwnedFd| {
            rustix::io::write(output.as_fd(), bytes).map_err(Into::into)
        });
    sent.await
}

/// Waits for a helper that asks; for ever where none may.
pub(in crate::launch) async fn accept_helper(prompts: Option<&Prompts>) -> Option<UnixStream> {
    match prompts {
        Some(Prompts::Helper(askpass)) => askpass.accept().await,
        _ => std::future::pending().await,
    }
}
