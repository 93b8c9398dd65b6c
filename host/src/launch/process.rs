//! A child process: never left running, never left a zombie.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::watched::watched;

/// A started process, the leader of a group of its own. Dropping it kills the group.
pub(crate) struct Process {
    child: Child,
    /// Becomes readable when the process has ended.
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
    /// Whether it may outlive us.
    released: bool,
}

impl Process {
    pub(crate) fn new(mut child: Child) -> std::io::Result<Self> {
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
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended.
    ///
    /// Cancel-safe: the process is as it was.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let _ready = self.ended.readable().await?;
        self.reaped = true;
        self.child.wait()
    }

    /// How the process ended, if it does within `patience`.
    pub(crate) async fn epitaph(&mut self, patience: Duration) -> Option<String> {
        let status = tokio::time::timeout(patience, self.wait())
            .await
            .ok()?
            .ok()?;
        Some(describe(self.id(), status))
    }

    /// Lets the process outlive us (`B045`).
    pub(crate) fn release(&mut self) {
        self.released = true;
    }

    /// Waits for the process's own end for `grace`, then kills it, unless it was released.
    pub(crate) async fn end(mut self, grace: Duration) {
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
        self.kill();
        let _ = self.wait().await;
    }

    /// Kills the process and what it started: it may be a script around the child, or have left
    /// a job behind that holds the link open.
    fn kill(&mut self) {
        // Either fails only when there is nothing to kill any more.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.released && !self.reaped {
            // It is the system's to reap once we are gone; until then, it may be ours.
            let _ = self.child.try_wait();
        } else if !self.reaped {
            self.kill();
            // Fails only when someone else has waited for it.
            let _ = self.child.wait();
        }
    }
}

fn describe(pid: u32, status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => {
            format!("process {pid} exited due to signal 9 (SIGKILL; perhaps memory ran out)")
        }
        (Some(signal), _) => format!("process {pid} exited due to signal {signal}"),
        (None, Some(code)) => format!("process {pid} exited with return code {code}"),
        (None, None) => format!("process {pid} ended"),
    }
}
