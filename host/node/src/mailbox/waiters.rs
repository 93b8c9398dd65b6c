//! Who is to be woken when something changes.
//!
//! A wait that is given up must leave nothing behind, not even its waker: that keeps a whole task
//! in memory, and a receiver that is polled with a timeout by many tasks may never hear of
//! anything that would wake them. So each wait has a place of its own to leave.

use std::task::Waker;

/// Those who wait for one thing.
#[derive(Default)]
pub struct Waiters {
    /// The only one there is, mostly.
    first: Option<(Place, Waker)>,
    more: Vec<(Place, Waker)>,
    last_place: u64,
}

/// Where a wait is kept; none at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(u64);

/// Those who have waited, to be woken outside of any lock.
#[must_use]
pub struct Woken {
    first: Option<(Place, Waker)>,
    more: Vec<(Place, Waker)>,
}

impl Waiters {
    /// Notes that someone waits; `place` is theirs until they [`leave`](Self::leave).
    pub fn wait(&mut self, place: &mut Place, waker: &Waker) {
        if *place == Place::default() {
            self.last_place += 1;
            *place = Place(self.last_place);
        }
        let mut known = self.first.iter_mut().chain(&mut self.more);
        if let Some((_, known)) = known.find(|(at, _)| at == place) {
            known.clone_from(waker);
        } else if self.first.is_none() {
            self.first = Some((*place, waker.clone()));
        } else {
            self.more.push((*place, waker.clone()));
        }
    }

    /// Forgets someone who waits no more.
    pub fn leave(&mut self, place: Place) {
        self.first.take_if(|(at, _)| *at == place);
        self.more.retain(|(at, _)| *at != place);
    }

    /// Takes all of them. Each looks again, and waits again where it was if there is nothing.
    pub fn take(&mut self) -> Woken {
        Woken {
            first: self.first.take(),
            more: std::mem::take(&mut self.more),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }
}

impl Woken {
    /// Wakes them.
    pub fn wake(self) {
        for (_, waker) in self.first.into_iter().chain(self.more) {
            waker.wake();
        }
    }
}

impl Place {
    /// Whether anyone was noted there.
    pub fn is_taken(self) -> bool {
        self != Self::default()
    }
}

/// Who holds the outlets of one stream, and who waits to put more into it.
#[derive(Default)]
pub struct Holders {
    /// Sending ends that exist.
    pub count: usize,
    /// Those that wait for credit.
    pub waiting: Waiters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_kept_once_and_leaves_nothing() {
        let mut waiters = Waiters::default();
        let (mut one, mut other) = (Place::default(), Place::default());
        for _ in 0..3 {
            waiters.wait(&mut one, Waker::noop());
            waiters.wait(&mut other, Waker::noop());
        }
        assert_eq!(waiters.len(), 2, "two futures of one task are two waits");
        waiters.leave(one);
        assert_eq!(waiters.len(), 1);
        waiters.take().wake();
        assert_eq!(waiters.len(), 0);
        waiters.wait(&mut other, Waker::noop());
        waiters.leave(other);
        assert_eq!(waiters.len(), 0);
    }
}
