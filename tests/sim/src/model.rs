//! The reference: what may become of each call, from what happened to the contexts on its way.
//!
//! It knows no queues, routes or frames. A call to a healthy context must yield its value; one
//! whose way was broken may fail, and must not have run if the failure says so.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use offshoot_abi::CallErrorKind;
use offshoot_proto::control::CallOutcome;
use offshoot_proto::{Body, Dead, DeadKind, Handle};

/// What a caller waits beyond a call's own timeout (as in `host/proto`).
pub(crate) const GRACE: u64 = 500_000;

/// What the call's function is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Return,
    Fail,
    /// Its plugin's image is nowhere.
    Missing,
}

#[derive(Debug)]
pub(crate) struct Call {
    /// The process that called, and the one that is called.
    pub(crate) caller: usize,
    pub(crate) callee: usize,
    pub(crate) handle: Handle,
    pub(crate) concurrent: bool,
    /// The chain that it belongs to, or 0.
    pub(crate) chain: u64,
    pub(crate) arguments: usize,
    pub(crate) result: usize,
    pub(crate) plan: Plan,
    /// When the caller gives up.
    pub(crate) due: Option<u64>,
    pub(crate) runs: u32,
    /// The function has returned: the answer may be that.
    pub(crate) returned: bool,
    pub(crate) end: Option<End>,
}

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    /// It failed, and whether it may have run was said.
    Lost {
        may_have_run: bool,
    },
    Expired,
    Forgotten,
    /// It never left.
    NotSent,
    /// Its caller does not want to know.
    NotAwaited,
}

/// How healthy the way of a call is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Healthy,
    /// A context or a link on it is gone or going.
    Broken,
    /// A context on it, or the callee, is evil: it may answer anything.
    Evil,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) calls: Vec<Call>,
    by_handle: BTreeMap<(usize, Handle), usize>,
    /// The last serial call that ran, by caller and callee.
    last_serial: BTreeMap<(usize, usize), usize>,
    /// Chains of calls that have failed: caller, callee and number.
    failed_chains: BTreeSet<(usize, usize, u64)>,
}

pub(crate) type Verdict = Result<(), String>;

impl Model {
    /// Notes a call; gives its number.
    pub(crate) fn add(&mut self, call: Call) -> usize {
        let number = self.calls.len();
        if call.end.is_none() {
            self.by_handle.insert((call.caller, call.handle), number);
        }
        self.calls.push(call);
        number
    }

    /// The call that waits, or waited, on a handle.
    pub(crate) fn by_handle(&self, caller: usize, handle: Handle) -> Option<usize> {
        self.by_handle.get(&(caller, handle)).copied()
    }

    /// Calls of `caller` that have not ended.
    pub(crate) fn pending(&self, caller: usize) -> impl Iterator<Item = usize> {
        let calls = self.calls.iter().enumerate();
        calls
            .filter(move |(_, call)| call.caller == caller && call.end.is_none())
            .map(|(number, _)| number)
    }

    /// The call is run by `callee`.
    pub(crate) fn run(&mut self, number: usize, callee: usize) -> Verdict {
        let call = self
            .calls
            .get_mut(number)
            .ok_or("a run of a call that nobody made")?;
        call.runs += 1;
        if call.callee != callee {
            return Err(format!("call {number} ran in process {callee}: {call:?}"));
        }
        if call.runs > 1 {
            return Err(format!("call {number} ran twice: {call:?}"));
        }
        match call.end {
            Some(End::NotSent) => return Err(format!("call {number} ran and was never sent")),
            Some(End::Lost {
                may_have_run: false,
            }) => {
                return Err(format!(
                    "call {number} ran after it was said that it had not"
                ));
            }
            _ => {}
        }
        if self
            .failed_chains
            .contains(&(call.caller, call.callee, call.chain))
        {
            return Err(format!("call {number} ran after its chain had failed"));
        }
        if call.plan == Plan::Missing {
            return Err(format!("call {number} ran without an image"));
        }
        if !call.concurrent {
            let last = self.last_serial.insert((call.caller, callee), number);
            if last.is_some_and(|last| last > number) {
                return Err(format!(
                    "call {number} ran after call {last:?}, which came later"
                ));
            }
        }
        Ok(())
    }

    /// The function of a call has ended with a failure.
    pub(crate) fn failed(&mut self, number: usize) {
        let call = &self.calls[number];
        if call.chain != 0 {
            self.failed_chains
                .insert((call.caller, call.callee, call.chain));
        }
    }

