//! Links that do not end by themselves: whoever is at the other end is asked for signs of life.

use std::time::Duration;

use offshoot_proto::LinkId;

use super::Driver;

impl Driver {
    /// Takes the peer of a link for lost once it gives no sign of life for so long.
    pub fn watch(&self, link: LinkId, lost_after: Duration) {
        self.drive(|state, now| state.node.watch_link(link, lost_after, now));
    }

    /// Asks those that were silent for a sign of life, and gives up those that gave none.
    pub(super) fn look_after_links(&self) {
        self.drive(|state, now| state.node.handle_timeout(now));
    }
}
