//! Keepalive of links that do not end by themselves.

use std::time::Duration;

use offshoot_proto::LinkId;

use super::Driver;

impl Driver {
    /// Has silent peers of a link sent probes, and the link cut once a peer is silent for so long.
    pub fn keep_alive(&self, link: LinkId, lost_after: Duration) {
        self.drive(|state, now| state.node.keep_alive(link, lost_after, now));
    }

    /// Sends the probes that are due, and cuts the links of peers that are lost.
    pub(super) fn probe_links(&self) {
        self.drive(|state, now| state.node.handle_timeout(now));
    }
}
