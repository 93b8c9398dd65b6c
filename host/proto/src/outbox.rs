//! What waits to be sent on one link.
//!
//! Messages that fit a frame go first, in order. Larger ones, and what must not overtake them,
//! take turns frame by frame, so a small call waits for at most one frame of a bulk transfer.
//! Messages of one flow (a source, a destination and a handle) never overtake each other.
//!
//! Large ones are paused while the way beyond the peer is full, unless that would fill this queue,
//! too: then they are sent all the same.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::frame::{Frame, HEADER_LEN, Header};
use crate::id::{ContextId, Handle};
use crate::limits::{FRAME_PAYLOAD_MAX, PAUSES_MAX, RELAY_BACKLOG_MAX};
use crate::secrets;
use crate::{Map, Set};

/// Messages that keep their order among each other.
type Flow = (ContextId, ContextId, Handle);

/// The queues of one link.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    prompt: VecDeque<Outgoing>,
    /// How many have left `prompt`.
    prompt_sent: u64,
    bulk: Map<Flow, VecDeque<Outgoing>>,
    turns: VecDeque<Flow>,
    /// Destinations whose large messages are paused.
    paused: Set<ContextId>,
    /// Their flows, which take no turns.
    parked: VecDeque<Flow>,
    /// Whether they take turns all the same: there was too much, and still is.
    overfull: bool,
    /// Bytes of large messages of others, by destination.
    shares: Map<ContextId, usize>,
    own_bytes: usize,
    relay_bytes: usize,
    /// Who reads this at the other end.
    peer: ContextId,
    refusals_to_peer: usize,
    refusals_to_others: usize,
}

/// Whose messages a queue's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Own,
    Relay,
    /// A refusal that another context sent unasked: the peer is not to blame if it piles up.
    Unasked,
}

#[derive(Debug)]
struct Outgoing {
    /// Header of the whole message, or of the relayed frame as it came.
    header: Header,
    payload: Bytes,
    /// Bytes of the payload that earlier frames took.
    sent: usize,
    origin: Origin,
    /// For a large message: it must not begin before this many have left `prompt`, since some of
    /// them may be of its flow.
    behind: u64,
}

impl Outgoing {
    fn cost(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }

    /// Appends the next frame to `out`; says whether it was the last one.
    fn emit(&mut self, out: &mut Vec<u8>) -> bool {
        let end = self.payload.len().min(self.sent + FRAME_PAYLOAD_MAX);
        let last = end == self.payload.len();
        let header = Header {
            first: self.header.first && self.sent == 0,
            last: self.header.last && last,
            ..self.header
        };
        header.encode(&self.payload[self.sent..end], out);
        self.sent = end;
        last
    }
}

impl Outbox {
    /// The empty queues of a link to `peer`.
    pub(crate) fn new(peer: ContextId) -> Self {
        Self {
            peer,
            ..Self::default()
        }
    }

    /// Queues a message of this context, or a frame of another's.
    pub(crate) fn push(&mut self, frame: Frame, origin: Origin) {
        let Frame { header, payload } = frame;
        let outgoing = Outgoing {
            header,
            payload,
            sent: 0,
            origin,
            behind: if header.first {
                self.prompt_sent + self.prompt.len() as u64
            } else {
                0
            },
        };
        self.count(&outgoing);
        let flow = flow_of(&header);
        let single = header.first && header.last && outgoing.payload.len() <= FRAME_PAYLOAD_MAX;
        if single && (self.bulk.is_empty() || !self.bulk.contains_key(&flow)) {
            self.prompt.push_back(outgoing);
            return;
        }
        let queue = self.bulk.entry(flow).or_default();
        let is_new = queue.is_empty();
        if outgoing.origin != Origin::Own {
            *self.shares.entry(flow.1).or_default() += outgoing.cost();
        }
        queue.push_back(outgoing);
        if is_new {
            match self.paused.contains(&flow.1) {
                true => self.parked.push_back(flow),
                false => self.turns.push_back(flow),
            }
        }
    }

    /// Pauses large messages for `dst`.
    pub(crate) fn pause(&mut self, dst: ContextId) {
        if self.paused.len() < PAUSES_MAX && self.paused.insert(dst) {
            self.move_flows(dst);
        }
    }

    /// Resumes them; says whether they were paused.
    pub(crate) fn resume(&mut self, dst: ContextId) -> bool {
        let was_paused = self.paused.remove(&dst);
        if was_paused {
            self.move_flows(dst);
        }
        was_paused
    }

    /// Puts the flows to `dst` where they belong, in their order.
    fn move_flows(&mut self, dst: ContextId) {
        let (from, to) = match self.paused.contains(&dst) {
            true => (&mut self.turns, &mut self.parked),
            false => (&mut self.parked, &mut self.turns),
        };
        to.extend(from.iter().filter(|flow| flow.1 == dst));
        from.retain(|flow| flow.1 != dst);
    }

