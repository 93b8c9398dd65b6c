//! Large messages that are held back where the way beyond is full, so that small ones need not wait
//! behind them in a pipe that nobody reads.
//!
//! A link that cannot keep up fills its queue. Before that is so full that what feeds it is not read
//! any more, those who feed it are asked to keep large messages for the contexts behind it. That
//! is a courtesy: nothing depends on it but how long others wait.

use alloc::vec::Vec;

use super::Node;
use crate::control::{self, HoldBack};
use crate::frame::{Frame, Header};
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{GO_ON_BELOW, HOLD_ABOVE, HOLD_SHARE, HOLDS_MAX};
use crate::message::Body;

impl Node {
    /// Asks the neighbour that a frame of a large message came from to keep the rest, if `out`
    /// holds too much.
    pub(super) fn ask_to_hold(&mut self, from: LinkId, out: LinkId, header: &Header) {
        if header.first && header.last {
            return;
        }
        let Some(state) = self.links.get_mut(&out) else {
            return;
        };
        let dst = header.dst;
        let is_full = state.outbox.relay_bytes() > HOLD_ABOVE;
        if !is_full || state.outbox.share(dst) < HOLD_SHARE {
            return;
        }
        let asked = &mut state.held_back;
        if asked.len() < HOLDS_MAX && !asked.contains(&(from, dst)) {
            asked.push((from, dst));
            self.say_hold(from, dst, true);
        }
    }

    /// Tells those that hold back for a link that has room again.
    pub(super) fn let_go_on(&mut self, out: LinkId) {
        let Some(state) = self.links.get_mut(&out) else {
            return;
        };
        if state.held_back.is_empty() {
            return;
        }
        let (outbox, has_room) = (&state.outbox, state.outbox.relay_bytes() < GO_ON_BELOW);
        let may_go_on =
            |&mut (_, dst): &mut (LinkId, ContextId)| has_room || outbox.share(dst) < HOLD_SHARE;
        let free: Vec<_> = state.held_back.extract_if(.., may_go_on).collect();
        for (from, dst) in free {
            self.say_hold(from, dst, false);
        }
    }

    /// A neighbour wants large messages for a context beyond it to be held back, or sent again.
    pub(super) fn on_hold_back(&mut self, link: LinkId, wish: HoldBack) {
        // The context may be gone by now, or be known to the neighbour alone.
        if self.link_to(wish.dst) != Some(link) {
            return;
        }
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        match wish.hold {
            true => state.outbox.hold(wish.dst),
            false => {
                if state.outbox.go_on(wish.dst) {
                    self.announce_ready(link);
                }
            }
        }
    }

    /// Sends again what was held back for contexts that are gone: whoever is next says so of them.
    pub(super) fn hold_nothing_for(&mut self, lost: &[ContextId]) {
        let mut freed = Vec::new();
        for (&link, state) in &mut self.links {
            if state.outbox.forget_destinations(lost) {
                freed.push(link);
            }
        }
        freed.sort_unstable();
        for link in freed {
            self.announce_ready(link);
        }
    }

    /// Has a neighbour told that, unless it has not been told the opposite yet.
    pub(super) fn say_hold(&mut self, to: LinkId, dst: ContextId, hold: bool) {
        let Some(state) = self.links.get_mut(&to) else {
            return;
        };
        let unsaid = state.wishes.iter().position(|wish| wish.dst == dst);
        match unsaid {
            Some(at) => {
                state.wishes.remove(at);
            }
            None => state.wishes.push(HoldBack { dst, hold }),
        }
        self.announce_ready(to);
    }

    /// Appends what the peer of `link` is to be told.
    pub(super) fn write_wishes(&mut self, link: LinkId, out: &mut Vec<u8>) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let (peer, wishes) = (state.peer, core::mem::take(&mut state.wishes));
        for wish in wishes {
            let body = Body::Data(control::encode(&wish).into());
            let message = self.own(peer, Handle::HOLD_BACK, Handle::NONE, body);
            let Frame { header, payload } = self.frame(message);
            header.encode(&payload, out);
        }
    }
}
