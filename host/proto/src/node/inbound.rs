//! From a link's bytes to a message for this context, or to the next link.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Event, Node};
use crate::assembly::{Arrival, Claim};
use crate::frame::{Arrived, Frame, Header};
use crate::handles::Purpose;
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{
    ANNOUNCEMENT_MAX, CONTROL_MAX, HOPS_MAX, MESSAGE_MAX_DEFAULT, REFUSALS_BACKLOG_MAX,
    RELAY_BACKLOG_MAX, VIOLATIONS_MAX,
};
use crate::link::Side;
use crate::message::{Body, Dead, DeadKind};
use crate::outbox::Origin;
use crate::secrets;
use crate::time::Instant;
use crate::topology::Hop;
use crate::trust::{self, Trusted, Violation};

/// Why a message is refused that did not come from the respondent.
pub(super) const WAITS_FOR_ANOTHER: &str = "the handle waits for another context";

/// Why a program's message is refused where a node's answer is waited for.
pub(super) const WAITS_FOR_AN_ANSWER: &str =
    "the handle waits for an answer, which no program can send";

impl Node {
    /// Takes in what a link delivered.
    pub fn handle_bytes(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        self.secrets_in = false;
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let side = state.side;
        if let Some(keepalive) = &mut state.keepalive {
            keepalive.on_activity();
        }
        let mut frames = Vec::new();
        let result = state.decoder.take_in(bytes, &mut frames);
        let has_secrets = |frame: &Arrived<'_>| secrets::may_be_in(&frame.header);
        self.secrets_in = state.decoder.may_hold_secrets() || frames.iter().any(has_secrets);
        for frame in frames {
            match trust::authenticate(&self.topology, link, side, frame) {
                Ok(trusted) => self.route_inbound(trusted, now),
                Err(violation) => self.offend_link(link, violation),
            }
            // An offence may have cut the link; what came behind it is void.
            if !self.links.contains_key(&link) {
                return;
            }
        }
        if let Err(error) = result {
            self.cut(link, &format!("{error}"));
        }
    }

    fn route_inbound(&mut self, trusted: Trusted<'_>, now: Instant) {
        let header = trusted.frame.header;
        if !self.banned.is_empty() && self.banned.contains(&header.src) {
            self.stats.refused += 1;
            return;
        }
        let max = self.message_max_of(&header);
        if header.total > max {
            let reason = format!("message of {} bytes is too large (max {max})", header.total);
            self.refuse_frame(&header, DeadKind::TooLarge, &reason);
            return;
        }
        match self.topology.hop(header.dst) {
            Some(Hop::Here) => self.assemble(trusted, now),
            Some(Hop::Link(out)) if out != trusted.link => self.forward(trusted, out),
            // The parent believes that the destination is below us, and it is not.
            _ => {
                let (dst, me) = (header.dst, self.topology.me);
                let reason = format!("no route to context {dst} from context {me}");
                if header.first && !header.dead {
                    // A context elsewhere cannot know that we are on the way; those between us
                    // can tell that `dst` is here once it is announced.
                    let here = self.topology.expects(dst);
                    let auth = if here { dst } else { me };
                    let dead = Body::Dead(Dead::new(DeadKind::NoRoute, reason));
                    self.reply_as(auth, header.src, header.reply_to, dead);
                }
            }
        }
    }

    /// Bytes that a message may have. What the router itself says is bounded by what it is, and must
    /// arrive however little a program may send: waits end with it.
    fn message_max_of(&self, header: &Header) -> u32 {
        self.message_max_at(header.handle, header.answer || header.dead)
    }

    /// The same by the handle, and whether it is an answer or a refusal.
    pub(super) fn message_max_at(&self, handle: Handle, is_answer: bool) -> u32 {
        match handle {
            Handle::DEL_ROUTE => ANNOUNCEMENT_MAX,
            Handle::LOAD_IMAGE | Handle::BIND | Handle::CONNECT => MESSAGE_MAX_DEFAULT,
            Handle::CALL_FUNCTION => self.message_max,
            _ if is_answer || handle.is_reserved() => self.message_max.max(CONTROL_MAX),
            _ => self.message_max,
        }
    }