    /// Bytes of others' large messages for `dst`.
    pub(crate) fn share(&self, dst: ContextId) -> usize {
        self.shares.get(&dst).copied().unwrap_or(0)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.turns.is_empty() && self.parked.is_empty()
    }

    pub(crate) fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    pub(crate) fn relay_bytes(&self) -> usize {
        self.relay_bytes
    }

    /// Bytes of messages that tell the peer that there will be no answer.
    pub(crate) fn refusals_to_peer(&self) -> usize {
        self.refusals_to_peer
    }

    /// Bytes of our own messages that tell those behind the peer the same.
    pub(crate) fn refusals_to_others(&self) -> usize {
        self.refusals_to_others
    }

    /// Drops what is left of the large messages of contexts that are gone, and what waits behind
    /// them: the word that they are gone is about to overtake it. `lost` is sorted.
    pub(crate) fn remove_sources(&mut self, lost: &[ContextId]) {
        let is_lost = |flow: &Flow| lost.binary_search(&flow.0).is_ok();
        if !self.turns.iter().chain(&self.parked).any(is_lost) {
            return;
        }
        self.turns.retain(|flow| !is_lost(flow));
        self.parked.retain(|flow| !is_lost(flow));
        let dropped: Vec<_> = self.bulk.extract_if(|flow, _| is_lost(flow)).collect();
        for outgoing in dropped.iter().flat_map(|(_, queue)| queue) {
            self.discount_large(outgoing);
        }
    }

    /// Forgets that large messages for contexts that are gone were paused; says whether any were.
    pub(crate) fn resume_destinations(&mut self, lost: &[ContextId]) -> bool {
        let is_lost = |dst: &&ContextId| lost.binary_search(dst).is_ok();
        let mut resumed: Vec<_> = self.paused.iter().filter(is_lost).copied().collect();
        resumed.sort_unstable();
        for &dst in &resumed {
            self.resume(dst);
        }
        !resumed.is_empty()
    }

    /// Appends frames to `out` until it holds `enough` bytes, then one frame of a large message,
    /// so that neither kind can starve the other. Nothing comes behind one that may hold a
    /// password; says whether there is one.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        while out.len() < enough {
            let Some(mut outgoing) = self.prompt.pop_front() else {
                break;
            };
            self.prompt_sent += 1;
            self.discount(&outgoing);
            if secrets::may_be_in(&outgoing.header) {
                // The driver overwrites `out`, which must not leave copies behind as it grows.
                out.reserve(outgoing.cost());
                outgoing.emit(out);
                return true;
            }
            outgoing.emit(out);
        }
        loop {
            let Some((flow, is_parked)) = self.next_turn() else {
                return false;
            };
            self.bulk_turn(flow, is_parked, out);
            if out.len() >= enough {
                return false;
            }
        }
    }

    /// Messages of this context that have not begun to leave, by the handle that waits for an
    /// answer. For the moment the link is lost.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = Handle> {
        let bulk = self.bulk.values().flatten();
        self.prompt
            .iter()
            .chain(bulk)
            .filter(|outgoing| outgoing.origin == Origin::Own && outgoing.sent == 0)
            .map(|outgoing| outgoing.header.reply_to)
    }

    /// Whose turn it is, and whether that is paused.
    fn next_turn(&mut self) -> Option<(Flow, bool)> {
        if let Some(flow) = self.turns.pop_front() {
            return Some((flow, false));
        }
        // The links that feed this queue are not read between these bounds, so what is paused
        // must not stay between them.
        match self.overfull {
            true => self.overfull = self.relay_bytes > RELAY_BACKLOG_MAX / 2,
            false => self.overfull = self.relay_bytes > RELAY_BACKLOG_MAX,
        }
        let flow = self.overfull.then(|| self.parked.pop_front()).flatten()?;
        Some((flow, true))
    }

    fn bulk_turn(&mut self, flow: Flow, is_parked: bool, out: &mut Vec<u8>) {
        let Some(queue) = self.bulk.get_mut(&flow) else {
            return;
        };
        let mut finished = None;
        if let Some(outgoing) = queue.front_mut()
            && outgoing.behind <= self.prompt_sent
            && outgoing.emit(out)
        {
            finished = queue.pop_front();
        }
        if queue.is_empty() {
            self.bulk.remove(&flow);
        } else if is_parked {
            self.parked.push_back(flow);
        } else {
            self.turns.push_back(flow);
        }
        if let Some(outgoing) = finished {
            self.discount_large(&outgoing);
        }
    }

    fn discount_large(&mut self, outgoing: &Outgoing) {
        self.discount(outgoing);
        if outgoing.origin == Origin::Own {
            return;
        }
        let dst = outgoing.header.dst;
        if let Some(share) = self.shares.get_mut(&dst) {
            *share -= outgoing.cost();
            if *share == 0 {
                self.shares.remove(&dst);
            }
        }
    }

    fn count(&mut self, outgoing: &Outgoing) {
        *self.bytes(outgoing.origin) += outgoing.cost();
        if let Some(refusals) = self.refusals(outgoing) {
            *refusals += outgoing.cost();
        }
    }

    fn discount(&mut self, outgoing: &Outgoing) {
        *self.bytes(outgoing.origin) -= outgoing.cost();
        if let Some(refusals) = self.refusals(outgoing) {
            *refusals -= outgoing.cost();
        }
    }

    /// The sum that a message counts to when it is a refusal.
    fn refusals(&mut self, outgoing: &Outgoing) -> Option<&mut usize> {
        if !outgoing.header.dead || outgoing.origin == Origin::Unasked {
            return None;
        }
        if outgoing.header.dst == self.peer {
            Some(&mut self.refusals_to_peer)
        } else if outgoing.origin == Origin::Own {
            Some(&mut self.refusals_to_others)
        } else {
            None
        }
    }

    fn bytes(&mut self, origin: Origin) -> &mut usize {
        match origin {
            Origin::Own => &mut self.own_bytes,
            Origin::Relay | Origin::Unasked => &mut self.relay_bytes,
        }
    }
}

