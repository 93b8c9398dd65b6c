//! What happens when a link or a context is gone: every wait for it ends, at once and once.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Event, Node};
use crate::Set;
use crate::control::{self, DelRoute, Pause};
use crate::handles::Purpose;
use crate::id::{ContextId, Handle, LinkId};
use crate::link::{Link, Side};
use crate::message::{Body, Dead, DeadKind};
use crate::streams::Receipt;
use crate::time::Instant;

impl Node {
    /// A link is closed, for `reason`. Everything behind it is gone.
    ///
    /// When it was the link to the parent, the driver is expected to end the process: a child
    /// does not outlive its parent.
    pub fn handle_closed(&mut self, link: LinkId, reason: &str, _now: Instant) {
        let Some(state) = self.links.remove(&link) else {
            return;
        };
        if state
            .keepalive
            .is_some_and(|it| Some(it.due()) == self.next_probe)
        {
            self.update_next_probe();
        }
        for (from, dst) in state.paused {
            self.queue_pause(from, Pause { dst, paused: false });
        }
        self.assemblies.remove_link(link);
        self.streams.remove_link(link);
        self.logs.remove_link(link);
        self.blocks.remove_link(link);
        // Every wait for a context behind the link, here or elsewhere, names the peer as the cause.
        let mut reason = format!("context {} was lost: {reason}", state.peer);
        if let Some((bytes, _)) = state.decoder.unfinished() {
            reason.push_str(&format!("; a frame broke off after {bytes} bytes"));
        }
        let reason = &*reason;
        let unsent: Set<Handle> = state.outbox.unsent().collect();
        match state.side {
            Side::Child => {
                self.lose(link, alloc::vec![state.peer], reason, &unsent);
            }
            Side::Parent => {
                self.topology.set_parent_link(None);
                let mut ids = self.topology.ancestors.clone();
                ids.sort_unstable();
                self.wake_waiters(&ids, reason, &unsent);
                self.events.push_back(Event::Shutdown);
            }
        }
    }

    /// Removes contexts that were reached by `link`, with all that is known below them, wakes who
    /// waits for them and tells our parent. `unsent` are waits whose messages never left.
    pub(super) fn lose(
        &mut self,
        link: LinkId,
        ids: Vec<ContextId>,
        reason: &str,
        unsent: &Set<Handle>,
    ) {
        let mut lost = self.topology.subtrees(ids);
        lost.retain(|&id| self.topology.remove(id, link));
        if lost.is_empty() {
            return;
        }
        for &id in &lost {
            self.bound.remove(&id);
            self.banned.remove(&id);
        }
        self.assemblies.remove_sources(&lost);
        self.blocks.remove_owners(&lost);
        self.logs.remove(&lost);
        for link in self.links.values_mut() {
            link.outbox.remove_sources(&lost);
        }
        self.resume_lost(&lost);
        self.wake_waiters(&lost, reason, unsent);
        for &id in &lost {
            self.events.push_back(Event::ContextLost {
                id,
                reason: reason.into(),
            });
        }
        self.announce_lost_below(&lost, Some(link), reason);
        self.announce_lost(lost, reason.into());
    }

    /// A child says that contexts behind it are gone.
    pub(super) fn on_del_route(&mut self, link: LinkId, mut route: DelRoute) -> bool {
        // Saying it often must not cost us often.
        route.ids.sort_unstable();
        route.ids.dedup();
        let all_theirs = |&id: &ContextId| self.topology.link_below(id) == Some(link);
        let peer = self.links.get(&link).map(|link| link.peer);
        if route.ids.iter().any(|&id| Some(id) == peer) || !route.ids.iter().all(all_theirs) {
            return false;
        }
        let reason = Dead::new(DeadKind::Disconnected, route.reason).reason;
        self.stats.delivered += 1;
        self.lose(link, route.ids, &reason, &Set::default());
        true
    }

    /// Our parent says that contexts are gone that are neither above nor below us, and that we or
    /// those below us have sent to.
    pub(super) fn on_lost_elsewhere(&mut self, mut route: DelRoute) -> bool {
        route.ids.sort_unstable();
        route.ids.dedup();
        if route.ids.iter().any(|&id| self.topology.is_known(id)) {
            return false;
        }
        let reason = Dead::new(DeadKind::Disconnected, route.reason).reason;
        self.assemblies.remove_sources(&route.ids);
        self.wake_waiters(&route.ids, &reason, &Set::default());
        self.announce_lost_below(&route.ids, None, &reason);
        true
    }

    /// Tells each child behind which someone has sent to one of `lost`, which is sorted; but not
    /// the one that it came from.
    fn announce_lost_below(&mut self, lost: &[ContextId], from: Option<LinkId>, reason: &str) {
        if self.unidirectional {
            return;
        }
        let others = |(&id, link): (&LinkId, &mut Link)| {
            let told = link.side == Side::Child && Some(id) != from;
            let ids = told.then(|| link.contacts.take(lost))?;
            (!ids.is_empty()).then_some((id, ids))
        };
        let mut told: Vec<_> = self.links.iter_mut().filter_map(others).collect();
        told.sort_unstable();
        for (link, ids) in told {
            let reason = reason.into();
            let body = control::encode(&DelRoute { ids, reason });
            self.send_to_neighbour(link, Handle::DEL_ROUTE, body.into());
        }
    }

    /// Ends each wait for one of `lost`, which is sorted.
    pub(super) fn wake_waiters(&mut self, lost: &[ContextId], reason: &str, unsent: &Set<Handle>) {
        self.streams.remove_senders(lost);
        for (handle, respondent) in self.handles.of_respondents(lost) {
            let listener = self.handles.remove(handle);
            let dead = if unsent.contains(&handle) {
                let reason = format!("before the message left, {reason}");
                Dead::new(DeadKind::NoRoute, reason)
            } else {
                Dead::new(DeadKind::Disconnected, reason)
            };
            if let Some(Purpose::Credit(at)) = listener.map(|listener| listener.purpose) {
                self.end_stream(respondent, at, dead);
            } else {
                self.bring_dead(handle, respondent, dead);
            }
        }
    }

    /// Ends the wait on a handle that was removed already.
    pub(super) fn bring_dead(&mut self, handle: Handle, src: ContextId, dead: Dead) {
        self.events.push_back(Event::Message {
            handle,
            src,
            reply_to: Handle::NONE,
            body: Body::Dead(dead),
            receipt: Receipt::default(),
            last: true,
        });
    }

    /// Tells our parent, which tells its own.
    pub(super) fn announce_lost(&mut self, ids: Vec<ContextId>, reason: String) {
        let Some(link) = self.topology.parent_link() else {
            return;
        };
        let body = control::encode(&DelRoute { ids, reason });
        self.send_to_neighbour(link, Handle::DEL_ROUTE, body.into());
    }
}
