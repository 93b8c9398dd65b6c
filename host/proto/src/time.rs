//! A clock reading that the driver passes in. This crate has no clock of its own.

use core::ops::Add;
use core::time::Duration;

/// Microseconds since a moment of the driver's choice. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: a wait without end is as good as the longest one.
    fn add(self, wait: Duration) -> Self {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Instant {
    /// How long after `earlier` this is; nothing when it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
