//! A terminal for tools that ask for passwords on one and nowhere else.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use crate::async_fd::{read, watched};
use crate::driver::Driver;

/// Both ends of a terminal. The tool's end stays open here, too, where the tool opens it only to
/// ask: otherwise ours would end whenever it closes it between two questions.
pub(crate) struct Terminal {
    pub(in crate::launch) ours: AsyncFd<Arc<OwnedFd>>,
    theirs: Option<OwnedFd>,
}

impl Terminal {
    pub(in crate::launch) fn open() -> std::io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = match ioctl_tiocgptpeer(&ours, flags) {
            Ok(theirs) => theirs,
            // An old kernel has to be asked by name.
            Err(_) => {
                let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
                rustix::fs::open(ptsname(&ours, Vec::new())?, flags, Mode::empty())?
            }
        };
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok(Self {
            ours: watched(Arc::new(ours), Interest::READABLE)?,
            theirs: Some(theirs),
        })
    }

    /// The tool's end, for a process that is about to be started.
    pub(in crate::launch) fn theirs(&self) -> std::io::Result<OwnedFd> {
        let theirs = self.theirs.as_ref();
        let theirs = theirs.ok_or_else(|| std::io::Error::other("it was given away"))?;
        Ok(rustix::io::fcntl_dupfd_cloexec(theirs, 3)?)
    }

    /// Leaves the tool's end to the tool, which has it open all the time: our end then ends when
    /// it does.
    pub(in crate::launch) fn give_away(&mut self) {
        self.theirs = None;
    }

    /// Our end once more, as a file of its own.
    pub(in crate::launch) fn ours(&self) -> std::io::Result<OwnedFd> {
        Ok(rustix::io::fcntl_dupfd_cloexec(self.ours.get_ref(), 3)?)
    }

    /// Whether what is typed is not shown: somebody waits for a password.
    pub(in crate::launch) fn hides_input(&self) -> bool {
        tcgetattr(self.ours.get_ref())
            .is_ok_and(|modes| !modes.local_modes.contains(LocalModes::ECHO))
    }

    /// Takes back what was typed and nobody has read yet, as far as that can be done: a terminal
    /// that was given away has no end here to do it at.
    pub(in crate::launch) fn discard_input(&self) -> std::io::Result<()> {
        match &self.theirs {
            Some(theirs) => Ok(tcflush(theirs, QueueSelector::IFlush)?),
            None => Ok(()),
        }
    }

    /// Lets every byte pass as it is. What is typed is still shown, so that
    /// [`hides_input`](Self::hides_input) can tell.
    pub(in crate::launch) fn make_transparent(&self) -> std::io::Result<()> {
        self.change(|modes| {
            modes.make_raw();
            modes.local_modes.insert(LocalModes::ECHO);
        })
    }

    /// The same, and shows nothing.
    pub(in crate::launch) fn make_silent(&self) -> std::io::Result<()> {
        self.change(Termios::make_raw)
    }

    fn change(&self, change: impl FnOnce(&mut Termios)) -> std::io::Result<()> {
        let terminal = self.ours.get_ref();
        let mut modes = tcgetattr(terminal)?;
        change(&mut modes);
        tcsetattr(terminal, OptionalActions::Now, &modes)?;
        Ok(())
    }

    /// Keeps the terminal open while the child runs, and reads what is printed there: whoever
    /// prints must not have to wait. It ends when the task is aborted.
    pub(crate) fn keep(self, driver: &Driver, context: Arc<str>) -> AbortHandle {
        let task = driver.runtime().spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = read(&self.ours, &mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..count]);
                let text = crate::text::quote(text.trim());
                tracing::debug!(%context, "on its terminal: {text}");
            }
            // Nobody has it open any more, which is no reason to take it away.
            std::future::pending::<()>().await;
        });
        task.abort_handle()
    }
}
