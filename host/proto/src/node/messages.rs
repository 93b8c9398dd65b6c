//! Messages of programs: who listens, what is sent, and how a slow receiver slows its sender.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::inbound::{WAITS_FOR_AN_ANSWER, WAITS_FOR_ANOTHER};
use super::{Event, Node, SendError};
use crate::control;
use crate::frame::{Frame, Header};
use crate::handles::{Listener, NoListener, Purpose};
use crate::id::{ContextId, Handle, LinkId};
use crate::message::{Body, Dead, DeadKind, Message};
use crate::streams::{Arriving, Capacity, Credit, Credited, Kind, Receipt};
use crate::time::Instant;
use crate::topology::Hop;

/// How to listen on a handle for messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listen {
    /// Which handle; `None` allots one that nobody can guess.
    pub handle: Option<Handle>,
    /// Whether it stays after the first message.
    pub persist: bool,
    /// The only context that may send there. When it is lost, a dead message says so, and the
    /// handle is gone.
    pub respondent: Option<ContextId>,
    /// When it ends by itself.
    pub deadline: Option<Instant>,
}

/// Why a handle cannot be listened on. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The router needs it itself.
    #[error(
        "handle {0} is the router's own: choose one from {first}",
        first = Handle::FIRST_FREE
    )]
    Reserved(Handle),
    /// Someone listens there already.
    #[error("cannot register handle {0}: it already exists")]
    Taken(Handle),
    /// Too many handles are listened on, or no numbers are left.
    #[error("no more handles")]
    Exhausted,
    /// The respondent is not there.
    #[error("no route to context {0}")]
    NoRoute(ContextId),
}

/// Why a message cannot be put into a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The receiver has not taken enough yet; [`Event::Writable`] tells when it has.
    #[error("the receiver has not taken enough yet")]
    NoCredit,
    /// The receiver is gone, for this reason. So it stays until the stream is
    /// [released](Node::release).
    #[error("{}", .0.reason)]
    Ended(Dead),
    /// It cannot leave.
    #[error(transparent)]
    Unsent(#[from] SendError),
}

impl Node {
    /// Listens on a handle: what comes there is an [`Event::Message`].
    ///
    /// # Errors
    ///
    /// Fails when the handle is taken or reserved, or there are too many.
    pub fn listen(&mut self, listen: &Listen) -> Result<Handle, ListenError> {
        let listener = Listener {
            respondent: listen.respondent,
            persist: listen.persist,
            deadline: listen.deadline,
            purpose: Purpose::Messages,
        };
        if let Some(respondent) = listen.respondent
            && !self.is_reachable(respondent)
        {
            return Err(ListenError::NoRoute(respondent));
        }
        let handle = match listen.handle {
            None => self
                .handles
                .listen(listener)
                .ok_or(ListenError::Exhausted)?,
            Some(handle) if handle.is_reserved() => return Err(ListenError::Reserved(handle)),
            Some(handle) => match self.handles.listen_at(handle, listener) {
                Ok(()) => handle,
                Err(NoListener::Taken) => return Err(ListenError::Taken(handle)),
                Err(NoListener::TooMany) => return Err(ListenError::Exhausted),
            },
        };
        if let Some(respondent) = listen.respondent {
            self.monitor(respondent, handle);
        }
        Ok(handle)
    }

    /// Monitors a respondent that is neither above nor below this context. The contexts on the way
    /// note who has sent to whom, so that they can announce its loss, and this may be the
    /// first message. A context that has no route to it, or may not forward, answers `handle`.
    fn monitor(&mut self, respondent: ContextId, handle: Handle) {
        if respondent != self.topology.me
            && !self.topology.is_ancestor(respondent)
            && self.topology.link_below(respondent).is_none()
            && let Some(link) = self.topology.parent_link()
        {
            let body = Body::Data(Bytes::new());
            let message = self.own(respondent, Handle::MONITOR, handle, body);
            self.enqueue_message(link, message);
        }
    }

