//! How much of a stream may be under way: a slow receiver stops its senders, and nobody else.
//!
//! What a context sends to one handle of another is a flow. A sender may have a window of bytes
//! under way that the receiver's program has not taken yet, and sends no more until it is told
//! that some were taken. The receiver holds every sender to that. So a stream costs a window of
//! memory at each end, however long it is and however slowly it is read.

use alloc::vec::Vec;

use crate::Map;
use crate::frame::HEADER_LEN;
use crate::id::{ContextId, Handle, LinkId};
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
    /// Bytes that wait here, by the link they came from.
    held: Map<Option<LinkId>, u64>,
}

/// The sender's side of a flow.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Where the receiver tells how much was taken.
    pub(crate) credit: Handle,
    sent: u64,
    taken: u64,
    /// Whether the program waits to be told that it may send again.
    waiting: bool,
    /// Whether the program has lost interest; the flow stays until all was taken, because the
    /// receiver goes on counting.
    released: bool,
    /// Why nothing can be sent any more.
    ended: Option<Dead>,
}

/// The receiver's side.
#[derive(Debug)]
struct Incoming {
    link: Option<LinkId>,
    under_way: u64,
    /// Bytes of words that there is no more, which wait to be taken.
    ends: u64,
    /// Bytes of all that waits.
    held: u64,
    /// Where credit goes; it changes when a sender starts anew.
    credit: Handle,
    taken: u64,
    told: u64,
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
    #[default]
    Data,
    /// The word that there is no more. It comes on top of what fills the window.
    End,
}

/// Bytes of words of one sender that there is no more, which may wait to be taken: a context may
/// have hundreds of parts that send to one handle, each of which says when it is done.
const ENDS_BYTES_MAX: u64 = 64 * 1024;