    /// An answer, or the word that there will be none, has reached the caller.
    pub(crate) fn answered(&mut self, number: usize, body: &Body, way: Way) -> Verdict {
        let call = &mut self.calls[number];
        if let Some(end) = call.end {
            return Err(format!(
                "call {number} ended as {end:?} and again with {body:?}"
            ));
        }
        let told = match body {
            Body::Data(_) => End::Answered,
            Body::Dead(dead) => End::Lost {
                may_have_run: dead.may_have_run(),
            },
        };
        call.end = Some(told);
        if way == Way::Evil {
            return Ok(());
        }
        let call = &self.calls[number];
        let chain = |call: &Call| (call.caller, call.callee, call.chain);
        // An earlier call whose time was up in the queue has failed the chain, too.
        let timed_before = |chain_of| {
            let mut before = self.calls[..number].iter();
            before.any(|it| it.due.is_some() && chain(it) == chain_of)
        };
        let unrun = call.runs == 0
            && call.chain != 0
            && (self.failed_chains.contains(&chain(call)) || timed_before(chain(call)));
        let problem = match body {
            Body::Data(bytes) if unrun => check_chain(call, bytes),
            Body::Data(bytes) => check_answer(number, call, bytes),
            Body::Dead(dead) => check_death(call, dead, way),
        };
        problem.map_err(|problem| format!("call {number}: {problem}: {call:?}"))
    }

    /// The caller's time was up.
    pub(crate) fn expired(&mut self, number: usize, now: u64) -> Verdict {
        let call = &mut self.calls[number];
        if let Some(end) = call.end {
            return Err(format!(
                "call {number} ended as {end:?} and expired after that"
            ));
        }
        call.end = Some(End::Expired);
        match call.due {
            Some(due) if due <= now => Ok(()),
            due => Err(format!(
                "call {number} expired at {now}, and was due at {due:?}"
            )),
        }
    }

    /// No caller that still lives may wait beyond its time.
    pub(crate) fn overdue(&self, caller: usize, now: u64) -> Verdict {
        let overdue = self
            .pending(caller)
            .find(|&number| self.calls[number].due.is_some_and(|due| due < now));
        match overdue {
            None => Ok(()),
            Some(number) => Err(format!("call {number} is overdue at {now}")),
        }
    }
}

fn check_answer(number: usize, call: &Call, bytes: &Bytes) -> Verdict {
    let Some(outcome) = CallOutcome::parse(bytes.clone()) else {
        return Err("an answer that is none".to_owned());
    };
    match (outcome, call.plan) {
        (CallOutcome::Value(value), Plan::Return) if call.returned => {
            if check_payload(&value, number, call.result) {
                Ok(())
            } else {
                Err(format!("another value: {} bytes", value.len()))
            }
        }
        (CallOutcome::Failed(failure), plan) => match (failure.kind, plan) {
            (CallErrorKind::Function, Plan::Fail) if call.returned => Ok(()),
            (CallErrorKind::CannotLoad, Plan::Missing) => Ok(()),
            (CallErrorKind::DeadlineExceeded, _) if call.due.is_some() => Ok(()),
            _ => Err(format!("unexpected {failure:?}")),
        },
        (outcome, _) => Err(format!("unexpected {outcome:?}")),
    }
}

/// The answer of a call that did not run because one before it in its chain had failed, or because
/// its own time was up before that.
fn check_chain(call: &Call, bytes: &Bytes) -> Verdict {
    let outcome = CallOutcome::parse(bytes.clone());
    let kind = match &outcome {
        Some(CallOutcome::Failed(failure)) => Some(failure.kind),
        _ => None,
    };
    match kind {
        Some(CallErrorKind::Function | CallErrorKind::ChainTimedOut) => Ok(()),
        Some(CallErrorKind::DeadlineExceeded) if call.due.is_some() => Ok(()),
        _ => Err(format!("unexpected in a failed chain: {outcome:?}")),
    }
}

fn check_death(call: &Call, dead: &Dead, way: Way) -> Verdict {
    if way == Way::Healthy {
        return Err(format!("it failed although nothing is wrong: {dead:?}"));
    }
    if !matches!(dead.kind, DeadKind::Disconnected | DeadKind::NoRoute) {
        return Err(format!("a loss does not look like that: {dead:?}"));
    }
    if !dead.may_have_run() && call.runs > 0 {
        return Err(format!("it ran, and this says that it did not: {dead:?}"));
    }
    Ok(())
}

/// Bytes that name a call and cannot be mistaken for those of another.
pub(crate) fn payload(number: usize, length: usize) -> Vec<u8> {
    let mut bytes = (number as u32).to_le_bytes().to_vec();
    bytes.resize(4 + length, number as u8 ^ 0x5a);
    bytes
}

/// Whether `bytes` are that.
pub(crate) fn check_payload(bytes: &[u8], number: usize, length: usize) -> bool {
    let (head, rest) = bytes.split_at(bytes.len().min(4));
    head == (number as u32).to_le_bytes()
        && rest.len() == length
        && rest.iter().all(|&byte| byte == number as u8 ^ 0x5a)
}

/// The call that arguments name.
pub(crate) fn named_in(bytes: &[u8]) -> Option<usize> {
    let number = bytes.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*number) as usize)
}
