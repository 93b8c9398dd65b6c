//! How many connections to one server may wait at once to be let in.
//!
//! A server drops connections by chance when too many have not yet shown who they are
//! (`MaxStartups` of OpenSSH: from 10 on), whoever made them. So whoever wants more waits here for
//! a turn, and what is dropped all the same is tried again, later and later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::SshError;

/// Connections to one address that have not been let in yet: two less than what OpenSSH's server
/// takes without dropping any, for those that others make.
pub(crate) const WAITING_MAX: usize = 8;

/// Attempts at a server that hangs up on us before it says anything. With the pauses below that is
/// about ten seconds: as long as many such a crowd need, and nobody waits longer for a server that
/// never lets him in.
const ATTEMPTS_MAX: u32 = 10;

/// The longest pause after the first such attempt. It doubles with each, to at most [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Where there is somebody. An entry goes with its last visitor, so that there are never more of
/// them than requests under way.
static GATES: Mutex<BTreeMap<String, Gate>> = Mutex::new(BTreeMap::new());

struct Gate {
    turns: Arc<Semaphore>,
    visitors: usize,
}

fn gates() -> MutexGuard<'static, BTreeMap<String, Gate>> {
    GATES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One's turn at an address. It is the next one's when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // In this order: the turn is given back while the gate is still there.
    _turn: Option<OwnedSemaphorePermit>,
    _visit: Visit,
}

/// Waits for one's turn at an address, in the order of arrival.
pub(crate) async fn turn(address: &str) -> Turn {
    let (visit, turns) = Visit::at(address);
    Turn {
        // Nobody closes it.
        _turn: turns.acquire_owned().await.ok(),
        _visit: visit,
    }
}

/// Somebody at a gate.
#[derive(Debug)]
struct Visit {
    address: String,
}

impl Visit {
    fn at(address: &str) -> (Self, Arc<Semaphore>) {
        let mut gates = gates();
        let gate = gates.entry(address.to_owned()).or_insert_with(|| Gate {
            turns: Arc::new(Semaphore::new(WAITING_MAX)),
            visitors: 0,
        });
        gate.visitors += 1;
        let visit = Self {
            address: address.to_owned(),
        };
        (visit, Arc::clone(&gate.turns))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut gates = gates();
        if let Some(gate) = gates.get_mut(&self.address) {
            gate.visitors -= 1;
            if gate.visitors == 0 {
                gates.remove(&self.address);
            }
        }
    }
}

/// What servers say that hang up because there are too many.
const CROWDED: [&str; 2] = ["Exceeded MaxStartups", "Not allowed at this time"];

/// Whether a server that hung up after these words, and before its first line, may let us in later.
pub(crate) fn is_worth_another(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    said.is_empty() || CROWDED.iter().any(|describe| said.contains(describe))
}

/// Attempts at a server that hangs up on us.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    until: Instant,
}

impl Attempts {
    /// Attempts that are to end by then.
    pub(crate) fn until(until: Instant) -> Self {
        Self { made: 0, until }
    }

    /// Waits before the next attempt; gives the error of the last one if there is to be none.
    pub(crate) async fn pause(&mut self, error: SshError) -> Result<(), SshError> {
        self.made += 1;
        let longest = PAUSE.saturating_mul(1 << self.made.min(16)) / 2;
        let pause = by_chance(longest.min(PAUSE_MAX));
        if self.made >= ATTEMPTS_MAX || Instant::now() + pause >= self.until {
            return Err(error);
        }
        tracing::debug!(attempt = self.made, %error, ?pause, "the server may be crowded");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Between half and all of it, so that those who were dropped together do not come back together.
fn by_chance(longest: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    // Each has a random seed.
    let dice = RandomState::new().hash_one(longest) % 1024;
    let half = longest / 2;
    half + half.mul_f64(f64::from(u32::try_from(dice).unwrap_or(0)) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f50_no_more_than_eight_are_at_a_gate_and_it_goes_with_the_last() {
        let is_loopback = "f50 test";
        let mut turns = Vec::new();
        for _ in 0..WAITING_MAX {
            turns.push(turn(is_loopback).await);
        }
        let next = tokio::spawn(turn(is_loopback));
        let given_up = tokio::spawn(turn(is_loopback));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!next.is_finished());
        given_up.abort();
        assert!(given_up.await.is_err());
        // Elsewhere there is room.
        drop(turn("f50 elsewhere").await);
        assert!(!gates().contains_key("f50 elsewhere"));
        turns.pop();
        turns.push(next.await.unwrap());
        assert!(gates().contains_key(is_loopback));
        drop(turns);
        assert!(!gates().contains_key(is_loopback));
    }

    #[test]
    fn f50_pauses_differ_and_are_bounded() {
        let all: Vec<Duration> = (0..32).map(|_| by_chance(PAUSE_MAX)).collect();
        assert!(all.iter().all(|one| *one >= PAUSE_MAX / 2));
        assert!(all.iter().all(|one| *one <= PAUSE_MAX));
        assert!(all.iter().any(|one| *one != all[0]));
    }

    #[tokio::test]
    async fn f50_attempts_end_with_the_patience() {
        let error = || SshError::TooManyHops {
            host: String::new(),
            max: 0,
        };
        let mut attempts = Attempts::until(Instant::now());
        assert!(attempts.pause(error()).await.is_err());
    }

    #[test]
    fn f50_only_a_crowded_server_is_worth_another_attempt() {
        assert!(is_worth_another(b""));
        assert!(is_worth_another(b"Exceeded MaxStartups\r\n"));
        assert!(!is_worth_another(b"HTTP/1.1 400 Bad Request\r\n"));
    }
}
