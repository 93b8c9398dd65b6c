//! The calls that others make to functions of this context.
//!
//! Calls run one at a time in the order of their arrival; those marked
//! concurrent run beside them. A call whose image is still on its way waits, and so do those
//! behind it. A call that is cancelled, or whose deadline passes, while it waits is not run.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::sync::Arc;
use core::cmp::Reverse;

use offshoot_abi::{CallErrorKind, CallFailure};

use crate::Map;
use crate::chains::{ChainKey, Chains};
use crate::control::{Bind, CallBody, CallOutcome};
use crate::id::{ContextId, Handle};
use crate::limits::{CALLS_CONCURRENT_MAX, CALLS_QUEUED_BYTES_MAX, CALLS_QUEUED_MAX};
use crate::time::Instant;

/// Names a call that runs here. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// A call that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) bind: Arc<Bind>,
    pub(crate) body: CallBody,
    /// When it must be over, from the moment of its arrival.
    pub(crate) deadline: Option<Instant>,
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
    /// It fails, unrun: its time is up, its image is not here, or an earlier call of its chain has
    /// failed.
    Fail(Caller, CallFailure),
}

#[derive(Debug)]
struct Running {
    caller: Caller,
    concurrent: bool,
    chain: ChainKey,
}

/// A place in the queue.
#[derive(Debug)]
struct Queued {
    number: u64,
    chain: ChainKey,
    call: QueuedCall,
}

#[derive(Debug)]
enum QueuedCall {
    Waiting(Incoming),
    Cancelled,
    /// Its time was up. Its chain fails once all that is in front of it has begun.
    Expired,
}

impl Queued {
    fn waiting(&self) -> Option<&Incoming> {
        match &self.call {
            QueuedCall::Waiting(call) => Some(call),
            QueuedCall::Cancelled | QueuedCall::Expired => None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct CallQueue {
    serial: VecDeque<Queued>,
    concurrent: VecDeque<Queued>,
    queued_bytes: usize,
    running: Map<CallKey, Running>,
    serial_busy: bool,
    /// Numbers of the calls that wait, for those that cancel them. A call that begins at once is
    /// not entered, so that the path of a call does not pay for it.
    waiting: Map<Caller, u64>,
    /// Their deadlines. Entries of calls that wait no more are dropped when they come up, or when
    /// they prevail.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    chains: Chains,
    last_number: u64,
    next_key: u64,
}

impl CallQueue {
    /// Queues a call; refuses it when there are too many. [`enter_last`](Self::enter_last) follows,
    /// once it has had its chance to begin.
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
        self.last_number += 1;
        let queue = match call.body.concurrent {
            true => &mut self.concurrent,
            false => &mut self.serial,
        };
        queue.push_back(Queued {
            number: self.last_number,
            chain,
            call: QueuedCall::Waiting(call),
        });
        true
    }

    /// Notes the caller and the deadline of the call that was queued last, if it still waits.
    pub(crate) fn enter_last(&mut self) {
        let last = [&self.serial, &self.concurrent]
            .into_iter()
            .filter_map(|queue| queue.back())
            .find(|queued| queued.number == self.last_number);
        let Some((number, call)) = last.and_then(|it| Some((it.number, it.waiting()?))) else {
            return;
        };
        if call.caller.reply_to != Handle::NONE {
            self.waiting.insert(call.caller, number);
        }
        if let Some(deadline) = call.deadline {
            self.arm(deadline, number);
        }
    }

    /// The next call that can go on, if one can.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        readiness: impl Fn(&Bind) -> Readiness,
    ) -> Option<Next> {
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
            let Queued {
                number,
                chain,
                call,
            } = queue.pop_front()?;
            let QueuedCall::Waiting(call) = call else {
                self.end_unrun(chain, &call);
                continue;
            };
            self.remove_waiting(number, &call);
            if let Some(failure) = self.failure_of(&call, chain, now, &readiness) {
                self.chains.fail(chain, &failure);
                self.chains.release(chain);
                return Some(Next::Fail(call.caller, failure));
            }
            return Some(Next::Run(self.begin(&call, chain), call));
        }
    }

    /// Why a call cannot begin.
    fn failure_of(
        &self,
        call: &Incoming,
        chain: ChainKey,
        now: Instant,
        readiness: impl Fn(&Bind) -> Readiness,
    ) -> Option<CallFailure> {
        if let Some(failure) = self.chains.failure(chain) {
            return Some(failure_of_later(failure));
        }
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return Some(time_is_up());
        }
        let reason = "the plugin's image did not arrive whole: a context on the way damaged it, or \
                      had no room for it";
        (readiness(&call.bind) == Readiness::Missing)
            .then(|| CallFailure::new(CallErrorKind::CannotLoad, reason))
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

