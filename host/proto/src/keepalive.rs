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

/// Beats from the last sign to the end at most: the first one still finds the sign, and the next
/// one that it is old.
const BEATS: u32 = ASKED_MAX + 2;

/// Bytes that a peer must take to be alive without a word. It is above what a question takes, so
/// that those alone are no sign.
const TAKEN_MIN: u64 = 64 * 1024;

/// The watch over one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    patience: Duration,
    due: Instant,
    asked: u32,
    heard: bool,
    taken: u64,
}

/// What to do when the watch is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It was heard of, or it is too early.
    Alive,
    /// Ask it for a sign.
    Ask,
    /// Give it up.
    Lost,
}

impl KeepAlive {
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            due: now + Self::interval(patience),
            asked: 0,
            heard: false,
            taken: 0,
        }
    }

    /// How often to look at a peer that may be silent for so long.
    pub(crate) fn interval(patience: Duration) -> Duration {
        // Never all the time, however little patience there is.
        (patience / BEATS).max(Duration::from_millis(1))
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
    pub(crate) fn beat(&mut self, now: Instant) -> Probe {
        if now < self.due {
            return Probe::Alive;
        }
        // Also after this process itself was stopped for long: the peer gets its chance.
        self.due = now + Self::interval(self.patience);
        let alive = core::mem::take(&mut self.heard) || self.taken >= TAKEN_MIN;
        self.taken = 0;
        if alive {
            self.asked = 0;
            return Probe::Alive;
        }
        if self.asked == ASKED_MAX {
            return Probe::Lost;
        }
        self.asked += 1;
        Probe::Ask
    }

    /// The same while this side itself does not read, and so cannot hear: it asks, which tells the
    /// peer that this side is alive, and blames nobody for the silence.
    pub(crate) fn beat_unread(&mut self, now: Instant) -> Probe {
        if now < self.due {
            return Probe::Alive;
        }
        self.due = now + Self::interval(self.patience);
        self.asked = 0;
        Probe::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(25);

    fn at(seconds: u64) -> Instant {
        Instant(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn f6_a_silent_peer_is_asked_and_then_given_up() {
        let mut pulse = KeepAlive::new(PATIENCE, at(0));
        pulse.hear();
        let beats: [Probe; 6] = core::array::from_fn(|n| pulse.beat(at(5 * (n as u64 + 1))));
        let asked = [Probe::Ask; 3];
        assert_eq!(beats[0], Probe::Alive);
        assert_eq!(beats[1..4], asked);
        assert_eq!(beats[4], Probe::Lost, "not later than patience allows");
        assert_eq!(beats[5], Probe::Lost);
    }

    #[test]
    fn f7_who_does_not_read_blames_nobody_and_tells_that_it_lives() {
        let mut pulse = KeepAlive::new(PATIENCE, at(0));
        for n in 1..100 {
            assert_eq!(pulse.beat_unread(at(5 * n)), Probe::Ask);
            assert_eq!(
                pulse.beat_unread(at(5 * n + 1)),
                Probe::Alive,
                "not so often"
            );
        }
        let beats: [Probe; 4] = core::array::from_fn(|n| pulse.beat(at(500 + 5 * n as u64)));
        assert_eq!(beats[..3], [Probe::Ask; 3], "it has its time to answer");
        assert_eq!(beats[3], Probe::Lost);
    }

    #[test]
    fn f7_a_word_or_much_that_is_taken_is_a_sign() {
        let mut pulse = KeepAlive::new(PATIENCE, at(0));
        for n in 1..100 {
            match n % 3 {
                0 => pulse.hear(),
                1 => pulse.send(1 << 20),
                _ => {}
            }
            assert_ne!(pulse.beat(at(5 * n)), Probe::Lost);
        }
    }

    #[test]
    fn f56_time_that_jumps_costs_one_question() {
        let mut pulse = KeepAlive::new(PATIENCE, at(0));
        assert_eq!(pulse.beat(at(3600)), Probe::Ask);
        assert_eq!(
            pulse.beat(at(3601)),
            Probe::Alive,
            "it has its time to answer"
        );
    }
}
