//! Whether there is still someone at the other end of a link that does not end by itself.
//!
//! A machine that stops, or a network that drops everything, ends no connection for a long time.
//! So a silent peer is asked for a sign, and one that gives none is given up. Anything that it
//! says counts as one, and so does taking what we send: an answer may have to wait behind much
//! that is on its way already.

use core::time::Duration;

use crate::time::Instant;

/// How often a peer is asked before it is given up.
const ASKED_MAX: u32 = 3;

/// Beats from the last sign to the end, one of which only finds that the sign is old.
const BEATS: u32 = ASKED_MAX + 1;

/// Bytes that a peer must take to be alive without a word. It is above what a question takes, so
/// that those alone are no sign.
const TAKEN_MIN: u64 = 64 * 1024;

/// The watch over one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    patience: Duration,
    due: Instant,
    asked: u32,
    heard: bool,
    taken: u64,
}

/// What to do when the watch is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// It was heard of, or it is too early.
    Alive,
    /// Ask it for a sign.
    Ask,
    /// Give it up.
    Lost,
}

impl Pulse {
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            due: now + patience / BEATS,
            asked: 0,
            heard: false,
            taken: 0,
        }
    }

    /// When to look again.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// How long it may be silent.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// The peer has said something.
    pub(crate) fn hear(&mut self) {
        self.heard = true;
    }

    /// Bytes have left for the peer.
    pub(crate) fn send(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// Looks whether the peer was heard of since the last time.
    pub(crate) fn beat(&mut self, now: Instant) -> Beat {
        if now < self.due {
            return Beat::Alive;
        }
        // Also after this process itself was stopped for long: the peer gets its chance.
        self.due = now + self.patience / BEATS;
        let alive = core::mem::take(&mut self.heard) || self.taken >= TAKEN_MIN;
        self.taken = 0;
        if alive {
            self.asked = 0;
            return Beat::Alive;
        }
        if self.asked == ASKED_MAX {
            return Beat::Lost;
        }
        self.asked += 1;
        Beat::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Instant {
        Instant(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn f6_a_silent_peer_is_asked_and_then_given_up() {
        let mut pulse = Pulse::new(PATIENCE, at(0));
        let beats: [Beat; 5] = core::array::from_fn(|n| pulse.beat(at(5 * (n as u64 + 1))));
        assert_eq!(
            beats,
            [Beat::Ask, Beat::Ask, Beat::Ask, Beat::Lost, Beat::Lost]
        );
    }

    #[test]
    fn f7_a_word_or_much_that_is_taken_is_a_sign() {
        let mut pulse = Pulse::new(PATIENCE, at(0));
        for n in 1..100 {
            match n % 3 {
                0 => pulse.hear(),
                1 => pulse.send(1 << 20),
                _ => {}
            }
            assert_ne!(pulse.beat(at(5 * n)), Beat::Lost);
        }
    }

    #[test]
    fn f56_time_that_jumps_costs_one_question() {
        let mut pulse = Pulse::new(PATIENCE, at(0));
        assert_eq!(pulse.beat(at(3600)), Beat::Ask);
        assert_eq!(
            pulse.beat(at(3601)),
            Beat::Alive,
            "it has its time to answer"
        );
    }
}