    /// Cancels a call; gives its key when it already runs.
    pub(crate) fn cancel(&mut self, caller: Caller) -> Option<CallKey> {
        if let Some(number) = self.waiting.get(&caller).copied() {
            self.take(number, QueuedCall::Cancelled);
            return None;
        }
        let mut running = self.running.iter();
        let (&key, _) = running.find(|(_, running)| running.caller == caller)?;
        Some(key)
    }

    /// The deadline of a call that waits which passes next.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, number))) = self.deadlines.peek() {
            if self.is_waiting(number) {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Ends a call that waits and whose deadline has passed; gives who waits for it.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(Caller, CallFailure)> {
        if self.next_deadline()? > now {
            return None;
        }
        let Reverse((_, number)) = self.deadlines.pop()?;
        let call = self.take(number, QueuedCall::Expired)?;
        Some((call.caller, time_is_up()))
    }

    /// Takes a call that waits out of its place in the queue.
    fn take(&mut self, number: u64, end: QueuedCall) -> Option<Incoming> {
        let (queue, at) = self.position(number)?;
        let QueuedCall::Waiting(call) = core::mem::replace(&mut queue[at].call, end) else {
            return None;
        };
        self.remove_waiting(number, &call);
        Some(call)
    }

    /// A call that has ended before it could begin has come to the front.
    fn end_unrun(&mut self, chain: ChainKey, call: &QueuedCall) {
        if matches!(call, QueuedCall::Expired) {
            self.chains.fail(chain, &time_is_up());
        }
        self.chains.release(chain);
    }

    /// Where a call waits. Each queue is in the order of its numbers.
    fn position(&mut self, number: u64) -> Option<(&mut VecDeque<Queued>, usize)> {
        [&mut self.serial, &mut self.concurrent]
            .into_iter()
            .find_map(|queue| {
                let found = queue.binary_search_by_key(&number, |queued| queued.number);
                Some((queue, found.ok()?))
            })
    }

    fn is_waiting(&mut self, number: u64) -> bool {
        let position = self.position(number);
        position.is_some_and(|(queue, at)| queue[at].waiting().is_some())
    }

    fn remove_waiting(&mut self, number: u64, call: &Incoming) {
        self.queued_bytes -= call.body.arguments().len();
        if !self.waiting.is_empty() && self.waiting.get(&call.caller) == Some(&number) {
            self.waiting.remove(&call.caller);
        }
    }

    fn arm(&mut self, deadline: Instant, number: u64) {
        // Without this, the heap would hold every call that has ever waited until its deadline.
        const SLACK: usize = 1024;
        if self.deadlines.len() > 2 * self.queued() + SLACK {
            let mut deadlines = core::mem::take(&mut self.deadlines);
            deadlines.retain(|&Reverse((_, number))| self.is_waiting(number));
            self.deadlines = deadlines;
        }
        self.deadlines.push(Reverse((deadline, number)));
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

    /// Bytes of arguments that wait, and callers that may cancel a call that waits.
    pub(crate) fn gauges(&self) -> (usize, usize) {
        (self.queued_bytes, self.waiting.len())
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

fn time_is_up() -> CallFailure {
    let reason = "its time was up before it could begin";
    CallFailure::new(CallErrorKind::DeadlineExceeded, reason)
}

fn may_go(front: Option<&Queued>, readiness: impl Fn(&Bind) -> Readiness) -> bool {
    let waits_for_image = |call: &Incoming| readiness(&call.bind) == Readiness::OnItsWay;
    front.is_some_and(|queued| !queued.waiting().is_some_and(waits_for_image))
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
            deadline: None,
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
        match queue.next(Instant(0), |_| Readiness::Ready)? {
            Next::Run(key, _) => Some(key),
            Next::Fail(..) => None,
        }
    }

    fn push(queue: &mut CallQueue, call: Incoming) {
        assert!(queue.push(call));
        queue.enter_last();
    }

    #[test]
    fn a_cancel_that_comes_too_late_does_not_stand_in_for_one_that_does_not() {
        let mut queue = CallQueue::default();
        for number in 1..=3 {
            push(&mut queue, call(number));
        }
        let first = run(&mut queue).unwrap();
        queue.finish(first, &VALUE);
        let second = run(&mut queue).unwrap();
        assert_eq!(queue.cancel(caller(1)), None);
        assert_eq!(queue.cancel(caller(3)), None);
        queue.finish(second, &VALUE);
        assert_eq!(run(&mut queue), None, "the third was cancelled");
        assert_eq!((queue.gauges(), queue.queued()), ((0, 0), 0));
    }

    #[test]
    fn l9_a_call_that_waits_ends_at_its_deadline_and_is_not_begun() {
        let mut queue = CallQueue::default();
        push(&mut queue, call(1));
        let first = run(&mut queue).unwrap();
        for (number, deadline) in [(2, 50), (3, 40), (4, 60)] {
            let deadline = Some(Instant(deadline));
            push(
                &mut queue,
                Incoming {
                    deadline,
                    ..call(number)
                },
            );
        }
        push(&mut queue, call(5));
        assert_eq!(queue.next_deadline(), Some(Instant(40)));
        assert!(queue.expire(Instant(39)).is_none());
        let (ended, failure) = queue.expire(Instant(50)).unwrap();
        assert_eq!(
            (ended, failure.kind),
            (caller(3), CallErrorKind::DeadlineExceeded)
        );
        assert_eq!(queue.expire(Instant(50)).unwrap().0, caller(2));
        assert!(queue.expire(Instant(50)).is_none());
        queue.finish(first, &VALUE);
        // The timer may be late; the fourth is not begun all the same.
        let next = queue.next(Instant(60), |_| Readiness::Ready);
        assert!(
            matches!(next, Some(Next::Fail(it, _)) if it == caller(4)),
            "{next:?}"
        );
        assert!(run(&mut queue).is_some(), "the fifth has no deadline");
        assert_eq!((queue.next_deadline(), queue.gauges()), (None, (0, 0)));
    }

    #[test]
    fn l9_deadlines_of_calls_that_have_begun_do_not_pile_up() {
        let mut queue = CallQueue::default();
        push(&mut queue, call(1));
        for number in 2..100_000 {
            let deadline = Some(Instant(u64::MAX));
            push(
                &mut queue,
                Incoming {
                    deadline,
                    ..call(number)
                },
            );
            let key = run(&mut queue).unwrap();
            queue.finish(key, &VALUE);
        }
        assert!(queue.deadlines.len() < 3000, "{}", queue.deadlines.len());
    }

    #[test]
    fn l9_a_call_in_front_of_one_whose_time_was_up_begins_all_the_same() {
        let mut queue = CallQueue::default();
        push(&mut queue, call(1));
        let first = run(&mut queue).unwrap();
        let chained = |number, deadline| {
            let head = CallHead {
                function: "f",
                chain: 7,
                ..CallHead::default()
            };
            Incoming {
                body: CallBody::parse(head.start(0).into()).unwrap(),
                deadline,
                ..call(number)
            }
        };
        push(&mut queue, chained(2, None));
        push(&mut queue, chained(3, Some(Instant(50))));
        push(&mut queue, chained(4, None));
        assert_eq!(queue.expire(Instant(50)).unwrap().0, caller(3));
        queue.finish(first, &VALUE);
        let second = run(&mut queue).unwrap();
        queue.finish(second, &VALUE);
        let Some(Next::Fail(behind, failure)) = queue.next(Instant(50), |_| Readiness::Ready)
        else {
            panic!("the call behind began");
        };
        assert_eq!(
            (behind, failure.kind),
            (caller(4), CallErrorKind::ChainTimedOut)
        );
    }

    #[test]
    fn l20_calls_behind_one_whose_time_was_up_say_that() {
        let mut queue = CallQueue::default();
        let head = CallHead {
            function: "f",
            chain: 7,
            ..CallHead::default()
        };
        let mut chained = Incoming {
            body: CallBody::parse(head.start(0).into()).unwrap(),
            ..call(1)
        };
        push(&mut queue, chained.clone());
        let first = run(&mut queue).unwrap();
        chained.caller = caller(2);
        push(&mut queue, chained);
        queue.finish(first, &CallOutcome::Failed(time_is_up()));
        let Some(Next::Fail(_, failure)) = queue.next(Instant(0), |_| Readiness::Ready) else {
            panic!("the second call began");
        };
        assert_eq!(failure.kind, CallErrorKind::ChainTimedOut);
    }
}
