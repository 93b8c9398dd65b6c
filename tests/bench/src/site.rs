//! The machine that the rows over ssh go to, and the line that leads to it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use offshoot_bed::{Machine, Proxy, SshdOptions, User, Weather};

use crate::row::{FAR, Line};

/// Who logs in, by a key.
pub(crate) const USER: &str = "bob";
/// What `sudo` asks for.
pub(crate) const PASSWORD: &str = "corr3ct-h0rse";
/// The peer that stands for the machine's limit, over there.
pub(crate) const PEER: &str = "/usr/local/bin/bench-peer";

/// How long what was ended may take to be gone.
const GONE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// A machine of its own for each side and row, all alike.
pub(crate) struct Site {
    machine: Machine,
    line: Option<Proxy>,
    /// Processes when nobody is there.
    quiet: usize,
}

impl Site {
    pub(crate) fn new(line: Line, peer: &Path) -> Result<Self> {
        let machine = Machine::builder()
            .sshd(SshdOptions::default())
            .user(User::new(USER).password(PASSWORD))
            .sudoers(&format!("{USER} ALL=(ALL) ALL"))
            // It asks every time, whoever was there a moment ago.
            .sudoers("Defaults timestamp_timeout=0")
            .start()?;
        machine.write(PEER, &fs::read(peer)?, "755");
        let weather = Weather {
            delay: FAR / 2,
            ..Weather::default()
        };
        let line = (line == Line::Far).then(|| machine.ssh_through(weather));
        let mut site = Self {
            machine,
            line,
            quiet: 0,
        };
        site.quiet = site.processes()?;
        Ok(site)
    }

    fn addr(&self) -> SocketAddr {
        match &self.line {
            Some(line) => line.addr(),
            None => self.machine.ssh_addr(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr().port()
    }

    pub(crate) fn identity(&self) -> String {
        self.machine.identity().to_string_lossy().into_owned()
    }

    /// OpenSSH's client, to which the command is to be added.
    pub(crate) fn ssh(&self) -> Command {
        self.machine.ssh_to(self.addr(), USER)
    }

    /// Makes it a machine that has never had a child.
    pub(crate) fn forget(&self) {
        self.machine
            .sh("rm -rf /home/*/.cache /root/.cache /var/tmp/* /dev/shm/*");
    }

    /// Waits until all that was started there has gone, so that it does not run into the next
    /// sample of another side.
    pub(crate) fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + GONE;
        while self.processes()? > self.quiet {
            if Instant::now() >= deadline {
                let left = self.machine.sh("ps -eo args=");
                bail!("still there after {} s:\n{left}", GONE.as_secs());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn processes(&self) -> Result<usize> {
        let list = format!("/proc/{}/root/proc", self.machine.pid());
        let entries = fs::read_dir(list).context("the machine is gone")?;
        let numbers = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes()[0].is_ascii_digit()
        });
        Ok(numbers.count())
    }
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
