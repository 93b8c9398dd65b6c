//! The calls that others make to functions of this context.
//!
//! Calls run one at a time in the order of their arrival (`S105`, `S180`); those marked
//! concurrent run beside them. A call whose image is still on its way waits, and so do those
//! behind it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use crate::control::{Bind, CallBody, CallFailure, CallOutcome};
use crate::id::{ContextId, Handle};
use crate::limits::{CALLS_CONCURRENT_MAX, CALLS_QUEUED_BYTES_MAX, CALLS_QUEUED_MAX, CHAINS_MAX};
use crate::{Map, Set};

/// Names a call that runs here. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// A call that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) bind: Arc<Bind>,
    pub(crate) body: CallBody,
}

/// Who waits for a call's outcome, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    pub(crate) context: ContextId,
    pub(crate) reply_to: Handle,
}

/// Whether a call's image is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    OnItsWay,
    Missing,
}

/// What is to be done with the next call.
#[derive(Debug)]
pub(crate) enum Next {
    Run(CallKey, Incoming),
    /// An earlier call of its chain has failed, and so it fails, unrun (`B020`).
    FailWithChain(Caller, CallFailure),
    FailWithoutImage(Incoming),
}

/// What waits for its turn.
#[derive(Debug)]
enum Queued {
    Call(Incoming),
    /// The word to forget how a chain has failed. It stands behind the chain's calls that came
    /// before it, which may fail yet.
    Forget(ContextId, u64),
}

#[derive(Debug)]
struct Running {
    caller: Caller,
    concurrent: bool,
    chain: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Callee {
    serial: VecDeque<Queued>,
    concurrent: VecDeque<Incoming>,
    queued_bytes: usize,
    running: Map<CallKey, Running>,
    serial_busy: bool,
    /// Calls that were taken back before they began. Empty unless someone cancels, so that the
    /// path of a call does not pay for it.
    cancelled: Set<Caller>,
    /// How chains of calls have failed, by who made them.
    failed_chains: Map<(ContextId, u64), CallFailure>,
    next_key: u64,
}

impl Callee {
    /// Queues a call; refuses it when there are too many.
    #[must_use = "a call that was refused must be answered"]
    pub(crate) fn push(&mut self, call: Incoming) -> bool {
        let bytes = self.queued_bytes + call.body.arguments().len();
        let chains = self.failed_chains.len();
        if self.queued() >= CALLS_QUEUED_MAX
            || bytes > CALLS_QUEUED_BYTES_MAX
            || call.body.chain != 0 && chains >= CHAINS_MAX
        {
            return false;
        }
        self.queued_bytes = bytes;
        if call.body.concurrent {
            self.concurrent.push_back(call);
        } else {
            self.serial.push_back(Queued::Call(call));
        }
        true
    }

    /// The next call that can go on, if one can.
    pub(crate) fn next(&mut self, readiness: impl Fn(&Bind) -> Readiness) -> Option<Next> {
        let concurrent = self.running.len() - usize::from(self.serial_busy);
        loop {
            let serial = match self.serial.front() {
                _ if self.serial_busy => false,
                Some(Queued::Call(call)) => may_go(call, &readiness),
                Some(&Queued::Forget(caller, chain)) => {
                    self.serial.pop_front();
                    self.failed_chains.remove(&(caller, chain));
                    continue;
                }
                None => false,
            };
            let call = if serial {
                match self.serial.pop_front()? {
                    Queued::Call(call) => call,
                    Queued::Forget(..) => continue,
                }
            } else if concurrent < CALLS_CONCURRENT_MAX
                && (self.concurrent.front()).is_some_and(|call| may_go(call, &readiness))
            {
                self.concurrent.pop_front()?
            } else {
                return None;
            };
            self.queued_bytes -= call.body.arguments().len();
            let taken_back = !self.cancelled.is_empty() && self.cancelled.remove(&call.caller);
            if self.queued() == 0 {
                self.cancelled.clear();
            }
            if taken_back {
                continue;
            }
            let chain = (call.caller.context, call.body.chain);
            if let Some(failure) = self.failed_chains.get(&chain) {
                return Some(Next::FailWithChain(call.caller, failure.clone()));
            }
            if readiness(&call.bind) == Readiness::Missing {
                return Some(Next::FailWithoutImage(call));
            }
            return Some(Next::Run(self.begin(&call), call));
        }
    }

    /// Ends a running call; gives who waits for it.
    pub(crate) fn finish(&mut self, key: CallKey, outcome: &CallOutcome) -> Option<Caller> {
        let running = self.running.remove(&key)?;
        if let CallOutcome::Failed(failure) = outcome {
            self.fail_chain(running.caller.context, running.chain, failure);
        }
        if !running.concurrent {
            self.serial_busy = false;
        }
        Some(running.caller)
    }

    /// Takes a call back; gives its key when it already runs.
    pub(crate) fn cancel(&mut self, caller: Caller) -> Option<CallKey> {
        let running = self
            .running
            .iter()
            .find(|(_, running)| running.caller == caller);
        if let Some((&key, _)) = running {
            return Some(key);
        }
        // One that has ended already must not take the place of one that waits.
        let serial = self.serial.iter().filter_map(|queued| match queued {
            Queued::Call(call) => Some(call),
            Queued::Forget(..) => None,
        });
        let mut waiting = serial.chain(&self.concurrent);
        if waiting.any(|call| call.caller == caller) {
            self.cancelled.insert(caller);
        }
        None
    }

