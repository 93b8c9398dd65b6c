//! How much of a stream may be under way: a slow receiver stops its senders, and nobody else.
//!
//! What a context sends to one handle of another is a flow. A sender may have a window of bytes
//! under way that the receiver's program has not taken yet, and sends no more until it is told
//! that some were taken. The receiver holds every sender to that. So a stream costs a window of
//! memory at each end, however long it is and however slowly it is read.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Map;
use crate::frame::HEADER_LEN;
use crate::id::{ContextId, Handle, LinkId};
use crate::index::Index;
use crate::limits::{LINK_STREAMS_BYTES_MAX, STREAM_WINDOW};
use crate::message::Dead;

/// What a message counts against its window: also one that is empty takes memory.
pub(crate) const fn cost(length: usize) -> u64 {
    (HEADER_LEN + length) as u64
}

/// Whether a message may go on top of what is under way. One of any size may, when it is alone.
const fn fits(under_way: u64, cost: u64) -> bool {
    under_way == 0 || under_way + cost <= STREAM_WINDOW
}

/// What is under way from this context to others, and from others to this one.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    outgoing: Map<(ContextId, Handle), Outgoing>,
    incoming: Map<(Handle, ContextId), Incoming>,
    /// Senders of the flows of a handle, and handles of the flows of a sender.
    senders: Index<Handle, ContextId>,
    receivers: Index<ContextId, Handle>,
    /// Bytes that wait here, by the link they came from.
    held: Map<Option<LinkId>, u64>,
    /// Flows whose senders are owed credit, by the link that leads there. Each is named once, so
    /// that one who sends much and reads nothing cannot make this grow.
    owed: Map<LinkId, VecDeque<(Handle, ContextId)>>,
}

/// The sender's side of a flow.
#[derive(Debug)]
struct Outgoing {
    /// Where the receiver tells how much was taken.
    credit: Handle,
    sent: u64,
    taken: u64,
    state: SendState,
}

/// What may be sent into a flow.
#[derive(Debug)]
enum SendState {
    /// Whatever the window allows.
    Open,
    /// The same, and the program waits to be told of the next credit.
    Blocked,
    /// The program has closed the flow, which stays until all was taken: the receiver goes on
    /// counting.
    Draining,
    /// Nothing any more, for this reason.
    Ended(Dead),
}

/// The receiver's side.
#[derive(Debug)]
struct Incoming {
    link: Option<LinkId>,
    /// Bytes of the sender's present stream that wait to be taken.
    under_way: u64,
    /// Bytes of its earlier streams that do.
    older: u64,
    /// Bytes of messages outside of any stream that do.
    messages: u64,
    /// Words that there is no more that do.
    ends: u32,
    /// Bytes of all that waits.
    held: u64,
    /// Where credit goes; it changes when a sender starts anew, and is `NONE` for one that is gone
    /// or has no stream.
    credit: Handle,
    taken: u64,
    told: u64,
    /// Whether it stands in a list of those that are owed credit.
    owed: bool,
    /// Messages outside of any stream that did not fit.
    lost: u64,
}

impl Incoming {
    fn new(link: Option<LinkId>) -> Self {
        Self {
            link,
            under_way: 0,
            older: 0,
            messages: 0,
            ends: 0,
            held: 0,
            credit: Handle::NONE,
            taken: 0,
            told: 0,
            owed: false,
            lost: 0,
        }
    }

    /// Whether there is nothing to remember of it.
    fn is_over(&self) -> bool {
        self.held == 0 && self.credit == Handle::NONE
    }
}

/// Says which message the program has taken, so that its sender gets credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) handle: Handle,
    pub(crate) src: ContextId,
    pub(crate) cost: u64,
    kind: Kind,
    /// `NONE` for a message that is not of a stream.
    pub(crate) credit: Handle,
}

impl Receipt {
    /// Whether the node wants to know. Of a message that came alone it does not.
    pub fn is_due(&self) -> bool {
        self.cost > 0
    }
}

/// What a message is to its receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of a stream.
    Stream,
    /// One that takes no credit. It must not use up the window of the same context's stream.
    #[default]
    Message,
    /// The word that there is no more. It comes on top of what fills the window.
    End,
}

