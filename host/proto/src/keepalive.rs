//! Keepalive of links that do not end by themselves.
//!
//! A machine that stops, or a network that drops everything, ends no connection for a long time.
//! So a silent peer is sent probes, and a peer that answers none of them is lost. All bytes from
//! the peer count as an answer. So do bytes that the peer takes, because its answer may have to
//! wait behind many that are on their way already.

use core::time::Duration;

use crate::time::Instant;

/// Probes without an answer until the peer is lost.
const PROBES_MAX: u32 = 3;

/// Intervals from the last activity to the loss at most: the first check still sees the activity,
/// and the second one sends the first probe.
const INTERVALS: u32 = PROBES_MAX + 2;

/// Bytes that a silent peer must take to count as alive. Probes alone are fewer.
const TAKEN_MIN: u64 = 64 * 1024;

/// The keepalive of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    patience: Duration,
    due: Instant,
    probes: u32,
    active: bool,
    taken: u64,
}

/// What follows from a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nothing: the peer was active, or it is too early.
    Alive,
    /// Send a probe.
    Send,
    /// The peer is lost.
    Lost,
}

impl KeepAlive {
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            due: now + Self::interval(patience),
            probes: 0,
            active: false,
            taken: 0,
        }
    }

    /// How often to check a peer that may be silent for so long.
    pub(crate) fn interval(patience: Duration) -> Duration {
        // Never all the time, however little patience there is.
        (patience / INTERVALS).max(Duration::from_millis(1))
    }

    /// When the next check is due.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// How long it may be silent.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Bytes have come from the peer.
    pub(crate) fn on_activity(&mut self) {
        self.active = true;
    }

    /// Bytes have left for the peer.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// Checks whether the peer was active since the last check.
    pub(crate) fn check(&mut self, now: Instant) -> Probe {
        if now < self.due {
            return Probe::Alive;
        }
        // Also after this process itself was stopped for long: the peer gets its chance.
        self.due = now + Self::interval(self.patience);
        let alive = core::mem::take(&mut self.active) || self.taken >= TAKEN_MIN;
        self.taken = 0;
        if alive {
            self.probes = 0;
            return Probe::Alive;
        }
        if self.probes == PROBES_MAX {
            return Probe::Lost;
        }
        self.probes += 1;
        Probe::Send
    }

    /// The same while this context does not read the link: a probe tells the peer that this
    /// context is alive, and silence does not count against the peer.
    pub(crate) fn check_unread(&mut self, now: Instant) -> Probe {
        if now < self.due {
            return Probe::Alive;
        }
        self.due = now + Self::interval(self.patience);
        self.probes = 0;
        Probe::Send
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
    fn f6_a_silent_peer_is_sent_probes_and_then_lost() {
        let mut keepalive = KeepAlive::new(PATIENCE, at(0));
        keepalive.on_activity();
        let probes: [Probe; 6] = core::array::from_fn(|n| keepalive.check(at(5 * (n as u64 + 1))));
        let sent = [Probe::Send; 3];
        assert_eq!(probes[0], Probe::Alive);
        assert_eq!(probes[1..4], sent);
        assert_eq!(probes[4], Probe::Lost, "not later than patience allows");
        assert_eq!(probes[5], Probe::Lost);
    }

    #[test]
    fn f7_who_does_not_read_blames_nobody_and_tells_that_it_lives() {
        let mut keepalive = KeepAlive::new(PATIENCE, at(0));
        for n in 1..100 {
            assert_eq!(keepalive.check_unread(at(5 * n)), Probe::Send);
            assert_eq!(
                keepalive.check_unread(at(5 * n + 1)),
                Probe::Alive,
                "not so often"
            );
        }
        let probes: [Probe; 4] = core::array::from_fn(|n| keepalive.check(at(500 + 5 * n as u64)));
        assert_eq!(probes[..3], [Probe::Send; 3], "it has its time to answer");
        assert_eq!(probes[3], Probe::Lost);
    }

    #[test]
    fn f7_a_word_or_much_that_is_taken_is_a_sign() {
        let mut keepalive = KeepAlive::new(PATIENCE, at(0));
        for n in 1..100 {
            match n % 3 {
                0 => keepalive.on_activity(),
                1 => keepalive.on_sent(1 << 20),
                _ => {}
            }
            assert_ne!(keepalive.check(at(5 * n)), Probe::Lost);
        }
    }

    #[test]
    fn f56_time_that_jumps_costs_one_question() {
        let mut keepalive = KeepAlive::new(PATIENCE, at(0));
        assert_eq!(keepalive.check(at(3600)), Probe::Send);
        assert_eq!(
            keepalive.check(at(3601)),
            Probe::Alive,
            "it has its time to answer"
        );
    }
}
