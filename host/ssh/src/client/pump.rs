//! Copies between the channel of a command and the pipes of this process.
//!
//! Each direction waits for the slower of its two ends. What is read from the network is bounded
//! by the channel's queue in the library, and what is to go there by its window.

use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::watch;
use zeroize::{Zeroize as _, Zeroizing};

use super::handler::SharedState;
use super::session::SessionGuard;
use crate::error::printable;

/// Bytes that a pipe should hold: large transfers then need fewer turns.
const PIPE_SIZE: usize = 256 * 1024;

/// Bytes that are read from a pipe at once.
const READ_SIZE: usize = 128 * 1024;

/// Bytes of a piece at most that may hold a password, which whoever writes one sends by itself. Such
/// pieces are overwritten once they are sent. To do so with all would slow bulk down.
const SENSITIVE_MAX: usize = 16 * 1024;

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The command ended, with this status.
    Exit(u32),
    /// A signal ended the command.
    Signal(String),
    /// The channel was closed and nothing was said of the command.
    Closed,
    /// The connection ended first, for this reason, if it is known.
    Lost(String),
}

/// Pipes of the caller's for a command: it reads the first and writes the others.
#[derive(Debug)]
pub struct StdioPipes {
    /// Where its input comes from.
    pub input: OwnedFd,
    /// Where its output goes.
    pub output: OwnedFd,
    /// Where its standard error goes.
    pub errors: OwnedFd,
}

/// Pipes for a command: the ends of whoever talks to it, in which its output is read and its input
/// is written, and the command's.
pub(crate) fn pipes() -> io::Result<(StdioPipes, StdioPipes)> {
    let (output, to_output) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from_input, input) = pipe_with(PipeFlags::CLOEXEC)?;
    let (errors, to_errors) = pipe_with(PipeFlags::CLOEXEC)?;
    for pipe in [&output, &input] {
        // The kernel may refuse, per user: bulk is then slower, no more.
        let _ = fcntl_setpipe_size(pipe, PIPE_SIZE);
    }
    let ours = StdioPipes {
        input,
        output,
        errors,
    };
    let theirs = StdioPipes {
        input: from_input,
        output: to_output,
        errors: to_errors,
    };
    Ok((ours, theirs))
}

/// What a running session holds until it ends.
pub(crate) struct SessionResources {
    /// The command or the sessions that carry it, outermost first, and itself.
    pub(crate) sessions: Vec<SessionGuard>,
    pub(crate) state: SharedState,
}

/// Starts to copy. Gives the end, once it has come, and the task, which is done when all sessions
/// are closed, too.
pub(crate) fn start(
    ends: StdioPipes,
    channel: Channel<Msg>,
    held: SessionResources,
) -> io::Result<(watch::Receiver<Option<Ended>>, tokio::task::JoinHandle<()>)> {
    let from_input = Receiver::from_owned_fd(ends.input)?;
    let to_output = Sender::from_owned_fd(ends.output)?;
    let to_errors = Sender::from_owned_fd(ends.errors)?;
    let (tell, ended) = watch::channel(None);
    let (reading, writing) = channel.split();
    let task = tokio::spawn(async move {
        let writing = tokio::spawn(copy_input(from_input, writing));
        // However this task ends, the other one does too.
        let _writing = AbortOnDrop(writing.abort_handle());
        let status = copy_output(reading, to_output, to_errors).await;
        let ended = match status {
            Some(status) => status,
            None => match held.state.ended() {
                Some(reason) => Ended::Lost(reason),
                None => Ended::Closed,
            },
        };
        let _ = tell.send(Some(ended));
        for session in held.sessions.into_iter().rev() {
            session.disconnect().await;
        }
    });
    Ok((ended, task))
}

pub(crate) struct AbortOnDrop(pub(crate) tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// From the network to the pipes, until the channel closes. Gives what is known of the command.
async fn copy_output(
    mut channel: ChannelReadHalf,
    output: Sender,
    errors: Sender,
) -> Option<Ended> {
    let (mut output, mut errors) = (Some(output), Some(errors));
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(pipe) = &mut output
                    && pipe.write_all(&data).await.is_err()
                {
                    // Nobody reads any more: as for `ssh`, that is the end.
                    return status;
                }
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                if let Some(pipe) = &mut errors
                    && pipe.write_all(&data).await.is_err()
                {
                    errors = None;
                }
            }
            ChannelMsg::Eof => (output, errors) = (None, None),
            ChannelMsg::ExitStatus { exit_status } => status = Some(Ended::Exit(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                status = Some(Ended::Signal(signal(&signal_name)));
            }
            ChannelMsg::Close => return status.or(Some(Ended::Closed)),
            _ => {}
        }
    }
    status
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => printable(name),
        known => format!("{known:?}"),
    }
}

/// From the pipe to the network, until the pipe's other end is closed.
async fn copy_input(mut pipe: Receiver, channel: ChannelWriteHalf<Msg>) {
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                let piece = &mut buffer[..count];
                let bytes = match count {
                    0..=SENSITIVE_MAX => {
                        let bytes = Zeroizing::new(piece.to_vec());
                        piece.zeroize();
                        Bytes::from_owner(bytes)
                    }
                    _ => piece.to_vec().into(),
                };
                if channel.data_bytes(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = channel.eof().await;
}
