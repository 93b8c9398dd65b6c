//! Further attempts at a server that hangs up because too many connections are not logged in.
//!
//! This process limits its own (`offshoot-limiter`), but not those of others. What is dropped all the
//! same is tried again, later and later.

use std::time::{Duration, Instant};

use crate::error::SshError;

/// Attempts at a server that hangs up on us before it says anything. With the pauses below that is
/// about ten seconds: as long as many such a crowd need, and no request waits longer for a server
/// that never answers.
const ATTEMPTS_MAX: u32 = 10;

/// The longest pause after the first such attempt. It doubles with each, to at most [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What servers say that hang up because there are too many.
const CROWDED: [&str; 2] = ["Exceeded MaxStartups", "Not allowed at this time"];

/// Whether a server that hung up after these words, and before its first line, may accept a later attempt.
pub(crate) fn is_worth_another(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    said.is_empty() || CROWDED.iter().any(|words| said.contains(words))
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
