//! Links that must be heard of: a peer that is silent for too long is lost.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Node;
use crate::frame::Frame;
use crate::id::{Handle, LinkId};
use crate::keepalive::{KeepAlive, Probe};
use crate::message::Body;
use crate::time::Instant;

impl Node {
    /// Watches over a link from now on: its peer is asked for a sign of life when it is silent, and
    /// lost when it stays so for as long as `patience`.
    ///
    /// A pipe to a process on the same machine ends with the process and needs no watch.
    pub fn watch_link(&mut self, link: LinkId, patience: Duration, now: Instant) {
        if let Some(link) = self.links.get_mut(&link) {
            link.pulse = Some(KeepAlive::new(patience, now));
            self.note_next_pulse();
        }
    }

    /// How often a link that may be silent for `patience` is looked at.
    pub fn watch_interval(patience: Duration) -> Duration {
        KeepAlive::interval(patience)
    }

    /// Notes when the next watch is due: whoever asks for it, which is often, must not have to
    /// look at each link.
    pub(super) fn note_next_pulse(&mut self) {
        let pulses = self.links.values().filter_map(|link| link.pulse);
        self.next_pulse = pulses.map(|pulse| pulse.due()).min();
    }

    /// Looks at each link that is watched.
    pub(super) fn check_pulses(&mut self, now: Instant) {
        if self.next_pulse.is_none_or(|due| now < due) {
            return;
        }
        let mut beats: Vec<_> = self
            .links
            .iter_mut()
            .filter_map(|(&id, link)| {
                let pulse = link.pulse.as_mut()?;
                let beat = match link.blocked_by {
                    None => pulse.beat(now),
                    Some(_) => pulse.beat_unread(now),
                };
                Some((id, beat, pulse.patience()))
            })
            .filter(|(_, beat, _)| *beat != Probe::Alive)
            .collect();
        beats.sort_unstable_by_key(|(id, ..)| *id);
        for (link, beat, patience) in beats {
            if beat == Probe::Ask {
                self.send_to_neighbour(link, Handle::HEARTBEAT, Bytes::new());
            } else {
                let seconds = patience.as_secs_f64();
                self.cut(link, &format!("it gave no sign of life for {seconds} s"));
            }
        }
        self.note_next_pulse();
    }

    /// A neighbour asks for a sign of life. It gets one when the link has room, however often it
    /// asks: one that does not read must not fill our queue.
    pub(super) fn on_heartbeat(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.owes_sign = true;
            self.announce_ready(link);
        }
    }

    /// Appends the sign of life that `link` is owed.
    pub(super) fn write_sign(&mut self, link: LinkId, out: &mut Vec<u8>) {
        let Some(state) = self.links.get_mut(&link).filter(|link| link.owes_sign) else {
            return;
        };
        state.owes_sign = false;
        let peer = state.peer;
        let message = self.own(peer, Handle::ALIVE, Handle::NONE, Body::Data(Bytes::new()));
        let Frame { header, payload } = self.frame(message);
        header.encode(&payload, out);
    }
}
