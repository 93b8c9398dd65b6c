//! The handles that this context listens on, and how long.
//!
//! A handle is bound to its respondent: nobody else can answer in its place, and it ends with
//! the respondent. That, the deadline and the cancel are why no wait is without end.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use hashbrown::hash_map::Entry;

use crate::Map;
use crate::id::{ContextId, Handle};
use crate::limits::PENDING_MAX;
use crate::time::Instant;

/// What listens on a handle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    /// The only context that may send here; `None` lets anyone who may send to us at all.
    pub(crate) respondent: Option<ContextId>,
    /// Whether it stays after the first message.
    pub(crate) persist: bool,
    /// When it ends by itself.
    pub(crate) deadline: Option<Instant>,
    pub(crate) purpose: Purpose,
}

/// What a listener listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The answer to a call, which is cancelled when the wait ends early.
    Call,
    /// Whatever is sent there.
    Messages,
    /// Credit for what this context sends to that handle of the respondent.
    Credit(Handle),
}

/// Why a handle cannot be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoListener {
    Taken,
    TooMany,
}

#[derive(Debug)]
pub(crate) struct Handles {
    listeners: Map<Handle, Listener>,
    /// Entries of listeners that are gone are dropped when they come up, or when they prevail.
    deadlines: BinaryHeap<Reverse<(Instant, Handle)>>,
    next: u64,
    seed: u64,
}

/// Bits of a handle that count; the others are noise, so that a handle cannot be guessed from
/// its neighbours.
const COUNTER_BITS: u32 = 48;

impl Handles {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            listeners: Map::default(),
            deadlines: BinaryHeap::new(),
            next: Handle::FIRST_DYNAMIC,
            seed,
        }
    }

    /// Makes a handle; `None` when there are too many, or no numbers are left.
    pub(crate) fn listen(&mut self, listener: Listener) -> Option<Handle> {
        loop {
            if self.next >> COUNTER_BITS != 0 {
                return None;
            }
            let noise = mix(self.seed ^ self.next) << COUNTER_BITS;
            let handle = Handle(noise | self.next);
            self.next += 1;
            match self.listen_at(handle, listener) {
                Ok(()) => return Some(handle),
                // A program has chosen that number for itself.
                Err(NoListener::Taken) => {}
                Err(NoListener::TooMany) => return None,
            }
        }
    }

    /// Listens on a handle of the caller's choice.
    pub(crate) fn listen_at(
        &mut self,
        handle: Handle,
        listener: Listener,
    ) -> Result<(), NoListener> {
        if self.listeners.len() >= PENDING_MAX {
            return Err(NoListener::TooMany);
        }
        match self.listeners.entry(handle) {
            Entry::Occupied(_) => return Err(NoListener::Taken),
            Entry::Vacant(place) => place.insert(listener),
        };
        if let Some(deadline) = listener.deadline {
            self.arm(deadline, handle);
        }
        Ok(())
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<&Listener> {
        self.listeners.get(&handle)
    }

    pub(crate) fn remove(&mut self, handle: Handle) -> Option<Listener> {
        self.listeners.remove(&handle)
    }

    pub(crate) fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Handles on which programs listen, in order.
    pub(crate) fn all(&self) -> Vec<Handle> {
        let programs = |listener: &Listener| !matches!(listener.purpose, Purpose::Credit(_));
        let mut all: Vec<_> = self
            .listeners
            .iter()
            .filter(|(_, listener)| programs(listener))
            .map(|(&handle, _)| handle)
            .collect();
        all.sort_unstable();
        all
    }

    /// Handles whose respondent is one of `lost`, which must be sorted; in order of handles.
    pub(crate) fn of_respondents(&self, lost: &[ContextId]) -> Vec<(Handle, ContextId)> {
        let mut found: Vec<_> = self
            .listeners
            .iter()
            .filter_map(|(&handle, listener)| Some((handle, listener.respondent?)))
            .filter(|(_, respondent)| lost.binary_search(respondent).is_ok())
            .collect();
        found.sort_unstable();
        found
    }

    /// The next deadline of a listener that is still there.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, handle))) = self.deadlines.peek() {
            if self.listeners.contains_key(&handle) {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Removes a listener whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(Handle, Listener)> {
        if self.next_deadline()? > now {
            return None;
        }
        let Reverse((_, handle)) = self.deadlines.pop()?;
        Some((handle, self.listeners.remove(&handle)?))
    }

    fn arm(&mut self, deadline: Instant, handle: Handle) {
        // Without this, the heap would hold every call of the last timeout's length.
        const SLACK: usize = 1024;
        if self.deadlines.len() > 2 * self.listeners.len() + SLACK {
            let listeners = &self.listeners;
            self.deadlines
                .retain(|Reverse((_, handle))| listeners.contains_key(handle));
        }
        self.deadlines.push(Reverse((deadline, handle)));
    }
}

/// The finaliser of SplitMix64: spreads a counter over all bits.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn until(deadline: Instant) -> Listener {
        Listener {
            respondent: None,
            persist: false,
            deadline: Some(deadline),
            purpose: Purpose::Call,
        }
    }

    #[test]
    fn answered_calls_do_not_pile_up_until_their_deadlines() {
        let mut handles = Handles::new(1);
        let far = Instant(0) + Duration::from_secs(3600);
        for _ in 0..100_000 {
            let handle = handles.listen(until(far)).unwrap();
            handles.remove(handle);
        }
        assert!(
            handles.deadlines.len() < 3000,
            "{}",
            handles.deadlines.len()
        );
        assert_eq!(handles.next_deadline(), None);
    }

    #[test]
    fn s065_a_handle_that_is_taken_is_refused_and_never_allotted() {
        let mut handles = Handles::new(1);
        let listener = until(Instant(1));
        let chosen = Handle(mix(1 ^ Handle::FIRST_DYNAMIC) << COUNTER_BITS | Handle::FIRST_DYNAMIC);
        assert_eq!(handles.listen_at(chosen, listener), Ok(()));
        assert_eq!(handles.listen_at(chosen, listener), Err(NoListener::Taken));
        let allotted = handles.listen(listener).unwrap();
        assert_ne!(allotted, chosen);
    }

    #[test]
    fn numbers_run_out_instead_of_starting_again() {
        let mut handles = Handles::new(1);
        handles.next = (1 << COUNTER_BITS) - 1;
        assert!(handles.listen(until(Instant(1))).is_some());
        assert!(handles.listen(until(Instant(1))).is_none());
    }
}