/// A message that wants to wait until a program takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving {
    pub(crate) link: Option<LinkId>,
    pub(crate) src: ContextId,
    pub(crate) handle: Handle,
    pub(crate) length: usize,
    pub(crate) kind: Kind,
    /// Where its sender waits for credit, if it is of a stream.
    pub(crate) credit: Handle,
}

/// Words of one sender that there is no more, which may wait to be taken: a context may have
/// hundreds of parts that send to one handle, each of which says when it is done.
const ENDS_MAX: u32 = 512;

/// Whether a flow takes a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// Now; its credit goes to this handle.
    Available(Handle),
    /// Once more was taken.
    Blocked,
    /// Never again.
    Ended(Dead),
    /// There is no such flow yet.
    NotOpen,
}

/// What credit has changed for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credited {
    /// Whether the program waits for it.
    pub(crate) wake: bool,
    /// The handle of the credit, if none will come any more.
    pub(crate) finished: Option<Handle>,
}

/// Where a stream that goes out of a context stands, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingStream {
    /// The receiver's context.
    pub dst: ContextId,
    /// Its handle.
    pub handle: Handle,
    /// Where its credit comes.
    pub credit: Handle,
    /// Bytes that were sent, headers included.
    pub sent: u64,
    /// Bytes of them that were taken, as far as is known.
    pub taken: u64,
    /// Whether the program waits for credit.
    pub blocked: bool,
}

/// Credit that is due to a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    pub(crate) dst: ContextId,
    pub(crate) handle: Handle,
    /// All that was ever taken, so that the order of two such messages does not matter.
    pub(crate) taken: u64,
}

impl Streams {
    /// Whether the flow takes a message of that many bytes. One that does not wakes the program
    /// with its next credit.
    pub(crate) fn capacity(&mut self, dst: ContextId, handle: Handle, length: usize) -> Capacity {
        let Some(flow) = self.outgoing.get_mut(&(dst, handle)) else {
            return Capacity::NotOpen;
        };
        if let SendState::Ended(dead) = &flow.state {
            return Capacity::Ended(dead.clone());
        }
        let available = fits(flow.sent - flow.taken, cost(length));
        match flow.state {
            _ if !available => flow.state = SendState::Blocked,
            SendState::Draining => flow.state = SendState::Open,
            // Another message of this flow may be the one that waits.
            _ => {}
        }
        match available {
            true => Capacity::Available(flow.credit),
            false => Capacity::Blocked,
        }
    }

    /// Starts a flow whose credit comes to `credit`.
    pub(crate) fn open(&mut self, dst: ContextId, handle: Handle, credit: Handle) {
        let flow = Outgoing {
            credit,
            sent: 0,
            taken: 0,
            state: SendState::Open,
        };
        self.outgoing.insert((dst, handle), flow);
    }

    /// A message has left.
    pub(crate) fn sent(&mut self, dst: ContextId, handle: Handle, length: usize) {
        if let Some(flow) = self.outgoing.get_mut(&(dst, handle)) {
            flow.sent += cost(length);
        }
    }

    /// The receiver has told how much was taken; `None` if that cannot be.
    pub(crate) fn on_credit(
        &mut self,
        dst: ContextId,
        handle: Handle,
        taken: u64,
    ) -> Option<Credited> {
        let flow = self.outgoing.get_mut(&(dst, handle))?;
        if taken > flow.sent {
            return None;
        }
        flow.taken = flow.taken.max(taken);
        let wake = matches!(flow.state, SendState::Blocked);
        if wake {
            flow.state = SendState::Open;
        }
        let is_drained = matches!(flow.state, SendState::Draining) && flow.taken == flow.sent;
        let finished = is_drained.then_some(flow.credit);
        if is_drained {
            self.outgoing.remove(&(dst, handle));
        }
        Some(Credited { wake, finished })
    }

    /// The receiver is gone. Says whether a program holds the flow, and will want to know.
    pub(crate) fn end(&mut self, dst: ContextId, handle: Handle, dead: Dead) -> bool {
        let Some(flow) = self.outgoing.get_mut(&(dst, handle)) else {
            return false;
        };
        if matches!(flow.state, SendState::Draining) {
            self.outgoing.remove(&(dst, handle));
            return false;
        }
        flow.state = SendState::Ended(dead);
        true
    }

