//! A program that leads to another machine or user: its process, and all that connects us to it.

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::terminal::Terminal;
use crate::async_fd::watched;
use crate::descriptors;
use crate::transport::{LinkParts, PIPE_SIZE, Process, Transport};

/// What a tool's terminal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::launch) enum TerminalUse {
    /// The tool has none, not even ours: it cannot ask there.
    None,
    /// Prompts. The child's bytes go through pipes.
    Prompts,
    /// It is also the standard input and output, for tools that refuse anything else.
    Stdio,
}

/// A started program. When this is dropped, it first hears that all its connections are closed,
/// and is killed then.
pub(in crate::launch) struct Tool {
    /// Its standard input.
    pub(in crate::launch) output: AsyncFd<OwnedFd>,
    /// Its standard output.
    pub(in crate::launch) input: AsyncFd<Arc<OwnedFd>>,
    /// Its standard error.
    pub(in crate::launch) errors: AsyncFd<OwnedFd>,
    pub(in crate::launch) terminal: Option<Terminal>,
    pub(in crate::launch) terminal_use: TerminalUse,
    pub(in crate::launch) transport: Transport,
}

impl Tool {
    /// Starts it. Two pipes and never one socket: some of the tools make what they were given
    /// non-blocking, and would do so for both directions.
    pub(in crate::launch) fn start(
        mut command: Command,
        terminal_use: TerminalUse,
    ) -> std::io::Result<Self> {
        let mut terminal = match terminal_use {
            TerminalUse::None => None,
            TerminalUse::Prompts => Terminal::open().map_or_else(go_without, Some),
            TerminalUse::Stdio => Some(Terminal::open().map_err(no_terminal)?),
        };
        let (output, input);
        match (&terminal, terminal_use) {
            (Some(terminal), TerminalUse::Stdio) => {
                terminal.make_transparent()?;
                command.stdin(terminal.theirs()?).stdout(terminal.theirs()?);
                (output, input) = (terminal.ours()?, terminal.ours()?);
            }
            _ => {
                let (their_input, ours) = pipe_with(PipeFlags::CLOEXEC)?;
                let (theirs, from_them) = {
                    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                    (write, read)
                };
                for pipe in [&ours, &from_them] {
                    // The kernel may refuse, per user: the link is then slower for bulk, no more.
                    let _ = fcntl_setpipe_size(pipe, PIPE_SIZE);
                }
                command.stdin(their_input).stdout(theirs);
                (output, input) = (ours, from_them);
            }
        }
        let (errors, their_errors) = pipe_with(PipeFlags::CLOEXEC)?;
        command.stderr(Stdio::from(their_errors));
        for descriptor in [&output, &input, &errors] {
            rustix::io::ioctl_fionbio(descriptor, true)?;
        }
        let theirs = terminal.as_ref().map(Terminal::theirs).transpose()?;
        lead_session(&mut command, theirs);
        let child = command.spawn()?;
        // Whoever else has their ends open would keep us from seeing theirs close.
        drop(command);
        if let (Some(terminal), TerminalUse::Stdio) = (&mut terminal, terminal_use) {
            terminal.give_away();
        }
        Ok(Self {
            transport: Transport::Process(Process::new(child)?),
            output: watched(output, Interest::WRITABLE)?,
            input: watched(Arc::new(input), Interest::READABLE)?,
            errors: watched(errors, Interest::READABLE)?,
            terminal,
            terminal_use,
        })
    }

    /// The same for what is no process: the pipes to it, and what carries them.
    #[cfg(feature = "ssh")]
    pub(in crate::launch) fn over(
        input: OwnedFd,
        output: OwnedFd,
        errors: OwnedFd,
        transport: Transport,
    ) -> std::io::Result<Self> {
        for descriptor in [&output, &input, &errors] {
            rustix::io::ioctl_fionbio(descriptor, true)?;
        }
        Ok(Self {
            output: watched(output, Interest::WRITABLE)?,
            input: watched(Arc::new(input), Interest::READABLE)?,
            errors: watched(errors, Interest::READABLE)?,
            terminal: None,
            terminal_use: TerminalUse::None,
            transport,
        })
    }

    /// Takes it apart into a link, its errors and its terminal.
    ///
    /// A terminal that is everything is the link itself, and must hang up with it.
    pub(in crate::launch) fn into_link(self) -> (LinkParts, PipeReader, Option<Terminal>) {
        let parts = LinkParts {
            input: self.input,
            output: self.output.into_inner(),
            transport: self.transport,
        };
        let errors = PipeReader::from(self.errors.into_inner());
        let questions = self.terminal_use == TerminalUse::Prompts;
        (parts, errors, self.terminal.filter(|_| questions))
    }
}

/// Has the program lead a session of its own: an interrupt of our terminal is not for it, it
/// cannot ask there, and `terminal` becomes its own. Of our descriptors it inherits none.
fn lead_session(command: &mut Command, terminal: Option<OwnedFd>) {
    let become_leader = move || {
        rustix::process::setsid()?;
        if let Some(terminal) = &terminal {
            rustix::process::ioctl_tiocsctty(terminal)?;
        }
        descriptors::close_on_exec();
        Ok(())
    };
    // SAFETY: between fork and exec, only system calls are made; nothing is allocated.
    unsafe {
        command.pre_exec(become_leader);
    }
}

/// A tool may have nothing to ask. One that has says that it found no terminal.
fn go_without(error: std::io::Error) -> Option<Terminal> {
    tracing::warn!("{}", no_terminal(error));
    None
}

fn no_terminal(error: std::io::Error) -> std::io::Error {
    std::io::Error::new(
        error.kind(),
        format!("no terminal is to be had ({error}); raise /proc/sys/kernel/pty/max"),
    )
}
