//! What a tool and we exchange: bytes of the child, what it prints, a password, questions.

use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use offshoot_proto::control::Password;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::asker::Asker;
use super::askpass::Askpass;
use super::terminal::Terminal;
use super::tool::{Tool, Wants};
use crate::async_fd::read;

/// Bytes of what a tool printed that are kept for an error.
const PRINTED_MAX: usize = 16 * 1024;

/// A child on its way.
pub(in crate::launch) struct Sending {
    pub(in crate::launch) bytes: Bytes,
    pub(in crate::launch) sent: usize,
    pub(in crate::launch) told: usize,
}

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

/// Sends a password to where the tool waits for it. What a tool that has gone on meanwhile did not
/// read is taken back from its terminal, so that nothing else reads it there.
pub(in crate::launch) fn type_in(
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
    match (&tool.terminal, tool.wants) {
        // What is said on one that is everything is read as the tool's output.
        (Some(Terminal { ours, .. }), Wants::Questions) => read(ours, buffer).await,
        _ => std::future::pending().await,
    }
}

pub(in crate::launch) async fn send(
    tool: &Tool,
    sending: Option<&Sending>,
) -> std::io::Result<usize> {
    let Some(sending) = sending else {
        return std::future::pending().await;
    };
    let rest = &sending.bytes[sending.sent..];
    let sent = tool
        .output
        .async_io(Interest::WRITABLE, |output: &OwnedFd| {
            rustix::io::write(output.as_fd(), rest).map_err(Into::into)
        });
    sent.await
}

pub(in crate::launch) async fn next_question(askpass: Option<&Askpass>) -> Option<UnixStream> {
    match askpass {
        Some(askpass) => askpass.accept().await,
        None => std::future::pending().await,
    }
}
