//! Keepalive of links: a peer that is silent for too long is lost.

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
    /// Keeps a link alive from now on: a silent peer is sent probes, and is lost when it stays
    /// silent for as long as `patience`.
    ///
    /// A pipe to a process on the same machine ends with the process and needs none.
    pub fn keep_alive(&mut self, link: LinkId, patience: Duration, now: Instant) {
        if let Some(link) = self.links.get_mut(&link) {
            link.keepalive = Some(KeepAlive::new(patience, now));
            self.update_next_probe();
        }
    }

    /// How often a link that may be silent for `patience` is checked.
    pub fn keepalive_interval(patience: Duration) -> Duration {
        KeepAlive::interval(patience)
    }

    /// Notes when the next check is due. The driver asks for that after each input, so it must not
    /// cost a look at each link.
    pub(super) fn update_next_probe(&mut self) {
        let keepalives = self.links.values().filter_map(|link| link.keepalive);
        self.next_probe = keepalives.map(|keepalive| keepalive.due()).min();
    }

    /// Checks each link that is kept alive.
    pub(super) fn probe_links(&mut self, now: Instant) {
        if self.next_probe.is_none_or(|due| now < due) {
            return;
        }
        let mut probes: Vec<_> = self
            .links
            .iter_mut()
            .filter_map(|(&id, link)| {
                let keepalive = link.keepalive.as_mut()?;
                let probe = match link.blocked_by {
                    None => keepalive.check(now),
                    Some(_) => keepalive.check_unread(now),
                };
                Some((id, probe, keepalive.patience()))
            })
            .filter(|(_, probe, _)| *probe != Probe::Alive)
            .collect();
        probes.sort_unstable_by_key(|(id, ..)| *id);
        for (link, probe, patience) in probes {
            if probe == Probe::Send {
                self.send_to_neighbour(link, Handle::HEARTBEAT, Bytes::new());
            } else {
                let seconds = patience.as_secs_f64();
                self.cut(link, &format!("it gave no sign of life for {seconds} s"));
            }
        }
        self.update_next_probe();
    }

    /// A neighbour has sent a probe. One reply answers all probes that came before the link had
    /// room: a peer that does not read must not fill the queue.
    pub(super) fn on_heartbeat(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.owes_alive = true;
            self.announce_ready(link);
        }
    }

    /// Appends the keepalive reply that `link` is due.
    pub(super) fn write_alive(&mut self, link: LinkId, out: &mut Vec<u8>) {
        let Some(state) = self.links.get_mut(&link).filter(|link| link.owes_alive) else {
            return;
        };
        state.owes_alive = false;
        let peer = state.peer;
        let message = self.own(peer, Handle::ALIVE, Handle::NONE, Body::Data(Bytes::new()));
        let Frame { header, payload } = self.frame(message);
        header.encode(&payload, out);
    }
}
