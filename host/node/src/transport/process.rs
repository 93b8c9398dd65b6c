//! A child process: never left running, never left a zombie.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use crate::async_fd::watched;

/// A started process, the leader of a group of its own. Dropping it kills the group.
pub struct Process {
    child: Child,
    /// Becomes readable when the process has ended.
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
    /// Whether it may outlive us.
    released: bool,
    /// Has its terminal.
    terminal: Option<Hold>,
}

/// A task that holds something for as long as this exists.
struct Hold(AbortHandle);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long what cannot be killed may take to notice that all its connections are closed.
const UNKILLABLE: Duration = Duration::from_secs(2);

/// How long the one that was killed may take to be gone.
const KILLED: Duration = Duration::from_millis(500);

impl Process {
    /// Takes charge of a started process; kills it on failure.
    pub fn new(mut child: Child) -> std::io::Result<Self> {
        let watch = || {
            let pid = Pid::from_child(&child);
            watched(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
        };
        let watched: std::io::Result<_> = watch();
        match watched {
            Ok(ended) => Ok(Self {
                child,
                ended,
                reaped: false,
                released: false,
                terminal: None,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&self) -> bool {
        !self.has_ended_within(Duration::ZERO)
    }

    /// Waits until the process has ended.
    ///
    /// Cancel-safe: the process is as it was.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let _ready = self.ended.readable().await?;
        self.reaped = true;
        self.child.wait()
    }

    /// Has a task, which holds the process's terminal, end with this.
    pub fn hold(&mut self, terminal: AbortHandle) {
        self.terminal = Some(Hold(terminal));
    }

    /// The status that the process ended with, if it does within `patience`.
    pub async fn status(&mut self, patience: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(patience, self.wait()).await.ok()?.ok()
    }

    /// How the process ended, if it does within `patience`.
    pub async fn exit_reason(&mut self, patience: Duration) -> Option<String> {
        let status = self.status(patience).await?;
        Some(describe(self.id(), status))
    }

    /// Lets the process outlive us.
    pub fn release(&mut self) {
        self.released = true;
    }

    /// Waits for the process's own end for `grace`, then kills it, unless it was released.
    pub async fn end(mut self, grace: Duration) {
        if self.released {
            return;
        }
        if self.reaped || tokio::time::timeout(grace, self.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(
            pid = self.id(),
            "a child did not end by itself and is killed"
        );
        // Who became another user is not ours to kill. It hears that its terminal is gone.
        self.terminal = None;
        self.kill();
        if self.status(UNKILLABLE).await.is_none() {
            tracing::warn!(pid = self.id(), "a child of another user is left behind");
        }
    }

    /// Kills the process and what it started: it may be a script around the child, or have left
    /// a job behind that holds the link open.
    fn kill(&mut self) {
        // Either fails only when there is nothing to kill any more, or nothing that may be.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.kill();
    }

    fn has_ended_within(&self, patience: Duration) -> bool {
        let patience = Timespec::try_from(patience).ok();
        let mut ended = [PollFd::new(&self.ended, PollFlags::IN)];
        poll(&mut ended, patience.as_ref()).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.terminal = None;
        if self.reaped {
            return;
        }
        if self.released {
            if !matches!(self.child.try_wait(), Ok(Some(_))) {
                reap(Pid::from_child(&self.child));
            }
            return;
        }
        self.kill();
        if self.has_ended_within(KILLED) {
            // Fails only when someone else has waited for it.
            let _ = self.child.wait();
            return;
        }
        // It runs as another user, and ends when it notices that its connections are closed.
        reap(Pid::from_child(&self.child));
    }
}

/// Waits for a process that goes on, so that it is no zombie once it has ended. That needs a thread
/// of its own: its runtime may end before it.
fn reap(pid: Pid) {
    let wait = move || {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    };
    let _ = std::thread::Builder::new()
        .name("offshoot-reaper".to_owned())
        .stack_size(64 * 1024)
        .spawn(wait);
}

pub(super) fn describe(pid: u32, status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => {
            format!("process {pid} exited due to signal 9 (SIGKILL; perhaps memory ran out)")
        }
        (Some(signal), _) => format!("process {pid} exited due to signal {signal}"),
        (None, Some(code)) => format!("process {pid} exited with return code {code}"),
        (None, None) => format!("process {pid} ended"),
    }
}