    /// Sends a program's message outside of any stream. It takes no credit, so the receiver
    /// refuses it while [`STREAM_WINDOW`](crate::limits::STREAM_WINDOW) bytes of such messages from
    /// this context wait for its handle.
    ///
    /// # Errors
    ///
    /// Fails when it cannot leave, with [`SendError::ReceiverFull`] where this context itself would
    /// refuse it, and with [`SendError::Reserved`] where it, or the answer, would go to a handle of
    /// the router's own.
    pub fn post(
        &mut self,
        dst: ContextId,
        handle: Handle,
        reply_to: Handle,
        body: Body,
    ) -> Result<(), SendError> {
        refuse_reserved(handle)?;
        if reply_to != Handle::NONE {
            refuse_reserved(reply_to)?;
        }
        if dst == self.topology.me && !self.has_room(handle, &body) {
            return Err(SendError::ReceiverFull(handle));
        }
        self.send(dst, handle, reply_to, body)
    }

    /// Whether a message of this context to one of its own handles can wait there.
    fn has_room(&self, handle: Handle, body: &Body) -> bool {
        let waits = |listener: &Listener| listener.persist && listener.purpose == Purpose::Messages;
        let arriving = Arriving {
            link: None,
            src: self.topology.me,
            handle,
            length: length_of(body),
            kind: kind_of(false, matches!(body, Body::Dead(_))),
            credit: Handle::NONE,
        };
        !self.handles.get(handle).is_some_and(waits) || self.streams.admits(&arriving, 0)
    }

    /// Puts a program's message into the stream from this context to a handle of another.
    ///
    /// # Errors
    ///
    /// Fails when the receiver is behind, gone, or the message cannot leave, and with
    /// [`SendError::Reserved`] for a handle of the router's own.
    pub fn put(&mut self, dst: ContextId, handle: Handle, body: Bytes) -> Result<(), PutError> {
        let length = body.len();
        let credit = match self.streams.capacity(dst, handle, length) {
            Capacity::Available(credit) => credit,
            Capacity::Blocked => return Err(PutError::NoCredit),
            Capacity::Ended(dead) => return Err(PutError::Ended(dead)),
            Capacity::NotOpen => self.open_stream(dst, handle)?,
        };
        self.send_message(Message {
            stream: true,
            ..self.own(dst, handle, credit, Body::Data(body))
        })?;
        self.streams.sent(dst, handle, length);
        Ok(())
    }

    /// Closes the sending side of a stream. It is removed once all was taken.
    pub fn release(&mut self, dst: ContextId, handle: Handle) {
        if let Some(credit) = self.streams.release(dst, handle) {
            self.handles.remove(credit);
        }
    }

    /// The program has taken a message, so its sender gets credit.
    pub fn taken(&mut self, receipt: Receipt) {
        if !receipt.is_due() || !self.streams.take(receipt) {
            return;
        }
        match self.topology.hop(receipt.src) {
            // It is written when the link has room, for all that was taken by then.
            Some(Hop::Link(link)) => {
                self.streams.queue_credit(link, receipt);
                self.announce_ready(link);
            }
            Some(Hop::Here) => {
                if let Some(credit) = self.streams.credit_for(receipt) {
                    self.reply(credit.dst, credit.handle, credit_body(credit));
                }
            }
            None => {}
        }
    }

    /// Appends the frames of credit that those behind `link` are owed.
    pub(super) fn write_credit(&mut self, link: LinkId, out: &mut Vec<u8>, enough: usize) {
        while out.len() < enough
            && let Some(credit) = self.streams.next_credit(link)
        {
            let message = Message {
                answer: true,
                ..self.own(credit.dst, credit.handle, Handle::NONE, credit_body(credit))
            };
            let Frame { header, payload } = self.frame(message);
            header.encode(&payload, out);
        }
    }

    /// Refuses a message that an [`Event::Message`] brought, if its sender waits for an answer.
    pub fn decline(&mut self, src: ContextId, reply_to: Handle, kind: DeadKind, reason: &str) {
        self.stats.refused += 1;
        self.reply_dead(src, reply_to, Dead::new(kind, reason));
    }

    /// Stops to listen on every handle of programs, each of which learns `reason`: this context
    /// ends.
    pub fn close_handles(&mut self, reason: &str) {
        for handle in self.handles.all() {
            if let Some(listener) = self.handles.remove(handle) {
                self.close_streams(handle, &listener);
            }
            let me = self.topology.me;
            self.bring_dead(handle, me, Dead::new(DeadKind::Closed, reason));
        }
    }