    /// Notes that a call of a chain has failed. No call of a new chain is taken while there are
    /// too many of these, so those that were taken before are all that can come on top.
    pub(crate) fn fail_chain(&mut self, caller: ContextId, chain: u64, failure: &CallFailure) {
        if chain != 0 && self.failed_chains.len() <= CHAINS_MAX + CALLS_QUEUED_MAX {
            let first = self.failed_chains.entry((caller, chain));
            first.or_insert_with(|| failure.clone());
        }
    }

    /// Forgets whether a chain has failed, once its calls that came before are over. Says whether
    /// there was room to note that.
    #[must_use = "without room it must be refused"]
    pub(crate) fn forget_chain(&mut self, caller: ContextId, chain: u64) -> bool {
        if !self.serial_busy && self.serial.is_empty() {
            self.failed_chains.remove(&(caller, chain));
            return true;
        }
        let room = self.queued() < CALLS_QUEUED_MAX;
        if room {
            self.serial.push_back(Queued::Forget(caller, chain));
        }
        room
    }

    /// Calls that have not begun.
    pub(crate) fn queued(&self) -> usize {
        self.serial.len() + self.concurrent.len()
    }

    /// Calls that have begun and not ended.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Chains that have failed and were not forgotten.
    pub(crate) fn chains(&self) -> usize {
        self.failed_chains.len()
    }

    /// Bytes of arguments that wait, and calls that were taken back before they began.
    pub(crate) fn gauges(&self) -> (usize, usize) {
        (self.queued_bytes, self.cancelled.len())
    }

    fn begin(&mut self, call: &Incoming) -> CallKey {
        let key = CallKey(self.next_key);
        self.next_key += 1;
        let concurrent = call.body.concurrent;
        self.serial_busy |= !concurrent;
        let running = Running {
            caller: call.caller,
            concurrent,
            chain: call.body.chain,
        };
        self.running.insert(key, running);
        key
    }
}

fn may_go(call: &Incoming, readiness: impl Fn(&Bind) -> Readiness) -> bool {
    readiness(&call.bind) != Readiness::OnItsWay
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::control::{CallHead, PluginLimits};

    fn call(reply_to: u64) -> Incoming {
        call_of_chain(reply_to, 0)
    }

    fn call_of_chain(reply_to: u64, chain: u64) -> Incoming {
        let bind = Bind {
            key: [0; 16],
            plugin: "p".into(),
            image: [0; 32],
            grants: Vec::new(),
            limits: PluginLimits::default(),
        };
        let head = CallHead {
            function: "f",
            chain,
            ..CallHead::default()
        };
        let body = head.start(0);
        Incoming {
            caller: caller(reply_to),
            bind: bind.into(),
            body: CallBody::parse(body.into()).unwrap(),
        }
    }

    const VALUE: CallOutcome = CallOutcome::Value(bytes::Bytes::new());

    fn caller(reply_to: u64) -> Caller {
        Caller {
            context: ContextId::CONTROLLER,
            reply_to: Handle(reply_to),
        }
    }

    fn run(callee: &mut Callee) -> Option<CallKey> {
        match callee.next(|_| Readiness::Ready)? {
            Next::Run(key, _) => Some(key),
            Next::FailWithoutImage(_) | Next::FailWithChain(..) => None,
        }
    }

    #[test]
    fn b020_a_chain_is_forgotten_after_its_calls_that_came_before() {
        let mut callee = Callee::default();
        for number in 1..=2 {
            assert!(callee.push(call_of_chain(number, 7)));
        }
        let first = run(&mut callee).unwrap();
        assert!(callee.forget_chain(ContextId::CONTROLLER, 7));
        assert!(callee.push(call_of_chain(3, 7)));
        let failed = CallOutcome::Failed(CallFailure::SignatureMismatch);
        callee.finish(first, &failed);
        let next = callee.next(|_| Readiness::Ready);
        assert!(matches!(next, Some(Next::FailWithChain(it, _)) if it == caller(2)));
        let third = run(&mut callee).expect("the third call begins anew");
        callee.finish(third, &failed);
        assert!(callee.forget_chain(ContextId::CONTROLLER, 7));
        assert!(callee.failed_chains.is_empty());
        assert_eq!(callee.queued(), 0);
    }

    #[test]
    fn a_cancel_that_comes_too_late_does_not_stand_in_for_one_that_does_not() {
        let mut callee = Callee::default();
        for number in 1..=3 {
            assert!(callee.push(call(number)));
        }
        let first = run(&mut callee).unwrap();
        callee.finish(first, &VALUE);
        let second = run(&mut callee).unwrap();
        assert_eq!(callee.cancel(caller(1)), None);
        assert_eq!(callee.cancel(caller(3)), None);
        callee.finish(second, &VALUE);
        assert_eq!(run(&mut callee), None, "the third was taken back");
        assert_eq!(callee.gauges(), (0, 0));
    }
}
