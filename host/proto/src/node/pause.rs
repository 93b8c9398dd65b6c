//! Pausing of large messages by destination, so that small ones need not wait behind them in a pipe
//! that nobody reads.
//!
//! A link that cannot keep up fills its queue. Before the queue is so full that the links that feed
//! it are not read any more, their peers are asked to pause large messages for the contexts behind
//! it. A peer that does not costs others time and nothing else.

use alloc::vec::Vec;

use super::Node;
use crate::control::{self, Pause};
use crate::frame::{Frame, Header};
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{PAUSE_ABOVE, PAUSE_SHARE, PAUSES_MAX, RESUME_BELOW};
use crate::message::Body;

impl Node {
    /// Asks the peer of `from`, which a frame of a large message came from, to pause the rest if
    /// `out` holds too much.
    pub(super) fn request_pause(&mut self, from: LinkId, out: LinkId, header: &Header) {
        if header.first && header.last {
            return;
        }
        let Some(state) = self.links.get_mut(&out) else {
            return;
        };
        let dst = header.dst;
        let is_full = state.outbox.relay_bytes() > PAUSE_ABOVE;
        if !is_full || state.outbox.share(dst) < PAUSE_SHARE {
            return;
        }
        let asked = &mut state.paused;
        if asked.len() < PAUSES_MAX && !asked.contains(&(from, dst)) {
            asked.push((from, dst));
            self.queue_pause(from, Pause { dst, paused: true });
        }
    }

    /// Asks the peers that have paused for the sake of `out` to resume, if it has room again.
    pub(super) fn request_resume(&mut self, out: LinkId) {
        let Some(state) = self.links.get_mut(&out) else {
            return;
        };
        if state.paused.is_empty() {
            return;
        }
        let (outbox, has_room) = (&state.outbox, state.outbox.relay_bytes() < RESUME_BELOW);
        let may_resume =
            |&mut (_, dst): &mut (LinkId, ContextId)| has_room || outbox.share(dst) < PAUSE_SHARE;
        let resumed: Vec<_> = state.paused.extract_if(.., may_resume).collect();
        for (from, dst) in resumed {
            self.queue_pause(from, Pause { dst, paused: false });
        }
    }

    /// A neighbour pauses or resumes large messages for a context beyond it.
    pub(super) fn on_pause(&mut self, link: LinkId, pause: Pause) {
        // The context may be gone by now, or be known to the neighbour alone.
        if self.link_to(pause.dst) != Some(link) {
            return;
        }
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        match pause.paused {
            true => state.outbox.pause(pause.dst),
            false => {
                if state.outbox.resume(pause.dst) {
                    self.announce_ready(link);
                }
            }
        }
    }

    /// Resumes messages for contexts that are gone: the next context on the way refuses them.
    pub(super) fn resume_lost(&mut self, lost: &[ContextId]) {
        let mut freed = Vec::new();
        for (&link, state) in &mut self.links {
            if state.outbox.resume_destinations(lost) {
                freed.push(link);
            }
        }
        freed.sort_unstable();
        for link in freed {
            self.announce_ready(link);
        }
    }

    /// Queues a request to the peer of `to`. One that undoes a request that still waits cancels it.
    pub(super) fn queue_pause(&mut self, to: LinkId, pause: Pause) {
        let Some(state) = self.links.get_mut(&to) else {
            return;
        };
        let pending = &mut state.pending_pauses;
        match pending.iter().position(|waits| waits.dst == pause.dst) {
            Some(at) => {
                pending.remove(at);
            }
            None => pending.push(pause),
        }
        self.announce_ready(to);
    }

    /// Appends the requests that wait for `link`.
    pub(super) fn write_pauses(&mut self, link: LinkId, out: &mut Vec<u8>) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let (peer, pending) = (state.peer, core::mem::take(&mut state.pending_pauses));
        for pause in pending {
            let body = Body::Data(control::encode(&pause).into());
            let message = self.own(peer, Handle::PAUSE, Handle::NONE, body);
            let Frame { header, payload } = self.frame(message);
            header.encode(&payload, out);
        }
    }
}
