//! What the machine allows: the same movements with nothing in between.
//!
//! Each figure comes from processes that do the least that the row's work needs, with blocking
//! reads and writes of exactly the bytes, and no framing.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use offshoot::Plugin;

use crate::arguments::Arguments;
use crate::bare_loop;
use crate::limit_ssh;
use crate::ours::{Tree, packed_child};
use crate::processes::{end, resident_mib};
use crate::row::{
    BULK, CHAIN, CHAIN_ROUND_TRIPS, ECHO, MESSAGE, ROUND_TRIPS, Row, SshRow, WINDOW, WINDOWS,
};
use crate::side::{Sample, Side, each_us, mb_per_s};
use crate::site::noise;

pub(crate) struct Limit {
    peer: PathBuf,
    plugin: PathBuf,
}

impl Limit {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            peer: arguments.peer.clone(),
            plugin: arguments.plugin.clone(),
        })
    }
}

impl Side for Limit {
    fn name(&self) -> &'static str {
        "limit"
    }

    fn prepare(&self, row: Row) -> Result<Option<Sample>> {
        Ok(Some(match row {
            Row::LocalStartFirstCall => start(echo(&self.peer, MESSAGE)),
            Row::CallRoundTrip => round_trips(echo(&self.peer, MESSAGE), MESSAGE, ROUND_TRIPS)?,
            Row::PipelinedCalls => pipelined(&self.plugin)?,
            Row::Chain10Setup => start(chain(&self.peer)),
            Row::Chain10Call => round_trips(chain(&self.peer), MESSAGE, CHAIN_ROUND_TRIPS)?,
            Row::BulkUp => bulk_up(peer(&self.peer, "sink", BULK))?,
            Row::BulkDown | Row::Stream => bulk_down(peer(&self.peer, "source", BULK))?,
            Row::Echo1Mib => round_trips(echo(&self.peer, ECHO), ECHO, 1)?,
            Row::IdleChildRss => resident(echo(&self.peer, MESSAGE)),
            Row::Ssh(row, line) => {
                let child = match row {
                    SshRow::Cold => packed_child(&Plugin::open(&self.plugin)?)?,
                    _ => 0,
                };
                limit_ssh::prepare(row, line, &self.peer, child)?
            }
            // The same on an idle link.
            Row::CallBesideBulk => Tree::start(&Plugin::open(&self.plugin)?)?.beside(false)?,
            Row::IdleChildCost
            | Row::Select20
            | Row::Select200
            | Row::OutstandingCall
            | Row::ChildBinaryGz => {
                return Ok(None);
            }
        }))
    }
}

fn echo(program: &Path, size: usize) -> Command {
    peer(program, "echo", size)
}

fn peer(program: &Path, what: &str, size: usize) -> Command {
    let mut command = Command::new(program);
    command.args([what, &size.to_string()]);
    command
}

fn chain(peer: &Path) -> Command {
    let mut command = Command::new(peer);
    let further = CHAIN - 1;
    command.args(["relay", &further.to_string(), &MESSAGE.to_string()]);
    command
}

/// From nothing to the first byte.
fn start(mut command: Command) -> Sample {
    Box::new(move || {
        let start = Instant::now();
        let peer = Peer::start(&mut command)?;
        let took = start.elapsed();
        drop(peer);
        Ok(each_us(took, 1))
    })
}

pub(crate) fn round_trips(mut command: Command, size: usize, count: usize) -> Result<Sample> {
    let mut peer = Peer::start(&mut command)?;
    let (message, mut answer) = (vec![7; size], vec![0; size]);
    Ok(Box::new(move || {
        let start = Instant::now();
        for _ in 0..count {
            peer.exchange(&message, &mut answer)?;
        }
        let took = start.elapsed();
        if answer != message {
            bail!("the peer's answer differs");
        }
        Ok(each_us(took, count))
    }))
}

/// Moves bulk to a peer that reads it all, and answers then.
pub(crate) fn bulk_up(command: Command) -> Result<Sample> {
    bulk(command, noise(BULK), vec![0; 1])
}

/// Moves bulk from a peer that is asked for it.
pub(crate) fn bulk_down(command: Command) -> Result<Sample> {
    bulk(command, vec![0; 1], vec![0; BULK])
}

fn bulk(mut command: Command, there: Vec<u8>, mut back: Vec<u8>) -> Result<Sample> {
    let mut peer = Peer::start(&mut command)?;
    Ok(Box::new(move || {
        let start = Instant::now();
        peer.exchange(&there, &mut back)?;
        Ok(mb_per_s(BULK, start.elapsed()))
    }))
}

fn pipelined(plugin: &Path) -> Result<Sample> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(bare_loop::FLAG).arg(plugin);
    let mut peer = Peer::start(&mut command)?;
    let calls = bare_loop::calls(WINDOW).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    // Both windows fit into a pipe, so that neither end waits for the other to read.
    const _: () = assert!(
        WINDOW * MESSAGE <= 64 * 1024,
        "a window must fit into a pipe"
    );
    let mut answers = vec![0; calls.len()];
    Ok(Box::new(move || {
        let start = Instant::now();
        for _ in 0..WINDOWS {
            peer.exchange(&calls, &mut answers)?;
        }
        let took = start.elapsed();
        bare_loop::check(&answers).map_err(|error| anyhow::anyhow!("{error:#}"))?;
        Ok((WINDOWS * WINDOW) as f64 / took.as_secs_f64())
    }))
}

fn resident(mut command: Command) -> Sample {
    Box::new(move || {
        let mut peer = Peer::start(&mut command)?;
        peer.exchange(&[7; MESSAGE], &mut [0; MESSAGE])?;
        resident_mib(peer.child.id())
    })
}

/// A process that answers over two pipes, and ends with this value.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Peer {
    /// Starts `command` and waits for the byte that says it is up.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", command.get_program().display()))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("a child without pipes")?;
        let mut peer = Self {
            child,
            input,
            output,
        };
        peer.output
            .read_exact(&mut [0; 1])
            .context("the peer ended before it was up")?;
        Ok(peer)
    }

    pub(crate) fn exchange(&mut self, message: &[u8], answer: &mut [u8]) -> Result<()> {
        let input = self.input.as_mut().context("the peer is closed")?;
        input
            .write_all(message)
            .context("the peer stopped reading")?;
        self.output.read_exact(answer).context("the peer ended")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A chain ends from its far end only when the near end sees its input close.
        self.input = None;
        end(&mut self.child);
    }
}
