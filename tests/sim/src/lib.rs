//! Trees of real nodes over a simulated network, with one clock and one seed.
//!
//! A schedule makes contexts, calls functions in them, takes calls back, kills processes, breaks
//! wires at any byte, and lets evil processes speak. After every step the nodes are within their
//! bounds and what they told their callers agrees with a simpler model; once
//! everything has come to rest, nothing is left behind. The same seed does the same every time.

mod check;
mod driver;
mod evil;
pub mod forge;
pub mod fuzz;
mod growth;
mod model;
mod network;
mod operations;
mod profile;
mod rng;
mod siblings;
mod streams;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

pub use rng::Rng;

use world::World;

/// A schedule that went wrong.
#[derive(Debug)]
pub struct ConnectFailure {
    /// What replays it.
    pub seed: u64,
    /// What is wrong.
    pub problem: String,
    /// What happened, to the last step.
    pub log: Vec<String>,
}

impl std::fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 60;
        let skipped = self.log.len().saturating_sub(SHOWN);
        writeln!(f, "SIM_SEED={}: {}", self.seed, self.problem)?;
        writeln!(f, "after {skipped} other events:")?;
        self.log[skipped..]
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Runs the schedule of a seed; gives a digest of all that happened.
///
/// # Errors
///
/// Says what is wrong, with the last events of a second run that was watched.
pub fn run(seed: u64) -> Result<u64, Box<ConnectFailure>> {
    match attempt(seed, false).0 {
        Ok(digest) => Ok(digest),
        Err(problem) => {
            let (_, log) = attempt(seed, true);
            Err(Box::new(ConnectFailure { seed, problem, log }))
        }
    }
}

fn attempt(seed: u64, watched: bool) -> (Result<u64, String>, Vec<String>) {
    let mut world = World::new(seed, watched);
    let ended = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    let result = match (ended, world.violation.take()) {
        (Err(_), _) => Err("it panicked".to_owned()),
        (Ok(()), Some(problem)) => Err(problem),
        (Ok(()), None) => Ok(world.digest),
    };
    (result, world.into_log())
}

/// The whole schedule: the operations, then the end of all evil, then the end of the tree.
fn play(world: &mut World) {
    world.run();
    world.check_rest(true);
    world.end_evil();
    world.run();
    world.check_rest(false);
    world.end_programs();
    world.run();
    world.check_rest(false);
    world.check_no_streams();
    for process in (1..world.processes.len()).rev() {
        if world.processes[process].parent == Some(0) {
            world.shut_down(process);
        }
    }
    world.run();
    world.check_rest(false);
    let left = world
        .processes
        .iter()
        .skip(1)
        .filter(|process| process.alive)
        .count();
    if left > 0 && world.violation.is_none() {
        world.fail(format!("{left} processes outlive the tree"));
    }
}

/// Schedules that a test run takes.
pub const SEEDS: u64 = 50_000;

/// Runs the schedules of `count` seeds from `from` on, in two threads; gives a digest of all.
///
/// # Errors
///
/// Fails with the first schedule that went wrong, of those that ran.
pub fn run_many(from: u64, count: u64) -> Result<u64, Box<ConnectFailure>> {
    const THREADS: u64 = 2;
    let failed = AtomicBool::new(false);
    let part = |thread: u64| -> Result<u64, Box<ConnectFailure>> {
        let mut digest = 0;
        for seed in (from..from + count).filter(|seed| seed % THREADS == thread) {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            let result = run(seed).inspect_err(|_| failed.store(true, Ordering::Relaxed));
            digest = rng::fold(digest, result?);
        }
        Ok(digest)
    };
    std::thread::scope(|scope| {
        let part = &part;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        threads.into_iter().try_fold(0, |digest: u64, thread| {
            let part = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(rng::fold(digest, part?))
        })
    })
}