/// Whether a flow takes a message now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It does.
    Some,
    /// It will, later.
    None,
    /// It never will.
    Ended(Dead),
    /// There is no such flow yet.
    Unknown,
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
    /// Whether the flow takes a message of that many bytes, and where its credit goes. One that
    /// does not will be announced when it does.
    pub(crate) fn room(&mut self, dst: ContextId, handle: Handle, length: usize) -> (Room, Handle) {
        let Some(flow) = self.outgoing.get_mut(&(dst, handle)) else {
            return (Room::Unknown, Handle::NONE);
        };
        if let Some(dead) = &flow.ended {
            return (Room::Ended(dead.clone()), flow.credit);
        }
        let room = fits(flow.sent - flow.taken, cost(length));
        // Others may share the flow, and one of them may still wait when a smaller message fits.
        flow.waiting |= !room;
        (if room { Room::Some } else { Room::None }, flow.credit)
    }

    /// Starts a flow whose credit comes to `credit`.
    pub(crate) fn open(&mut self, dst: ContextId, handle: Handle, credit: Handle) {
        let flow = Outgoing {
            credit,
            sent: 0,
            taken: 0,
            waiting: false,
            released: false,
            ended: None,
        };
        self.outgoing.insert((dst, handle), flow);
    }

    /// A message has left.
    pub(crate) fn sent(&mut self, dst: ContextId, handle: Handle, length: usize) {
        if let Some(flow) = self.outgoing.get_mut(&(dst, handle)) {
            flow.sent += cost(length);
            flow.released = false;
        }
    }

    /// The receiver has told how much was taken. Says whether the program waits for that, and
    /// gives the credit's handle if the flow is over; `None` when the receiver tells nonsense.
    pub(crate) fn credited(
        &mut self,
        dst: ContextId,
        handle: Handle,
        taken: u64,
    ) -> Option<(bool, Option<Handle>)> {
        let flow = self.outgoing.get_mut(&(dst, handle))?;
        if taken > flow.sent {
            return None;
        }
        flow.taken = flow.taken.max(taken);
        let wake = core::mem::take(&mut flow.waiting);
        let over = flow.released && flow.taken == flow.sent;
        let credit = flow.credit;
        if over {
            self.outgoing.remove(&(dst, handle));
        }
        Some((wake, over.then_some(credit)))
    }

    /// The receiver is gone. Says whether a program holds the flow, and will want to know.
    pub(crate) fn end(&mut self, dst: ContextId, handle: Handle, dead: Dead) -> bool {
        let Some(flow) = self.outgoing.get_mut(&(dst, handle)) else {
            return false;
        };
        if flow.released {
            self.outgoing.remove(&(dst, handle));
            return false;
        }
        flow.ended = Some(dead);
        true
    }

    /// The program has lost interest in a flow. Gives the credit's handle if it is over.
    pub(crate) fn release(&mut self, dst: ContextId, handle: Handle) -> Option<Handle> {
        let flow = self.outgoing.get_mut(&(dst, handle))?;
        if flow.ended.is_none() && flow.taken < flow.sent {
            flow.released = true;
            return None;
        }
        let credit = flow.credit;
        self.outgoing.remove(&(dst, handle));
        Some(credit)
    }

    /// Whether a message of that many bytes may still be held here.
    pub(crate) fn admits(
        &self,
        link: Option<LinkId>,
        src: ContextId,
        handle: Handle,
        length: usize,
    ) -> bool {
        let flow = self.incoming.get(&(handle, src));
        let held = self.held.get(&link).copied().unwrap_or(0);
        fits(flow.map_or(0, |flow| flow.under_way), cost(length))
            && (held == 0 || held + cost(length) <= LINK_STREAMS_BYTES_MAX)
    }

    /// Whether one more word that there is no more, of that many bytes, may be held here.
    pub(crate) fn admits_end(
        &self,
        link: Option<LinkId>,
        src: ContextId,
        handle: Handle,
        length: usize,
    ) -> bool {
        let flow = self.incoming.get(&(handle, src));
        let ends = flow.map_or(0, |flow| flow.ends);
        ends + cost(length) <= ENDS_BYTES_MAX
            && self
                .held
                .get(&link)
                .is_none_or(|&held| held <= LINK_STREAMS_BYTES_MAX)
    }

    /// Holds a message until the program takes it. `credit` is where its sender waits for
    /// credit, if it is of a stream.
    pub(crate) fn hold(
        &mut self,
        link: Option<LinkId>,
        src: ContextId,
        handle: Handle,
        length: usize,
        kind: Kind,
        credit: Handle,
    ) -> Receipt {
        let cost = cost(length);
        let flow = self
            .incoming
            .entry((handle, src))
            .or_insert_with(|| Incoming {
                link,
                under_way: 0,
                ends: 0,
                held: 0,
                credit: Handle::NONE,
                taken: 0,
                told: 0,
            });
        flow.held += cost;
        match kind {
            Kind::Data => flow.under_way += cost,
            Kind::End => flow.ends += cost,
        }
        if credit != Handle::NONE && credit != flow.credit {
            (flow.credit, flow.taken, flow.told) = (credit, 0, 0);
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

    /// The program has taken a message. Gives the credit that is due.
    ///
    /// It is not given for each message, but when a quarter of the window was taken, or all.
    pub(crate) fn take(&mut self, receipt: Receipt) -> Option<Credit> {
        let key = (receipt.handle, receipt.src);
        let flow = self.incoming.get_mut(&key)?;
        flow.held = flow.held.saturating_sub(receipt.cost);
        match receipt.kind {
            Kind::Data => flow.under_way = flow.under_way.saturating_sub(receipt.cost),
            Kind::End => flow.ends = flow.ends.saturating_sub(receipt.cost),
        }
        let link = flow.link;
        if receipt.credit != Handle::NONE && receipt.credit == flow.credit {
            flow.taken += receipt.cost;
        }
        let news = flow.taken - flow.told;
        let due = news > 0 && (flow.under_way == 0 || news >= STREAM_WINDOW / 4);
        let credit = due.then(|| {
            flow.told = flow.taken;
            Credit {
                dst: receipt.src,
                handle: flow.credit,
                taken: flow.taken,
            }
        });
        if flow.under_way == 0 && flow.ends == 0 && flow.credit == Handle::NONE {
            self.incoming.remove(&key);
        }
        self.let_go(link, receipt.cost);
        credit
    }

    /// A handle is not listened on any more. Gives the senders that must learn it, in order.
    pub(crate) fn close(&mut self, handle: Handle) -> Vec<(ContextId, Handle)> {
        self.drop_incoming(|key| key.0 == handle)
    }

    /// Contexts are gone; `lost` is sorted.
    pub(crate) fn forget(&mut self, lost: &[ContextId]) {
        self.drop_incoming(|key| lost.binary_search(&key.1).is_ok());
    }

    /// Flows that go out and come in, and bytes that wait to be taken here.
    pub(crate) fn gauges(&self) -> (usize, usize, u64) {
        let held = self.held.values().sum();
        (self.outgoing.len(), self.incoming.len(), held)
    }

    fn drop_incoming(
        &mut self,
        gone: impl Fn(&(Handle, ContextId)) -> bool,
    ) -> Vec<(ContextId, Handle)> {
        if self.incoming.is_empty() {
            return Vec::new();
        }
        let dropped: Vec<_> = self.incoming.extract_if(|key, _| gone(key)).collect();
        let mut senders = Vec::new();
        for ((_, src), flow) in dropped {
            self.let_go(flow.link, flow.held);
            if flow.credit != Handle::NONE {
                senders.push((src, flow.credit));
            }
        }
        senders.sort_unstable();
        senders
    }

    fn let_go(&mut self, link: Option<LinkId>, cost: u64) {
        if let Some(held) = self.held.get_mut(&link) {
            *held = held.saturating_sub(cost);
            if *held == 0 {
                self.held.remove(&link);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::DeadKind;

    const THERE: (ContextId, Handle) = (ContextId(7), Handle(5000));
    const CREDIT: Handle = Handle(9000);

    fn sender() -> Streams {
        let mut streams = Streams::default();
        streams.open(THERE.0, THERE.1, CREDIT);
        streams
    }

    fn put(streams: &mut Streams, length: usize) -> Room {
        let (room, _) = streams.room(THERE.0, THERE.1, length);
        if room == Room::Some {
            streams.sent(THERE.0, THERE.1, length);
        }
        room
    }

    #[test]
    fn a_sender_stops_at_the_window_and_goes_on_with_credit() {
        let mut streams = sender();
        let mut sent = 0;
        while put(&mut streams, 1000) == Room::Some {
            sent += cost(1000);
        }
        assert!(sent <= STREAM_WINDOW && sent + cost(1000) > STREAM_WINDOW);
        assert_eq!(
            streams.credited(THERE.0, THERE.1, cost(1000)),
            Some((true, None))
        );
        assert_eq!(put(&mut streams, 1000), Room::Some);
        assert_eq!(put(&mut streams, 1000), Room::None);
    }

    #[test]
    fn one_message_of_any_size_may_be_under_way() {
        let mut streams = sender();
        let large = 2 * STREAM_WINDOW as usize;
        assert_eq!(put(&mut streams, large), Room::Some);
        assert_eq!(put(&mut streams, 0), Room::None);
    }

    #[test]
    fn credit_for_what_was_never_sent_is_nonsense() {
        let mut streams = sender();
        assert_eq!(put(&mut streams, 10), Room::Some);
        assert_eq!(streams.credited(THERE.0, THERE.1, cost(10) + 1), None);
    }

    #[test]
    fn a_released_flow_is_kept_until_all_was_taken() {
        let mut streams = sender();
        assert_eq!(put(&mut streams, 10), Room::Some);
        assert_eq!(streams.release(THERE.0, THERE.1), None);
        assert_eq!(
            streams.credited(THERE.0, THERE.1, cost(10)),
            Some((false, Some(CREDIT)))
        );
        assert_eq!(streams.gauges().0, 0);
    }

    #[test]
    fn an_ended_flow_says_why_until_it_is_released() {
        let mut streams = sender();
        assert!(streams.end(THERE.0, THERE.1, Dead::new(DeadKind::Closed, "enough")));
        assert!(matches!(put(&mut streams, 1), Room::Ended(dead) if dead.reason == "enough"));
        assert_eq!(streams.release(THERE.0, THERE.1), Some(CREDIT));
        assert_eq!(put(&mut streams, 1), Room::Unknown);
    }

    #[test]
    fn a_receiver_gives_back_what_it_took_and_forgets_nothing() {
        let mut streams = Streams::default();
        let (src, handle, link) = (ContextId(3), Handle(4000), Some(LinkId(1)));
        let mut held = Vec::new();
        while streams.admits(link, src, handle, 1000) {
            held.push(streams.hold(link, src, handle, 1000, Kind::Data, CREDIT));
        }
        let mut last = 0;
        for receipt in held {
            if let Some(credit) = streams.take(receipt) {
                assert!(credit.taken > last);
                last = credit.taken;
            }
        }
        assert_eq!(last, STREAM_WINDOW / cost(1000) * cost(1000));
        assert_eq!(streams.gauges(), (0, 1, 0));
        assert_eq!(streams.close(handle), [(src, CREDIT)]);
        assert_eq!(streams.gauges(), (0, 0, 0));
    }

    #[test]
    fn one_that_waits_for_credit_is_told_even_if_a_smaller_message_fits() {
        let mut streams = sender();
        let half = STREAM_WINDOW as usize / 2;
        assert_eq!(put(&mut streams, half), Room::Some);
        assert_eq!(put(&mut streams, half), Room::None);
        assert_eq!(put(&mut streams, 10), Room::Some);
        let taken = streams.credited(THERE.0, THERE.1, cost(half));
        assert_eq!(taken, Some((true, None)));
    }

    #[test]
    fn s129_many_senders_of_one_context_can_say_that_they_are_done() {
        let mut streams = Streams::default();
        let (src, handle, reason) = (ContextId(3), Handle(4000), 32);
        let mut held = Vec::new();
        while streams.admits_end(None, src, handle, reason) {
            held.push(streams.hold(None, src, handle, reason, Kind::End, Handle::NONE));
        }
        assert!(held.len() >= 500, "{}", held.len());
        for receipt in held {
            streams.take(receipt);
        }
        assert_eq!(streams.gauges(), (0, 0, 0));
    }

    #[test]
    fn t5_a_link_cannot_make_us_hold_more_than_its_share() {
        let mut streams = Streams::default();
        let link = Some(LinkId(1));
        let mut held = 0;
        'flood: for src in 1.. {
            while streams.admits(link, ContextId(src), Handle(4000), 60_000) {
                streams.hold(
                    link,
                    ContextId(src),
                    Handle(4000),
                    60_000,
                    Kind::Data,
                    CREDIT,
                );
                held += cost(60_000);
            }
            if !streams.admits(link, ContextId(src + 1), Handle(4000), 60_000) {
                break 'flood;
            }
        }
        assert!(held <= LINK_STREAMS_BYTES_MAX);
        assert!(streams.admits(Some(LinkId(2)), ContextId(9999), Handle(4000), 60_000));
    }
}