    /// The program has closed a flow. Gives the credit's handle if none will come any more.
    pub(crate) fn release(&mut self, dst: ContextId, handle: Handle) -> Option<Handle> {
        let flow = self.outgoing.get_mut(&(dst, handle))?;
        if !matches!(flow.state, SendState::Ended(_)) && flow.taken < flow.sent {
            flow.state = SendState::Draining;
            return None;
        }
        let credit = flow.credit;
        self.outgoing.remove(&(dst, handle));
        Some(credit)
    }

    /// Whether a message may be held here. `arriving` are bytes of others from its link that are
    /// on their way into here.
    pub(crate) fn admits(&self, message: &Arriving, arriving: u64) -> bool {
        let cost = cost(message.length);
        let held = self.held.get(&message.link).copied().unwrap_or(0) + arriving;
        let of_link = held == 0 || held + cost <= LINK_STREAMS_BYTES_MAX;
        let Some(flow) = self.incoming.get(&(message.handle, message.src)) else {
            return of_link;
        };
        of_link
            && match message.kind {
                Kind::End => flow.ends < ENDS_MAX,
                Kind::Message => fits(flow.messages, cost),
                Kind::Stream if message.credit == flow.credit => fits(flow.under_way, cost),
                // It starts anew: it was told of the end of its stream, or forgot it.
                Kind::Stream => fits(flow.older, flow.under_way),
            }
    }

    /// Counts a message that was not admitted. Gives the count when it is to be reported, which is
    /// at powers of two, so that a sender who goes on cannot fill a log.
    pub(crate) fn count_lost(&mut self, handle: Handle, src: ContextId) -> Option<u64> {
        let flow = self.incoming.get_mut(&(handle, src))?;
        flow.lost += 1;
        flow.lost.is_power_of_two().then_some(flow.lost)
    }

    /// Holds a message until the program takes it.
    pub(crate) fn hold(&mut self, message: &Arriving) -> Receipt {
        let &Arriving {
            link,
            src,
            handle,
            length,
            kind,
            credit,
        } = message;
        let cost = cost(length);
        let (senders, receivers) = (&mut self.senders, &mut self.receivers);
        let flow = self.incoming.entry((handle, src)).or_insert_with(|| {
            senders.insert(handle, src);
            receivers.insert(src, handle);
            Incoming::new(link)
        });
        flow.held += cost;
        match kind {
            Kind::Stream => {
                if credit != flow.credit {
                    flow.older += flow.under_way;
                    (flow.under_way, flow.taken, flow.told) = (0, 0, 0);
                    flow.credit = credit;
                }
                flow.under_way += cost;
            }
            Kind::Message => flow.messages += cost,
            Kind::End => flow.ends += 1,
        }
        *self.held.entry(link).or_default() += cost;
        Receipt {
            handle,
            src,
            cost,
            kind,
            credit,
        }
    }

    /// The program has taken a message. Says whether its sender is due credit now; then
    /// [`queue_credit`](Self::queue_credit) or [`credit_for`](Self::credit_for) follows.
    ///
    /// It is not due for each message, but when a quarter of the window was taken, or all.
    pub(crate) fn take(&mut self, receipt: Receipt) -> bool {
        let key = (receipt.handle, receipt.src);
        let Some(flow) = self.incoming.get_mut(&key) else {
            return false;
        };
        let cost = receipt.cost;
        flow.held = flow.held.saturating_sub(cost);
        match receipt.kind {
            Kind::Stream if receipt.credit == flow.credit => {
                flow.under_way = flow.under_way.saturating_sub(cost);
                flow.taken += cost;
            }
            // Of a stream before this one, or of one that is gone.
            Kind::Stream => flow.older = flow.older.saturating_sub(cost),
            Kind::Message => flow.messages = flow.messages.saturating_sub(cost),
            Kind::End => flow.ends = flow.ends.saturating_sub(1),
        }
        let link = flow.link;
        let news = flow.taken - flow.told;
        let due = news > 0 && (flow.under_way == 0 || news >= STREAM_WINDOW / 4);
        let due = due && !flow.owed && flow.credit != Handle::NONE;
        if flow.is_over() {
            self.remove_incoming(key);
        }
        self.discount(link, cost);
        due
    }