    /// Handles a message for a handle that is not the router's own.
    pub(super) fn dispatch_dynamic(&mut self, link: Option<LinkId>, message: Message) {
        let Some(&listener) = self.handles.get(message.handle) else {
            self.refuse_late(&message);
            return;
        };
        if let Some(respondent) = listener.respondent
            && respondent != message.src
            && !self.may_announce_death(&message, respondent)
        {
            self.refuse(&message, DeadKind::Refused, WAITS_FOR_ANOTHER);
            return;
        }
        if !message.answer && listener.purpose != Purpose::Messages {
            // Also where the respondent's own programs say so: they are not who was asked.
            self.refuse(&message, DeadKind::Refused, WAITS_FOR_AN_ANSWER);
            return;
        }
        match listener.purpose {
            Purpose::Call | Purpose::Answer | Purpose::Credit(_) if message.stream => {
                let reason = "no stream is wanted at this handle";
                self.refuse(&message, DeadKind::Refused, reason);
            }
            Purpose::Messages if is_final(&listener, &message) => {
                self.handles.remove(message.handle);
                self.close_streams(message.handle, &listener);
                self.stats.delivered += 1;
                if let Body::Dead(dead) = message.body {
                    self.bring_dead(message.handle, message.src, dead);
                }
            }
            Purpose::Credit(handle) => self.on_credit(message, handle),
            Purpose::Call | Purpose::Answer | Purpose::Messages => {
                self.deliver(link, &listener, message);
            }
        }
    }

    fn deliver(&mut self, link: Option<LinkId>, listener: &Listener, message: Message) {
        let handle = message.handle;
        let receipt = if listener.persist {
            let arriving = Arriving {
                link,
                src: message.src,
                handle,
                length: length_of(&message.body),
                kind: kind_of(message.stream, matches!(message.body, Body::Dead(_))),
                credit: credit_of(message.stream, message.reply_to),
            };
            let unasked = link.map_or(0, |link| self.assemblies.unasked(link));
            if !self.streams.admits(&arriving, unasked) {
                let reason = self.overflow(&arriving, message.reply_to);
                self.refuse(&message, DeadKind::Exhausted, &reason);
                return;
            }
            self.streams.hold(&arriving)
        } else {
            self.handles.remove(handle);
            if listener.respondent.is_none() {
                self.close_streams(handle, listener);
            }
            if message.stream {
                let dead = Dead::new(DeadKind::Closed, "the receiver takes one message only");
                self.reply_dead(message.src, message.reply_to, dead);
            }
            Receipt::default()
        };
        self.stats.delivered += 1;
        self.events.push_back(Event::Message {
            handle,
            src: message.src,
            // Credit is the node's business, not the program's.
            reply_to: if message.stream {
                Handle::NONE
            } else {
                message.reply_to
            },
            body: message.body,
            receipt,
            last: !listener.persist,
        });
    }

    /// What the first of several frames announces.
    pub(super) fn arriving(&self, link: Option<LinkId>, header: &Header) -> Arriving {
        Arriving {
            link,
            src: header.src,
            handle: header.handle,
            length: header.total as usize,
            kind: kind_of(header.stream, header.dead),
            credit: credit_of(header.stream, header.reply_to),
        }
    }

    /// A message does not fit: gives the reason. Its sender learns that by the answer that it waits
    /// for; if there is none to be, by the log.
    pub(super) fn overflow(&mut self, message: &Arriving, reply_to: Handle) -> String {
        let (handle, src, me) = (message.handle, message.src, self.topology.me);
        if message.kind == Kind::Message
            && reply_to == Handle::NONE
            && let Some(count) = self.streams.count_lost(handle, src)
        {
            self.events
                .push_back(Event::Overflow { handle, src, count });
        }
        format!("handle {handle} of context {me} is behind with what context {src} has sent")
    }