    fn assemble(&mut self, trusted: Trusted<'_>, now: Instant) {
        let Trusted { link, side, frame } = trusted;
        let header = frame.header;
        let claim = if header.first && !header.last {
            match self.wants(link, side, &header) {
                Ok(claim) => claim,
                Err((kind, reason)) => {
                    self.stats.refused += 1;
                    self.refuse_frame(&header, kind, &reason);
                    return;
                }
            }
        } else {
            Claim::Asked
        };
        match self.assemblies.push(link, frame, claim) {
            Arrival::Whole(message) => self.dispatch(link, side, message, now),
            Arrival::Partial => {}
            Arrival::Stray => self.stats.late += 1,
            Arrival::Contradiction => self.offend(link, header.src, Violation::Contradiction),
        }
    }

    /// Whether a message is worth the memory that it takes until it is whole. Those that are one
    /// frame are judged when they are dispatched.
    fn wants(
        &mut self,
        link: LinkId,
        side: Side,
        header: &Header,
    ) -> Result<Claim, (DeadKind, String)> {
        let (handle, me) = (header.handle, self.topology.me);
        if handle.is_reserved() {
            let neighbour = self.links.get(&link).map(|link| link.peer) == Some(header.src);
            let wanted = match handle {
                Handle::DEL_ROUTE => neighbour && header.total <= ANNOUNCEMENT_MAX,
                // All that others say to the other fixed handles is short.
                _ => side == Side::Parent && self.topology.is_ancestor(header.auth),
            };
            let reason = || format!("nobody waits for that at handle {handle} in context {me}");
            let refusal = || (DeadKind::NoHandle, reason());
            return wanted.then_some(Claim::Asked).ok_or_else(refusal);
        }
        let Some(&listener) = self.handles.get(handle) else {
            let reason = format!("nobody listens on handle {handle} in context {me}");
            return Err((DeadKind::NoHandle, reason));
        };
        if listener.respondent.is_some_and(|it| it != header.src) {
            return Err((DeadKind::Refused, WAITS_FOR_ANOTHER.into()));
        }
        if !header.answer && listener.purpose != Purpose::Messages {
            return Err((DeadKind::Refused, WAITS_FOR_AN_ANSWER.into()));
        }
        if !listener.persist && listener.respondent.is_some() {
            return Ok(Claim::Asked);
        }
        let message = self.arriving(Some(link), header);
        if self.streams.admits(&message, self.assemblies.unasked(link)) {
            Ok(Claim::Unasked)
        } else {
            Err((
                DeadKind::Exhausted,
                self.overflow(&message, header.reply_to),
            ))
        }
    }

    fn forward(&mut self, trusted: Trusted<'_>, out: LinkId) {
        let Trusted { link, side, frame } = trusted;
        let mut header = frame.header;
        let Some(out_link) = self.links.get(&out) else {
            return;
        };
        if self.unidirectional && side == Side::Child && out_link.side == Side::Child {
            let (src, dst, me) = (header.src, header.dst, self.topology.me);
            let reason = format!(
                "context {me} does not pass messages between its children ({src} to {dst})"
            );
            self.stats.refused += 1;
            self.refuse_frame(&header, DeadKind::Refused, &reason);
            return;
        }
        header.hops += 1;
        if header.hops >= HOPS_MAX {
            // The next one would count it against us.
            self.offend(link, header.src, Violation::Hops);
            return;
        }
        self.stats.forwarded += 1;
        let mut origin = Origin::Relay;
        if !self.unidirectional {
            if side == Side::Child && header.first {
                self.note_contact(link, &header);
            }
            // The rest of a message in several frames may never come, either.
            if header.first && (header.stream || !header.last) {
                self.note_sender(out, header.src);
            }
            if header.dead && !self.was_asked_for(out, header.src) {
                origin = Origin::Unasked;
            }
        }
        let payload = frame.keep().payload;
        let backlog = self.enqueue(out, Frame { header, payload }, origin);
        self.request_pause(link, out, &header);
        if backlog > RELAY_BACKLOG_MAX
            && let Some(link) = self.links.get_mut(&link)
        {
            // The first one stays: a second one that drains must not let this link go on feeding it.
            link.blocked_by.get_or_insert(out);
        }
    }

    /// Notes that someone behind `link` may come to wait for `dst`. The end of an ancestor is
    /// everyone's, so nobody needs to be told of it.
    fn note_contact(&mut self, link: LinkId, header: &Header) {
        if !self.topology.is_ancestor(header.dst)
            && let Some(link) = self.links.get_mut(&link)
        {
            link.contacts.note(header.dst);
            let wants_answer = !header.dead && header.reply_to != Handle::NONE;
            link.asked = link.asked.saturating_add(wants_answer.into());
        }
    }