    /// Notes that the sender of a message that was taken is to be told when `link` has room.
    pub(crate) fn queue_credit(&mut self, link: LinkId, receipt: Receipt) {
        let key = (receipt.handle, receipt.src);
        if let Some(flow) = self.incoming.get_mut(&key) {
            flow.owed = true;
            self.owed.entry(link).or_default().push_back(key);
        }
    }

    /// The next credit for someone behind `link`, with all that was taken by now.
    pub(crate) fn next_credit(&mut self, link: LinkId) -> Option<Credit> {
        let queue = self.owed.get_mut(&link)?;
        while let Some(key) = queue.pop_front() {
            let flow = self.incoming.get_mut(&key).filter(|flow| flow.owed);
            if let Some(credit) = flow.and_then(|flow| credit_for(key, flow)) {
                return Some(credit);
            }
        }
        self.owed.remove(&link);
        None
    }

    /// The credit of a sender that can be told at once.
    pub(crate) fn credit_for(&mut self, receipt: Receipt) -> Option<Credit> {
        let key = (receipt.handle, receipt.src);
        credit_for(key, self.incoming.get_mut(&key)?)
    }

    /// A link is gone, and with it those who are owed credit there.
    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.owed.remove(&link);
    }

    /// A handle is not listened on any more, and what waits for it is void. Gives the senders
    /// that must learn it, in order.
    pub(crate) fn close(&mut self, handle: Handle) -> Vec<(ContextId, Handle)> {
        if self.incoming.is_empty() {
            return Vec::new();
        }
        let mut senders = Vec::new();
        for src in self.senders.sorted(handle) {
            if let Some(flow) = self.remove_incoming((handle, src)) {
                self.discount(flow.link, flow.held);
                if flow.credit != Handle::NONE {
                    senders.push((src, flow.credit));
                }
            }
        }
        senders
    }

    fn remove_incoming(&mut self, key: (Handle, ContextId)) -> Option<Incoming> {
        self.senders.remove(key.0, key.1);
        self.receivers.remove(key.1, key.0);
        self.incoming.remove(&key)
    }

    /// Contexts are gone. What they sent still takes memory until it is taken, so it still counts:
    /// else one that makes up contexts could make us hold anything.
    pub(crate) fn remove_senders(&mut self, lost: &[ContextId]) {
        for &src in lost {
            for handle in self.receivers.sorted(src) {
                let Some(flow) = self.incoming.get_mut(&(handle, src)) else {
                    continue;
                };
                flow.older += core::mem::take(&mut flow.under_way);
                (flow.credit, flow.taken, flow.told) = (Handle::NONE, 0, 0);
                flow.owed = false;
                if flow.is_over() {
                    self.remove_incoming((handle, src));
                }
            }
        }
    }

    /// Flows that go out and come in, and bytes that wait to be taken here.
    pub(crate) fn gauges(&self) -> (usize, usize, u64) {
        let held = self.held.values().sum();
        (self.outgoing.len(), self.incoming.len(), held)
    }

    /// Where the flows that go out stand, for tests.
    pub(crate) fn outgoing(&self) -> impl Iterator<Item = OutgoingStream> {
        let flows = self.outgoing.iter();
        flows.map(|(&(dst, handle), flow)| OutgoingStream {
            dst,
            handle,
            credit: flow.credit,
            sent: flow.sent,
            taken: flow.taken,
            blocked: matches!(flow.state, SendState::Blocked),
        })
    }

    fn discount(&mut self, link: Option<LinkId>, cost: u64) {
        if let Some(held) = self.held.get_mut(&link) {
            *held = held.saturating_sub(cost);
            if *held == 0 {
                self.held.remove(&link);
            }
        }
    }
}

fn credit_for(key: (Handle, ContextId), flow: &mut Incoming) -> Option<Credit> {
    flow.owed = false;
    let news = flow.taken > flow.told && flow.credit != Handle::NONE;
    flow.told = flow.taken;
    news.then_some(Credit {
        dst: key.1,
        handle: flow.credit,
        taken: flow.taken,
    })
}

#[cfg(test)]
mod tests;
