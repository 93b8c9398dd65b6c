//! The calls that others make to functions of this context.
//!
//! Calls run one at a time in the order of their arrival (`S105`, `S180`); those marked
//! concurrent run beside them. A call whose image is still on its way waits, and so do those
//! behind it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use offshoot_abi::{CallErrorKind, CallFailure};

use crate::chains::{ChainKey, Chains};
use crate::control::{Bind, CallBody, CallOutcome};
use crate::id::{ContextId, Handle};
use crate::limits::{CALLS_CONCURRENT_MAX, CALLS_QUEUED_BYTES_MAX, CALLS_QUEUED_MAX};
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
    /// It fails, unrun: its image is not here, or an earlier call of its chain has failed
    /// (`B020`).
    Fail(Caller, CallFailure),
}

#[derive(Debug)]
struct Running {
    caller: Caller,
    concurrent: bool,
    chain: ChainKey,
}

#[derive(Debug, Default)]
pub(crate) struct CallQueue {
    serial: VecDeque<(ChainKey, Incoming)>,
    concurrent: VecDeque<(ChainKey, Incoming)>,
    queued_bytes: usize,
    running: Map<CallKey, Running>,
    serial_busy: bool,
    /// Calls that were taken back before they began. Empty unless someone cancels, so that the
    /// path of a call does not pay for it.
    cancelled: Set<Caller>,
    chains: Chains,
    next_key: u64,
}

impl CallQueue {
    /// Queues a call; refuses it when there are too many.
    #[must_use = "a call that was refused must be answered"]
    pub(crate) fn push(&mut self, call: Incoming) -> bool {
        let bytes = self.queued_bytes + call.body.arguments().len();
        if self.queued() >= CALLS_QUEUED_MAX || bytes > CALLS_QUEUED_BYTES_MAX {
            return false;
        }
        let Some(chain) = self.chains.join(call.caller.context, call.body.chain) else {
            return false;
        };
        self.queued_bytes = bytes;
        if call.body.concurrent {
            self.concurrent.push_back((chain, call));
        } else {
            self.serial.push_back((chain, call));
        }
        true
    }

    /// The next call that can go on, if one can.
    pub(crate) fn next(&mut self, readiness: impl Fn(&Bind) -> Readiness) -> Option<Next> {
        let concurrent = self.running.len() - usize::from(self.serial_busy);
        loop {
            let serial = !self.serial_busy && may_go(self.serial.front(), &readiness);
            let queue = if serial {
                &mut self.serial
            } else if concurrent < CALLS_CONCURRENT_MAX
                && may_go(self.concurrent.front(), &readiness)
            {
                &mut self.concurrent
            } else {
                return None;
            };
            let (chain, call) = queue.pop_front()?;
            self.queued_bytes -= call.body.arguments().len();
            let taken_back = !self.cancelled.is_empty() && self.cancelled.remove(&call.caller);
            if self.queued() == 0 {
                self.cancelled.clear();
            }
            if taken_back {
                self.chains.release(chain);
                continue;
            }
            if let Some(failure) = self.chains.failure(chain) {
                let failure = failure_of_later(failure);
                self.chains.release(chain);
                return Some(Next::Fail(call.caller, failure));
            }
            if readiness(&call.bind) == Readiness::Missing {
                let reason = "the plugin's image did not arrive whole: a context on the way \
                              damaged it, or had no room for it";
                let failure = CallFailure::new(CallErrorKind::CannotLoad, reason);
                self.chains.fail(chain, &failure);
                self.chains.release(chain);
                return Some(Next::Fail(call.caller, failure));
            }
            return Some(Next::Run(self.begin(&call, chain), call));
        }
    }

    /// Ends a running call; gives who waits for it.
    pub(crate) fn finish(&mut self, key: CallKey, outcome: &CallOutcome) -> Option<Caller> {
        let running = self.running.remove(&key)?;
        if let CallOutcome::Failed(failure) = outcome {
            self.chains.fail(running.chain, failure);
        }
        self.chains.release(running.chain);
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
        let waiting = self.serial.iter().chain(&self.concurrent);
        if waiting.map(|(_, call)| call.caller).any(|it| it == caller) {
            self.cancelled.insert(caller);
        }
        None
    }

    /// Notes that a call of a chain, which was refused, has failed.
    pub(crate) fn fail_chain(&mut self, caller: ContextId, chain: u64, failure: &CallFailure) {
        self.chains.fail_untaken(caller, chain, failure);
    }

    /// Forgets whether a chain has failed.
    pub(crate) fn forget_chain(&mut self, caller: ContextId, chain: u64) {
        self.chains.remove(caller, chain);
    }

    /// Calls that have not begun.
    pub(crate) fn queued(&self) -> usize {
        self.serial.len() + self.concurrent.len()
    }

    /// Calls that have begun and not ended.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Chains that have calls here, or that have failed and were not forgotten.
    pub(crate) fn chains(&self) -> usize {
        self.chains.len()
    }

    /// Bytes of arguments that wait, and calls that were taken back before they began.
    pub(crate) fn gauges(&self) -> (usize, usize) {
        (self.queued_bytes, self.cancelled.len())
    }

    fn begin(&mut self, call: &Incoming, chain: ChainKey) -> CallKey {
        let key = CallKey(self.next_key);
        self.next_key += 1;
        let concurrent = call.body.concurrent;
        self.serial_busy |= !concurrent;
        let running = Running {
            caller: call.caller,
            concurrent,
            chain,
        };
        self.running.insert(key, running);
        key
    }
}

/// How the calls behind one that failed so fail.
fn failure_of_later(failure: &CallFailure) -> CallFailure {
    match failure.kind {
        // They had time left, or no deadline.
        CallErrorKind::DeadlineExceeded => CallFailure::new(
            CallErrorKind::ChainTimedOut,
            "an earlier call of its chain did not end in time",
        ),
        _ => failure.clone(),
    }
}

fn may_go(front: Option<&(ChainKey, Incoming)>, readiness: impl Fn(&Bind) -> Readiness) -> bool {
    front.is_some_and(|(_, call)| readiness(&call.bind) != Readiness::OnItsWay)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::control::{CallHead, PluginLimits};

    fn call(reply_to: u64) -> Incoming {
        let bind = Bind {
            key: [0; 16],
            plugin: "p".into(),
            image: [0; 32],
            grants: Vec::new(),
            limits: PluginLimits::default(),
        };
        let head = CallHead {
            function: "f",
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

    fn run(queue: &mut CallQueue) -> Option<CallKey> {
        match queue.next(|_| Readiness::Ready)? {
            Next::Run(key, _) => Some(key),
            Next::Fail(..) => None,
        }
    }

    #[test]
    fn a_cancel_that_comes_too_late_does_not_stand_in_for_one_that_does_not() {
        let mut callee = CallQueue::default();
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