    /// Notes that someone behind `out` receives a stream of `src`, or the first part of a message,
    /// and must hear of its end.
    fn note_sender(&mut self, out: LinkId, src: ContextId) {
        if !self.topology.is_ancestor(src)
            && let Some(out) = self.links.get_mut(&out)
            && out.side == Side::Child
        {
            out.contacts.note(src);
        }
    }

    /// Whether a refusal by `src` can be one that someone behind `out` has asked for. Without
    /// this, a sibling could have others cut off for what it sends them.
    fn was_asked_for(&mut self, out: LinkId, src: ContextId) -> bool {
        if self.topology.is_ancestor(src) {
            return true;
        }
        let Some(link) = self.links.get_mut(&out) else {
            return false;
        };
        let asked = link.asked > 0;
        link.asked = link.asked.saturating_sub(1);
        asked
    }

    /// Queues a frame and gives the bytes that the link now holds for others.
    pub(super) fn enqueue(&mut self, link: LinkId, frame: Frame, origin: Origin) -> usize {
        let Some(state) = self.links.get_mut(&link) else {
            return 0;
        };
        let Header {
            handle, dst, auth, ..
        } = frame.header;
        let is_order = dst == state.peer
            && matches!(handle, Handle::DETACH | Handle::SHUTDOWN)
            && (auth == self.topology.me || self.topology.is_ancestor(auth));
        if is_order {
            state.detaching |= handle == Handle::DETACH;
            if handle == Handle::SHUTDOWN && !core::mem::replace(&mut state.ending, true) {
                self.events.push_back(Event::ChildEnding { link });
            }
        }
        state.outbox.push(frame, origin);
        let backlog = state.outbox.relay_bytes();
        if state.side == Side::Child {
            if state.outbox.refusals_to_peer() > REFUSALS_BACKLOG_MAX {
                self.cut(
                    link,
                    "it asked for what it was refused, and did not read the refusals",
                );
            } else if state.outbox.refusals_to_others() > REFUSALS_BACKLOG_MAX {
                // It only passes on what others ask. Whoever does not read is next to someone
                // who will notice.
                state.blocked_by.get_or_insert(link);
            }
        }
        self.announce_ready(link);
        backlog
    }

    /// Tells the driver that there is something to send.
    pub(super) fn announce_ready(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link)
            && !state.announced
        {
            state.announced = true;
            self.ready_links.push_back(link);
        }
    }

    /// Answers a message that cannot go on, once, and never answers an answer.
    fn refuse_frame(&mut self, header: &Header, kind: DeadKind, reason: &str) {
        if header.first && !header.dead {
            self.reply_dead(header.src, header.reply_to, Dead::new(kind, reason));
        }
    }

    /// Counts an offence of `src`, which came by `link`.
    ///
    /// Only a neighbour's offences count against the link: others use it too, and it cannot know
    /// what its descendants send to us.
    pub(super) fn offend(&mut self, link: LinkId, src: ContextId, violation: Violation) {
        let Some(state) = self.links.get(&link) else {
            return;
        };
        let neighbour = state.peer == src;
        if state.side == Side::Parent && !neighbour && !self.topology.is_ancestor(src) {
            // Nobody is to lose a parent for what a sibling says through it.
            self.stats.violations += 1;
            return;
        }
        if state.side == Side::Parent || neighbour {
            self.offend_link(link, violation);
            return;
        }
        self.stats.violations += 1;
        let reason = rules_broken(violation);
        if self.topology.count_offence(src) > VIOLATIONS_MAX && self.banned.insert(src) {
            self.assemblies.remove_sources(&[src]);
            self.wake_waiters(&[src], &reason, &crate::Set::default());
            self.events
                .push_back(Event::ContextLost { id: src, reason });
        }
    }

    /// Counts an offence of the peer of `link`, and cuts the link at one too many.
    fn offend_link(&mut self, link: LinkId, violation: Violation) {
        self.stats.violations += 1;
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.violations += 1;
        if state.violations > VIOLATIONS_MAX {
            self.cut(link, &rules_broken(violation));
        }
    }

    pub(super) fn cut(&mut self, link: LinkId, reason: &str) {
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else {
            return;
        };
        self.events.push_back(Event::CutLink {
            link,
            peer,
            reason: reason.into(),
        });
        self.handle_closed(link, reason, Instant::default());
    }
}

fn rules_broken(last: Violation) -> String {
    format!("it broke the rules more than {VIOLATIONS_MAX} times; the last: {last}")
}