fn flow_of(header: &Header) -> Flow {
    let handle = match header.handle {
        // A cancel must not overtake the call that it ends, nor a call the binding it names, nor
        // the end of a chain the calls of it, nor what makes a context go on the calls that it goes
        // on for.
        Handle::CANCEL | Handle::BIND | Handle::FORGET_CHAIN | Handle::DETACH => {
            Handle::CALL_FUNCTION
        }
        // Nor the cancel of a connection its request.
        Handle::CANCEL_CONNECT => Handle::CONNECT,
        handle => handle,
    };
    (header.src, header.dst, handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::Decoder;

    fn message(number: u32, handle: u64, length: usize) -> Frame {
        Frame {
            header: Header {
                first: true,
                last: true,
                dead: false,
                stream: false,
                answer: false,
                hops: 0,
                number,
                total: length as u32,
                dst: ContextId(1),
                src: ContextId(0),
                auth: ContextId(0),
                handle: Handle(handle),
                reply_to: Handle(u64::from(number)),
            },
            payload: alloc::vec![0; length].into(),
        }
    }

    fn sent(outbox: &mut Outbox) -> Vec<(u32, bool)> {
        let mut frames = Vec::new();
        let mut decoder = Decoder::default();
        while !outbox.is_empty() {
            let mut out = Vec::new();
            outbox.fill(&mut out, 1);
            decoder.push(&out, &mut frames).unwrap();
        }
        let seen = frames
            .iter()
            .map(|frame| (frame.header.number, frame.header.last));
        seen.collect()
    }

    #[test]
    fn a_small_message_overtakes_a_large_one_but_not_in_its_own_flow() {
        let mut outbox = Outbox::default();
        outbox.push(message(1, 2000, FRAME_PAYLOAD_MAX + 1), Origin::Own);
        outbox.push(message(2, 2000, 1), Origin::Own);
        outbox.push(message(3, 3000, 1), Origin::Own);
        outbox.push(message(4, 4000, FRAME_PAYLOAD_MAX + 1), Origin::Own);
        let order = sent(&mut outbox);
        let end = |number| {
            order
                .iter()
                .position(|&seen| seen == (number, true))
                .unwrap()
        };
        assert!(end(3) < end(1), "{order:?}");
        assert!(end(1) < end(2), "{order:?}");
        assert_eq!((outbox.own_bytes(), outbox.relay_bytes()), (0, 0));
    }

    #[test]
    fn a_large_message_does_not_overtake_small_ones_of_its_flow_that_fill_many_writes() {
        let mut outbox = Outbox::default();
        for number in 1..=10 {
            outbox.push(message(number, 2000, 1), Origin::Own);
        }
        outbox.push(message(11, 2000, FRAME_PAYLOAD_MAX + 1), Origin::Own);
        let numbers: Vec<u32> = sent(&mut outbox)
            .iter()
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11]);
    }

    #[test]
    fn only_what_has_not_begun_to_leave_is_unsent() {
        let mut outbox = Outbox::default();
        outbox.push(message(1, 2000, FRAME_PAYLOAD_MAX + 1), Origin::Own);
        outbox.push(message(2, 2000, 1), Origin::Own);
        outbox.push(message(3, 3000, 1), Origin::Relay);
        outbox.fill(&mut Vec::new(), 1);
        outbox.fill(&mut Vec::new(), 1);
        let unsent: Vec<_> = outbox.unsent().collect();
        assert_eq!(unsent, [Handle(2)]);
    }
}