    /// Closes the streams to a handle that is not listened on any more. Their senders are told,
    /// and so are the senders of messages that are still arriving.
    pub(super) fn close_streams(&mut self, handle: Handle, listener: &Listener) {
        let from = listener
            .respondent
            .and_then(|respondent| match self.topology.hop(respondent) {
                Some(Hop::Link(link)) => Some((link, respondent)),
                _ => None,
            });
        let mut told = self.streams.close(handle);
        // Usually the same: each is told once.
        told.extend(self.assemblies.close(handle, from));
        told.sort_unstable();
        told.dedup();
        for (src, reply_to) in told {
            let reason = "the receiver has been closed";
            self.reply_dead(src, reply_to, Dead::new(DeadKind::Closed, reason));
        }
    }

    /// Refuses a message for a handle that is not there, but never answers an answer.
    fn refuse_late(&mut self, message: &Message) {
        // Usually an answer that comes after its caller gave up.
        self.stats.late += 1;
        if matches!(message.body, Body::Data(_)) {
            let (handle, me) = (message.handle, self.topology.me);
            let reason = format!("nobody listens on handle {handle} in context {me}");
            let dead = Dead::new(DeadKind::NoHandle, reason);
            self.reply_dead(message.src, message.reply_to, dead);
        }
    }

    fn on_credit(&mut self, message: Message, handle: Handle) {
        let (src, at) = (message.src, message.handle);
        match message.body {
            Body::Data(bytes) => {
                let taken = control::decode::<u64>(&bytes);
                let credited = taken.and_then(|taken| self.streams.on_credit(src, handle, taken));
                let Some(Credited { wake, finished }) = credited else {
                    self.stats.refused += 1;
                    return;
                };
                self.stats.delivered += 1;
                if let Some(credit) = finished {
                    self.handles.remove(credit);
                }
                if wake {
                    self.events.push_back(Event::Writable { dst: src, handle });
                }
            }
            Body::Dead(dead) => {
                let dst = self.handles.remove(at).and_then(|it| it.respondent);
                self.end_stream(dst.unwrap_or(src), handle, dead);
            }
        }
    }

    /// Nothing more can be sent to that handle.
    pub(super) fn end_stream(&mut self, dst: ContextId, handle: Handle, dead: Dead) {
        if self.streams.end(dst, handle, dead) {
            self.events.push_back(Event::Writable { dst, handle });
        }
    }

    fn open_stream(&mut self, dst: ContextId, handle: Handle) -> Result<Handle, SendError> {
        refuse_reserved(handle)?;
        if !self.is_reachable(dst) {
            return Err(SendError::NoRoute(dst));
        }
        let credit = self.listen_for(Listener {
            respondent: Some(dst),
            persist: true,
            deadline: None,
            purpose: Purpose::Credit(handle),
        })?;
        self.streams.open(dst, handle, credit);
        Ok(credit)
    }

    /// Whether anything can be sent to a context at all, as far as is known here.
    pub(super) fn is_reachable(&self, id: ContextId) -> bool {
        match self.topology.hop(id) {
            Some(Hop::Here) => true,
            Some(Hop::Link(_)) => !self.banned.contains(&id),
            None => false,
        }
    }
}

/// Whether a message says that nothing more will come to a handle that would stay: it is the word
/// of a context on the way to the respondent, not the respondent's own.
fn is_final(listener: &Listener, message: &Message) -> bool {
    listener.persist
        && matches!(message.body, Body::Dead(_))
        && listener.respondent.is_some_and(|it| it != message.src)
}

fn length_of(body: &Body) -> usize {
    match body {
        Body::Data(bytes) => bytes.len(),
        Body::Dead(dead) => dead.reason.len(),
    }
}

fn kind_of(stream: bool, dead: bool) -> Kind {
    match (stream, dead) {
        (_, true) => Kind::End,
        (true, false) => Kind::Stream,
        (false, false) => Kind::Message,
    }
}

/// Where a message of a stream is paid for: at a handle that its sender was allotted.
fn credit_of(stream: bool, reply_to: Handle) -> Handle {
    if stream && !reply_to.is_reserved() {
        reply_to
    } else {
        Handle::NONE
    }
}

/// A message bears the authority of this context, which contexts below take orders from. So what
/// programs send never goes to the handles at which orders are taken.
fn refuse_reserved(handle: Handle) -> Result<(), SendError> {
    if handle.is_reserved() {
        return Err(SendError::Reserved(handle));
    }
    Ok(())
}

fn credit_body(credit: Credit) -> Body {
    Body::Data(control::encode(&credit.taken).into())
}
