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
use crate::index::Index;
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
    /// The answer to another request of this node's.
    Answer,
    /// Whatever programs send there.
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
    /// Those with a respondent, by that.
    by_respondent: Index<ContextId, Handle>,
    /// Entries of listeners that are gone are dropped when they come up, or when they prevail.
    deadlines: BinaryHeap<Reverse<(Instant, Handle)>>,
    /// Counts the handles that were made.
    made: u64,
    seed: u64,
}

impl Handles {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            listeners: Map::default(),
            by_respondent: Index::default(),
            deadlines: BinaryHeap::new(),
            made: 0,
            seed,
        }
    }

    /// Makes a handle; `None` when there are too many.
    pub(crate) fn listen(&mut self, listener: Listener) -> Option<Handle> {
        loop {
            let handle = self.next();
            match self.listen_at(handle, listener) {
                Ok(()) => return Some(handle),
                // A program has chosen that number for itself, or chance has.
                Err(NoListener::Taken) => {}
                Err(NoListener::TooMany) => return None,
            }
        }
    }

    /// A number that nobody can tell from those before it: all 64 bits depend on the seed.
    fn next(&mut self) -> Handle {
        loop {
            self.made = self.made.wrapping_add(1);
            let handle = siphash([self.seed, SEED_SUFFIX], self.made);
            if handle >= Handle::FIRST_DYNAMIC {
                return Handle(handle);
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
        if let Some(respondent) = listener.respondent {
            self.by_respondent.insert(respondent, handle);
        }
        if let Some(deadline) = listener.deadline {
            self.arm(deadline, handle);
        }
        Ok(())
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<&Listener> {
        self.listeners.get(&handle)
    }

    pub(crate) fn remove(&mut self, handle: Handle) -> Option<Listener> {
        let listener = self.listeners.remove(&handle)?;
        if let Some(respondent) = listener.respondent {
            self.by_respondent.remove(respondent, handle);
        }
        Some(listener)
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

    /// Handles whose respondent is one of `lost`, in order of handles.
    pub(crate) fn of_respondents(&self, lost: &[ContextId]) -> Vec<(Handle, ContextId)> {
        let of = |&id: &ContextId| self.by_respondent.get(id).map(move |handle| (handle, id));
        let mut found: Vec<_> = lost.iter().flat_map(of).collect();
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
        Some((handle, self.remove(handle)?))
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

/// The other half of the key; any number will do.
const SEED_SUFFIX: u64 = 0x6f66_6673_686f_6f74;

/// SipHash-2-4 of the eight bytes of `word`.
fn siphash(key: [u64; 2], word: u64) -> u64 {
    /// Eight bytes were hashed.
    const LENGTH: u64 = 8 << 56;
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for block in [word, LENGTH] {
        state[3] ^= block;
        sip_rounds(&mut state, 2);
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    sip_rounds(&mut state, 4);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn sip_rounds([a, b, c, d]: &mut [u64; 4], rounds: u32) {
    for _ in 0..rounds {
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
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

    /// With a look at each handle for each loss this would not end.
    #[test]
    fn l2_a_loss_looks_only_at_the_handles_of_what_is_lost() {
        let mut handles = Handles::new(1);
        for id in 0..100_000 {
            let listener = Listener {
                respondent: Some(ContextId(id)),
                ..until(Instant(1))
            };
            handles.listen(listener).unwrap();
        }
        for id in 0..100_000 {
            let found = handles.of_respondents(&[ContextId(id)]);
            assert_eq!((found.len(), found[0].1), (1, ContextId(id)));
            handles.remove(found[0].0);
        }
        assert!(handles.by_respondent.is_empty());
    }

    #[test]
    fn s065_a_handle_that_is_taken_is_refused_and_never_allotted() {
        let mut handles = Handles::new(1);
        let listener = until(Instant(1));
        let chosen = Handles::new(1).next();
        assert_eq!(handles.listen_at(chosen, listener), Ok(()));
        assert_eq!(handles.listen_at(chosen, listener), Err(NoListener::Taken));
        let allotted = handles.listen(listener).unwrap();
        assert_ne!(allotted, chosen);
    }

    #[test]
    fn numbers_are_those_of_siphash() {
        // The reference's key and its vector for eight bytes.
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(siphash(key, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn t8_a_handle_says_nothing_about_the_next() {
        let mut handles = Handles::new(1);
        let made: Vec<u64> = (0..1000).map(|_| handles.next().0).collect();
        // Each bit is set in about half of them, and differs from the last in about half.
        for bit in 0..64 {
            let is_set = |handle: &&u64| **handle >> bit & 1 == 1;
            let set = made.iter().filter(is_set).count();
            let flips = made.windows(2).map(|two| two[0] ^ two[1]);
            let flipped = flips.filter(|flip| is_set(&flip)).count();
            assert!((400..600).contains(&set), "bit {bit}: {set}");
            assert!((400..600).contains(&flipped), "bit {bit}: {flipped}");
        }
    }
}
