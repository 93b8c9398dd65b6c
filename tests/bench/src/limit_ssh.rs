//! What OpenSSH's client and the machine allow: the same movements, with nothing of ours at either
//! end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::limit::{bulk_down, bulk_up, round_trips};
use crate::processes::end;
use crate::row::{BULK, Line, MANY, MESSAGE, SshRow};
use crate::side::{Sample, ms};
use crate::site::{PASSWORD, PEER, Site, noise};

/// Makes ready what a sample of `row` needs. `child` is how many bytes our child has, packed.
pub(crate) fn prepare(row: SshRow, line: Line, peer: &Path, child: usize) -> Result<Sample> {
    let site = Site::new(line, peer)?;
    Ok(match row {
        SshRow::Warm => Box::new(move || {
            let start = Instant::now();
            let up = Dialogue::start(site.ssh().arg("echo up"))?.wait_for("up")?;
            let took = start.elapsed();
            drop(up);
            Ok(ms(took))
        }),
        SshRow::Cold => {
            let (command, bytes) = (
                format!("echo need; head -c {child} >/dev/null; echo up"),
                noise(child),
            );
            Box::new(move || {
                let start = Instant::now();
                let mut ssh = Dialogue::start(site.ssh().arg(&command))?.wait_for("need")?;
                ssh.write(&bytes)?;
                let up = ssh.wait_for("up")?;
                let took = start.elapsed();
                drop(up);
                Ok(ms(took))
            })
        }
        SshRow::Sudo => {
            let mut shell = Some(Dialogue::start(site.ssh().arg("sh"))?);
            let line = format!("echo {PASSWORD} | sudo -S -p '' echo up\n");
            let sample = Box::new(move || {
                let mut dialogue = shell.take().context("the shell has ended")?;
                let start = Instant::now();
                dialogue.write(line.as_bytes())?;
                shell = Some(dialogue.wait_for("up")?);
                Ok(ms(start.elapsed()))
            });
            keeping(site, sample)
        }
        SshRow::Call => {
            let command = remote(&site, &format!("{PEER} echo {MESSAGE}"));
            let sample = round_trips(command, MESSAGE, line.round_trips())?;
            keeping(site, sample)
        }
        SshRow::BulkUp => {
            let sample = bulk_up(remote(&site, &format!("{PEER} sink {BULK}")))?;
            keeping(site, sample)
        }
        SshRow::BulkDown => {
            let sample = bulk_down(remote(&site, &format!("{PEER} source {BULK}")))?;
            keeping(site, sample)
        }
        SshRow::Many => Box::new(move || {
            let start = Instant::now();
            let clients = (0..MANY).map(|_| Dialogue::start(site.ssh().arg("echo up")));
            let clients = clients.collect::<Result<Vec<_>>>()?;
            let up = clients.into_iter().map(|client| client.wait_for("up"));
            let up = up.collect::<Result<Vec<_>>>()?;
            let took = start.elapsed();
            drop(up);
            site.settle()?;
            Ok(took.as_secs_f64())
        }),
    })
}

fn remote(site: &Site, command: &str) -> Command {
    let mut ssh = site.ssh();
    ssh.arg(format!("exec {command}"));
    ssh
}

/// A sample that needs the machine as well. It goes after the sample.
fn keeping(site: Site, mut sample: Sample) -> Sample {
    Box::new(move || {
        let value = sample();
        let _keep = &site;
        value
    })
}

/// A client that says one line after the other, and ends with this value.
struct Dialogue {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Dialogue {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start ssh")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("a child without pipes")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("closed")?;
        input.write_all(bytes).context("ssh stopped reading")
    }

    fn wait_for(mut self, word: &str) -> Result<Self> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim() {
            said if said == word => Ok(self),
            said => bail!("ssh said `{said}` instead of `{word}`"),
        }
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.input = None;
        end(&mut self.child);
    }
}
