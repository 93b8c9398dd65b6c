//! Links that must be heard of: a peer that is silent for too long is lost.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Node;
use crate::id::{Handle, LinkId};
use crate::pulse::{Beat, Pulse};
use crate::time::Instant;

impl Node {
    /// Watches over a link from now on: its peer is asked for a sign of life when it is silent, and
    /// lost when it stays so for as long as `patience` (`F6`).
    ///
    /// A pipe to a process on the same machine ends with the process and needs no watch.
    pub fn watch_link(&mut self, link: LinkId, patience: Duration, now: Instant) {
        if let Some(link) = self.links.get_mut(&link) {
            link.pulse = Some(Pulse::new(patience, now));
            self.watched += 1;
        }
    }

    /// When the next watch is due.
    pub(super) fn next_pulse(&self) -> Option<Instant> {
        if self.watched == 0 {
            return None;
        }
        let pulses = self.links.values().filter_map(|link| link.pulse);
        pulses.map(|pulse| pulse.due()).min()
    }

    /// Looks at each link that is watched.
    pub(super) fn check_pulses(&mut self, now: Instant) {
        if self.watched == 0 {
            return;
        }
        let mut beats: Vec<_> = self
            .links
            .iter_mut()
            .filter_map(|(&id, link)| {
                let pulse = link.pulse.as_mut()?;
                Some((id, pulse.beat(now), pulse.patience()))
            })
            .filter(|(_, beat, _)| *beat != Beat::Alive)
            .collect();
        beats.sort_unstable_by_key(|(id, ..)| *id);
        for (link, beat, patience) in beats {
            if beat == Beat::Ask {
                self.send_to_neighbour(link, Handle::HEARTBEAT, Bytes::new());
            } else {
                let seconds = patience.as_secs_f64();
                self.cut(link, &format!("it gave no sign of life for {seconds} s"));
            }
        }
    }

    /// A neighbour asks for a sign of life.
    pub(super) fn on_heartbeat(&mut self, link: LinkId) {
        self.send_to_neighbour(link, Handle::ALIVE, Bytes::new());
    }
}
