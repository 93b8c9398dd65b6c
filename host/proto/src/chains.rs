//! Chains of calls: after one has failed, those behind it fail like it, unrun.
//!
//! A caller may forget a chain while calls of it still wait. They belong together all the same,
//! and what the caller makes next under that number is another chain.

use hashbrown::hash_map::Entry;
use offshoot_abi::CallFailure;

use crate::Map;
use crate::id::ContextId;
use crate::limits::CHAINS_MAX;

/// Names a chain here. Never used twice; 0 is no chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ChainKey(u64);

#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// What the callers' numbers stand for at present.
    current: Map<(ContextId, u64), ChainKey>,
    chains: Map<ChainKey, Chain>,
    /// How many of them have no calls: those that have failed.
    idle: usize,
    last_key: u64,
}

#[derive(Debug)]
struct Chain {
    name: (ContextId, u64),
    /// Calls that wait or run.
    calls: usize,
    failure: Option<CallFailure>,
}

impl Chains {
    /// A call has come; `None` when too many have failed to add one.
    pub(crate) fn join(&mut self, caller: ContextId, chain: u64) -> Option<ChainKey> {
        if chain == 0 {
            return Some(ChainKey::default());
        }
        let key = self.key(caller, chain)?;
        let chain = self.chains.get_mut(&key)?;
        self.idle -= usize::from(chain.calls == 0);
        chain.calls += 1;
        Some(key)
    }

    /// A call has ended, or will not run.
    pub(crate) fn release(&mut self, key: ChainKey) {
        if let Some(chain) = self.chains.get_mut(&key) {
            chain.calls -= 1;
            self.idle += usize::from(chain.calls == 0);
            self.tidy(key);
        }
    }

    /// A call of a chain has failed.
    pub(crate) fn fail(&mut self, key: ChainKey, failure: &CallFailure) {
        if let Some(chain) = self.chains.get_mut(&key) {
            chain.failure.get_or_insert_with(|| failure.clone());
        }
    }

    /// A call of a chain could not even be taken.
    pub(crate) fn fail_untaken(&mut self, caller: ContextId, chain: u64, failure: &CallFailure) {
        if chain != 0
            && let Some(key) = self.key(caller, chain)
        {
            self.fail(key, failure);
        }
    }

    /// How a chain has failed, if it has.
    pub(crate) fn failure(&self, key: ChainKey) -> Option<&CallFailure> {
        self.chains.get(&key)?.failure.as_ref()
    }

    /// The caller makes no more calls of a chain.
    pub(crate) fn remove(&mut self, caller: ContextId, chain: u64) {
        if let Some(key) = self.current.remove(&(caller, chain)) {
            self.tidy(key);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.chains.len()
    }

    fn key(&mut self, caller: ContextId, chain: u64) -> Option<ChainKey> {
        let name = (caller, chain);
        let place = match self.current.entry(name) {
            Entry::Occupied(known) => return Some(*known.get()),
            Entry::Vacant(place) => place,
        };
        if self.idle >= CHAINS_MAX {
            return None;
        }
        self.last_key += 1;
        let key = *place.insert(ChainKey(self.last_key));
        let chain = Chain {
            name,
            calls: 0,
            failure: None,
        };
        self.chains.insert(key, chain);
        self.idle += 1;
        Some(key)
    }

    /// Drops a chain that has nothing to remember.
    fn tidy(&mut self, key: ChainKey) {
        let Some(chain) = self.chains.get(&key) else {
            return;
        };
        let forgotten = self.current.get(&chain.name) != Some(&key);
        if chain.calls > 0 || chain.failure.is_some() && !forgotten {
            return;
        }
        if !forgotten {
            self.current.remove(&chain.name);
        }
        self.chains.remove(&key);
        self.idle -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use offshoot_abi::CallErrorKind;

    const CALLER: ContextId = ContextId::CONTROLLER;

    fn cancelled() -> CallFailure {
        CallFailure::new(CallErrorKind::Cancelled, "")
    }

    #[test]
    fn b020_a_chain_that_is_forgotten_while_its_calls_wait_leaves_nothing() {
        let mut chains = Chains::default();
        let calls = [1, 1, 2].map(|chain| chains.join(CALLER, chain).unwrap());
        chains.remove(CALLER, 1);
        let anew = chains.join(CALLER, 1).unwrap();
        chains.fail(calls[0], &cancelled());
        chains.release(calls[0]);
        assert!(chains.failure(calls[1]).is_some(), "they belong together");
        assert_eq!(chains.failure(anew), None);
        for key in [calls[1], calls[2], anew] {
            chains.release(key);
        }
        assert_eq!((chains.len(), chains.current.len(), chains.idle), (0, 0, 0));
    }

    #[test]
    fn b020_a_failure_is_remembered_until_the_chain_is_forgotten() {
        let mut chains = Chains::default();
        let key = chains.join(CALLER, 1).unwrap();
        chains.fail(key, &cancelled());
        chains.release(key);
        let next = chains.join(CALLER, 1).unwrap();
        assert!(chains.failure(next).is_some());
        chains.release(next);
        chains.remove(CALLER, 1);
        assert_eq!((chains.len(), chains.current.len(), chains.idle), (0, 0, 0));
    }

    #[test]
    fn t5_only_so_many_failures_are_remembered() {
        let mut chains = Chains::default();
        for chain in 1..=2 * CHAINS_MAX as u64 {
            chains.join(CALLER, chain).unwrap();
        }
        for chain in 1..=CHAINS_MAX as u64 {
            let key = chains.current[&(CALLER, chain)];
            chains.fail(key, &cancelled());
            chains.release(key);
        }
        assert_eq!(chains.join(CALLER, u64::MAX), None);
        assert!(chains.join(CALLER, 1).is_some(), "those there go on");
        assert_eq!(chains.join(CALLER, 0), Some(ChainKey::default()));
    }
}
