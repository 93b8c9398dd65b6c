//! Who is to be woken when something changes.
//!
//! A wait that is given up must leave nothing behind, not even its waker: that keeps a whole task
//! in memory, and a receiver that is polled with a timeout by many tasks may never hear of
//! anything that would wake them. So each wait has a place of its own to leave.

use std::task::Waker;

/// Those who wait for one thing.
#[derive(Default)]
pub struct WakerSet {
    /// The only one there is, mostly.
    first: Option<(WakerSlot, Waker)>,
    more: Vec<(WakerSlot, Waker)>,
    last_place: u64,
}

/// Where a wait is kept; none at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WakerSlot(u64);

/// Those who have waited, to be woken outside of any lock.
#[must_use]
pub struct WakeList {
    first: Option<(WakerSlot, Waker)>,
    more: Vec<(WakerSlot, Waker)>,
}

impl WakerSet {
    /// Adds a waker, or replaces that of `slot`, which is the caller's until it is
    /// [removed](Self::remove).
    pub fn wait(&mut self, slot: &mut WakerSlot, waker: &Waker) {
        if *slot == WakerSlot::default() {
            self.last_place += 1;
            *slot = WakerSlot(self.last_place);
        }
        let mut known = self.first.iter_mut().chain(&mut self.more);
        if let Some((_, known)) = known.find(|(at, _)| at == slot) {
            known.clone_from(waker);
        } else if self.first.is_none() {
            self.first = Some((*slot, waker.clone()));
        } else {
            self.more.push((*slot, waker.clone()));
        }
    }

    /// Forgets someone who waits no more.
    pub fn remove(&mut self, slot: WakerSlot) {
        self.first.take_if(|(at, _)| *at == slot);
        self.more.retain(|(at, _)| *at != slot);
    }

    /// Takes all of them. Each looks again, and waits again where it was if there is nothing.
    pub fn take(&mut self) -> WakeList {
        WakeList {
            first: self.first.take(),
            more: std::mem::take(&mut self.more),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }
}

impl WakeList {
    /// Wakes them.
    pub fn wake(self) {
        for (_, waker) in self.first.into_iter().chain(self.more) {
            waker.wake();
        }
    }
}

impl WakerSlot {
    /// Whether anyone was noted there.
    pub fn is_taken(self) -> bool {
        self != Self::default()
    }
}

/// Who holds the outlets of one stream, and who waits to put more into it.
#[derive(Default)]
pub struct StreamRefs {
    /// Sending ends that exist.
    pub count: usize,
    /// Those that wait for credit.
    pub waiting: WakerSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_kept_once_and_leaves_nothing() {
        let mut waiters = WakerSet::default();
        let (mut one, mut other) = (WakerSlot::default(), WakerSlot::default());
        for _ in 0..3 {
            waiters.wait(&mut one, Waker::noop());
            waiters.wait(&mut other, Waker::noop());
        }
        assert_eq!(waiters.len(), 2, "two futures of one task are two waits");
        waiters.remove(one);
        assert_eq!(waiters.len(), 1);
        waiters.take().wake();
        assert_eq!(waiters.len(), 0);
        waiters.wait(&mut other, Waker::noop());
        waiters.remove(other);
        assert_eq!(waiters.len(), 0);
    }
}
