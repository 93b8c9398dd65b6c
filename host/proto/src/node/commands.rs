//! What the driver asks of a node.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;
use offshoot_abi::{CallErrorKind, CallFailure};

use super::{Node, timeout_micros};
use crate::call_queue::{CallKey, Caller};
use crate::commands_a_terminal;
use crate::control::{self, Arguments, Bind, CallHead, CallOutcome, Connect, Connected, ImageHash};
use crate::depot::Delivery;
use crate::frame::{Frame, Header};
use crate::handles::{Listener, Purpose};
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{CONTROL_MAX, MESSAGE_MAX_DEFAULT, NAME_MAX, OWN_BACKLOG_MAX};
use crate::link::Side;
use crate::message::{Body, Dead, DeadKind, Message};
use crate::outbox::Origin;
use crate::secrets;
use crate::time::Instant;
use crate::topology::Hop;

/// Why a message did not leave. Nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The destination is gone, or was never there.
    #[error("no route to context {0}")]
    NoRoute(ContextId),
    /// The message is larger than the tree allows.
    #[error("message of {size} bytes is too large (max {max})")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The bound.
        max: u32,
    },
    /// The handle is one of the router's own, which no program sends to.
    #[error(
        "handle {0} is reserved for the router: programs use those from {first}",
        first = Handle::FIRST_FREE
    )]
    Reserved(Handle),
    /// The link's queue is full: the messages before this one have to leave first.
    #[error("too many messages wait for context {0}")]
    Backlog(ContextId),
    /// As many messages of this context as may wait for its own handle wait there unread.
    #[error(
        "handle {0} is full: its messages are not read as fast as they are sent; a `Sender` waits"
    )]
    ReceiverFull(Handle),
    /// No more handles, or no more context ids.
    #[error("no more {0}")]
    Exhausted(&'static str),
    /// No ids for new contexts are left of those that this context was granted;
    /// [`Node::request_ids`] asks for more.
    #[error("no context ids are left here; the controller must be asked for more")]
    NeedsIds,
}

/// A call to make.
#[derive(Clone, Debug)]
pub struct CallRequest<'a> {
    /// Where the function runs.
    pub dst: ContextId,
    /// The plugin with its grants; the image must have been given to [`Node::provide_image`].
    pub bind: &'a Arc<Bind>,
    /// The function's name.
    pub function: &'a str,
    /// Digest of its types, or 0.
    pub signature: u64,
    /// Whether it may run beside other calls.
    pub concurrent: bool,
    /// The chain that it belongs to, or 0: it does not run if an earlier call of the chain has
    /// failed.
    pub chain: u64,
    /// Whether its outcome is wanted.
    pub is_awaited: bool,
    /// The arguments.
    pub arguments: Arguments<'a>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// What a caller waits beyond a call's own timeout: the callee's word on it, which names what
/// happened, should have a chance to arrive first.
const GRACE: Duration = Duration::from_millis(500);

impl Node {
    /// Adds the link of a direct child that is expected and has said hello; `None` when it is
    /// not expected any more.
    pub fn attach(&mut self, id: ContextId) -> Option<LinkId> {
        let link = self.add_link(Side::Child, id);
        if !self.topology.attach(id, link) {
            self.links.remove(&link);
            return None;
        }
        Some(link)
    }

    /// A context that was allotted will not appear.
    pub fn abandon(&mut self, id: ContextId, reason: &str) {
        let reason = &*format!("context {id} did not appear: {reason}");
        if self.topology.remove_expected(id) {
            self.announce_lost(alloc::vec![id], reason.into());
        } else if let Some(link) = self.topology.link_below(id) {
            self.lose(link, alloc::vec![id], reason, &crate::Set::default());
        }
    }

    /// Asks `via` to make a child, whose id was allotted. The answer is a [`Connected`]. Where its
    /// progress is wanted, the handle stays until it is [unsubscribed](Self::unsubscribe), and what comes
    /// there before the answer counts against the window of a stream.
    ///
    /// # Errors
    ///
    /// Fails when `via` is gone.
    pub fn connect_via(
        &mut self,
        via: ContextId,
        connect: &Connect,
        now: Instant,
    ) -> Result<Handle, SendError> {
        let timeout = connect.options.timeout.saturating_add(GRACE);
        let reply_to = self.listen_for(Listener {
            respondent: Some(via),
            persist: connect.wants_progress,
            deadline: Some(now + timeout),
            purpose: Purpose::Answer,
        })?;
        self.send_or_forget(via, Handle::CONNECT, reply_to, secrets::encode(connect))
    }

    /// Has `via` give up a child that it was asked for, or end it if it is up already.
    pub fn cancel_connect(&mut self, via: ContextId, id: ContextId) {
        let body = Body::Data(control::encode(&id).into());
        let _ = self.send(via, Handle::CANCEL_CONNECT, Handle::NONE, body);
    }

    /// A child of this context is given up: it will not be attached any more, or is asked to end if
    /// it is attached already.
    pub fn cancel_expected(&mut self, id: ContextId) {
        let link = self.link_to(id);
        match link.and_then(|link| self.peer_of(link)) {
            Some(peer) if peer == id => self.shut_down(id),
            _ if self.topology.remove_expected(id) => {
                let reason = format!("context {id} did not appear: its connection was cancelled");
                self.announce_lost(alloc::vec![id], reason.as_str().into());
            }
            _ => {}
        }
    }

    /// Answers an [`Event::Connect`](super::Event::Connect), or reports its progress.
    pub fn answer_connect(&mut self, src: ContextId, reply_to: Handle, connected: &Connected) {
        let body = Body::Data(control::encode(connected).into());
        self.reply(src, reply_to, body);
    }

    /// Keeps an image, so that calls can use it and other contexts can get it.
    ///
    /// # Errors
    ///
    /// Fails when the depot is full, or when no message could carry the image.
    pub fn provide_image(&mut self, hash: ImageHash, image: &Bytes) -> Result<(), SendError> {
        let (size, max) = (Delivery::len_with(image), MESSAGE_MAX_DEFAULT);
        if size > max as usize {
            return Err(SendError::TooLarge { size, max });
        }
        if self.depot.insert(hash, image.clone()) {
            Ok(())
        } else {
            Err(SendError::Exhausted("room for plugin images"))
        }
    }

    /// Sends an image of the depot to a context below, unless it has it.
    ///
    /// # Errors
    ///
    /// Fails when there is no such context below.
    pub fn send_image(&mut self, hash: ImageHash, dst: ContextId) -> Result<(), SendError> {
        if self.topology.link_below(dst).is_none() {
            return Err(SendError::NoRoute(dst));
        }
        self.deliver_image(hash, dst);
        Ok(())
    }

    /// Whether `dst` was told of a binding, and so has its image or will have it.
    pub fn is_bound(&self, dst: ContextId, key: &control::BindingKey) -> bool {
        self.bound.get(&dst).is_some_and(|told| told.contains(key))
    }

    /// Makes a call. The answer, a [`CallOutcome`], goes to the handle, which is
    /// [`Handle::NONE`] if none is wanted; on the first call of a binding the image travels ahead
    /// of it.
    ///
    /// # Errors
    ///
    /// Fails when it cannot leave; nothing has happened then.
    pub fn call(&mut self, request: CallRequest<'_>, now: Instant) -> Result<Handle, SendError> {
        let dst = request.dst;
        self.tell_binding(dst, request.bind)?;
        let timeout = timeout_micros(request.timeout);
        let head = CallHead {
            binding: request.bind.key,
            signature: request.signature,
            timeout,
            // Whether a call may run depends on those before it.
            concurrent: request.concurrent && request.chain == 0,
            chain: request.chain,
            function: request.function,
        };
        let body = head.body(request.arguments);
        if !request.is_awaited {
            self.send(
                dst,
                Handle::CALL_FUNCTION,
                Handle::NONE,
                Body::Data(body.into()),
            )?;
            return Ok(Handle::NONE);
        }
        let deadline = request
            .timeout
            .map(|timeout| now + timeout.saturating_add(GRACE));
        let reply_to = self.listen_for(Listener {
            respondent: Some(dst),
            persist: false,
            deadline,
            purpose: Purpose::Call,
        })?;
        self.send_or_forget(dst, Handle::CALL_FUNCTION, reply_to, body.into())
    }

    /// Ends the wait on a handle; says whether there was one. A call that it waited for is
    /// cancelled where it runs.
    pub fn unsubscribe(&mut self, handle: Handle) -> bool {
        self.asked_ids.take_if(|asked| *asked == handle);
        let Some(listener) = self.handles.remove(handle) else {
            // It has ended; what its program has not taken is void.
            self.streams.close(handle);
            return false;
        };
        self.on_unsubscribed(handle, &listener);
        true
    }

    /// Forgets a chain of calls that were made to `dst`.
    pub fn forget_chain(&mut self, dst: ContextId, chain: u64) {
        let body = Body::Data(control::encode(&chain).into());
        let _ = self.send(dst, Handle::FORGET_CHAIN, Handle::NONE, body);
    }

    /// Says how a call that [`Event::Run`](super::Event::Run) named has ended.
    pub fn finish(&mut self, key: CallKey, outcome: CallOutcome, now: Instant) {
        if let Some(caller) = self.call_queue.finish(key, &outcome) {
            self.reply_call(caller, outcome);
            self.schedule(now);
        }
    }

    /// Lets a context below us outlive its parent; an empty answer comes to the handle.
    ///
    /// # Errors
    ///
    /// Fails when it cannot leave.
    pub fn detach(&mut self, id: ContextId) -> Result<Handle, SendError> {
        let reply_to = self.listen_for(Listener {
            respondent: Some(id),
            persist: false,
            deadline: None,
            purpose: Purpose::Answer,
        })?;
        self.send_or_forget(id, Handle::DETACH, reply_to, Bytes::new())
    }

    /// Asks a context below us to end.
    pub fn shut_down(&mut self, id: ContextId) {
        let body = Body::Data(Bytes::new());
        let _ = self.send(id, Handle::SHUTDOWN, Handle::NONE, body);
    }

    /// Whether `name` can be a context's: it ends up in command lines, logs and file names.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn check_name(name: &str) -> Result<(), String> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(format!("name `{name}` must have 1 to {NAME_MAX} bytes"));
        }
        match name.chars().find(|&c| c == '/' || commands_a_terminal(c)) {
            None => Ok(()),
            Some(c) => Err(format!(
                "name `{}` must not contain {c:?}",
                name.escape_debug()
            )),
        }
    }

    /// Lets go of what belongs to a wait that ends without an answer.
    pub(super) fn on_unsubscribed(&mut self, handle: Handle, listener: &Listener) {
        self.close_streams(handle, listener);
        if let (Purpose::Call, Some(callee)) = (listener.purpose, listener.respondent) {
            let body = Body::Data(control::encode(&handle).into());
            let _ = self.send(callee, Handle::CANCEL, Handle::NONE, body);
        }
    }

    pub(super) fn reply_call(&mut self, caller: Caller, outcome: CallOutcome) {
        let max = match outcome {
            CallOutcome::Value(_) => self.message_max,
            CallOutcome::Failed(_) => self.message_max.max(CONTROL_MAX),
        };
        let body = outcome.encode();
        let body = if body.len() > max as usize {
            let size = body.len();
            let reason = format!("a result of {size} bytes is too large (max {max})");
            CallOutcome::Failed(CallFailure::new(CallErrorKind::LimitExceeded, reason)).encode()
        } else {
            body
        };
        self.reply(caller.context, caller.reply_to, Body::Data(body));
    }

    pub(super) fn reply_dead(&mut self, dst: ContextId, reply_to: Handle, dead: Dead) {
        self.reply(dst, reply_to, Body::Dead(dead));
    }

    /// Sends the image towards `toward`, or the word to pass it on where it is known already.
    pub(super) fn deliver_image(&mut self, hash: ImageHash, toward: ContextId) {
        let Some(link) = self.topology.link_below(toward) else {
            return;
        };
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let image = match self.depot.get(&hash) {
            Some(image) if state.images.insert(hash) => image.clone(),
            Some(_) if state.peer == toward => return,
            // Either the peer has it, or it must learn that it will not come.
            _ => Bytes::new(),
        };
        let delivery = Delivery {
            hash,
            toward,
            image,
        };
        self.send_to_neighbour(link, Handle::LOAD_IMAGE, delivery.encode());
    }

    pub(super) fn send_to_neighbour(&mut self, link: LinkId, handle: Handle, body: Bytes) {
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else {
            return;
        };
        let message = self.own(peer, handle, Handle::NONE, Body::Data(body));
        self.enqueue_message(link, message);
    }

    /// Tells `dst` once which image runs with which grants, and sends the image ahead.
    fn tell_binding(&mut self, dst: ContextId, bind: &Arc<Bind>) -> Result<(), SendError> {
        if self.is_bound(dst, &bind.key) {
            return Ok(());
        }
        if self.topology.link_below(dst).is_none() {
            return Err(SendError::NoRoute(dst));
        }
        self.deliver_image(bind.image, dst);
        let body = Body::Data(control::encode(&**bind).into());
        self.send(dst, Handle::BIND, Handle::NONE, body)?;
        self.bound.entry(dst).or_default().insert(bind.key);
        Ok(())
    }

    pub(super) fn listen_for(&mut self, listener: Listener) -> Result<Handle, SendError> {
        self.handles
            .listen(listener)
            .ok_or(SendError::Exhausted("handles"))
    }

    /// Sends a message that is answered at `reply_to`, which ends at once when it cannot leave.
    pub(super) fn send_or_forget(
        &mut self,
        dst: ContextId,
        handle: Handle,
        reply_to: Handle,
        body: Bytes,
    ) -> Result<Handle, SendError> {
        match self.send(dst, handle, reply_to, Body::Data(body)) {
            Ok(()) => Ok(reply_to),
            Err(error) => {
                self.handles.remove(reply_to);
                Err(error)
            }
        }
    }

    pub(super) fn send(
        &mut self,
        dst: ContextId,
        handle: Handle,
        reply_to: Handle,
        body: Body,
    ) -> Result<(), SendError> {
        let message = self.own(dst, handle, reply_to, body);
        self.send_message(message)
    }

    pub(super) fn send_message(&mut self, message: Message) -> Result<(), SendError> {
        let dst = message.dst;
        let size = match &message.body {
            Body::Data(bytes) => bytes.len(),
            Body::Dead(_) => 0,
        };
        let max = self.message_max_at(message.handle, message.answer);
        if size > max as usize {
            return Err(SendError::TooLarge { size, max });
        }
        let link = match self.topology.hop(dst) {
            Some(Hop::Link(link)) => link,
            Some(Hop::Here) => {
                self.deliver_here(message);
                return Ok(());
            }
            None => return Err(SendError::NoRoute(dst)),
        };
        if !self.banned.is_empty() && self.banned.contains(&dst) {
            return Err(SendError::NoRoute(dst));
        }
        let backlog = self.links.get(&link).map(|link| link.outbox.own_bytes());
        if backlog.is_some_and(|backlog| backlog + size > OWN_BACKLOG_MAX) {
            return Err(SendError::Backlog(dst));
        }
        self.enqueue_message(link, message);
        Ok(())
    }

    /// Sends an answer. The one who waits for it is told of its loss by others if it cannot
    /// leave, so there is nobody to tell here.
    pub(super) fn reply(&mut self, dst: ContextId, reply_to: Handle, body: Body) {
        self.reply_as(self.topology.me, dst, reply_to, body);
    }

    /// Sends an answer on the authority of `auth`, which is this context or below it.
    pub(super) fn reply_as(
        &mut self,
        auth: ContextId,
        dst: ContextId,
        reply_to: Handle,
        body: Body,
    ) {
        // Nodes wait for answers at handles that were allotted. A peer that names another one
        // would get an order on the authority of this context.
        if reply_to.is_reserved() {
            return;
        }
        let message = Message {
            auth,
            answer: true,
            ..self.own(dst, reply_to, Handle::NONE, body)
        };
        match self.topology.hop(dst) {
            Some(Hop::Link(link)) => self.enqueue_message(link, message),
            Some(Hop::Here) => self.deliver_here(message),
            None => {}
        }
    }

    /// Hands over a message of this context to itself. The router's own handles are for others:
    /// a context that waits for itself would wait for ever.
    fn deliver_here(&mut self, message: Message) {
        if message.handle.is_reserved() {
            let reason = "a context does not send that to itself";
            self.refuse(&message, DeadKind::Refused, reason);
        } else {
            self.dispatch_dynamic(None, message);
        }
    }

    pub(super) fn own(
        &self,
        dst: ContextId,
        handle: Handle,
        reply_to: Handle,
        body: Body,
    ) -> Message {
        Message {
            dst,
            src: self.topology.me,
            auth: self.topology.me,
            handle,
            reply_to,
            stream: false,
            answer: false,
            body,
        }
    }

    pub(super) fn enqueue_message(&mut self, link: LinkId, message: Message) {
        let frame = self.frame(message);
        self.enqueue(link, frame, Origin::Own);
    }

    /// The next message of this context as one frame, which the outbox will cut.
    pub(super) fn frame(&mut self, message: Message) -> Frame {
        let (dead, payload) = match message.body {
            Body::Data(bytes) => (false, bytes),
            Body::Dead(dead) => (true, dead.to_bytes()),
        };
        self.next_message = self.next_message.wrapping_add(1);
        let header = Header {
            first: true,
            last: true,
            dead,
            stream: message.stream,
            answer: message.answer,
            hops: 0,
            number: self.next_message,
            total: payload.len() as u32,
            dst: message.dst,
            src: message.src,
            auth: message.auth,
            handle: message.handle,
            reply_to: message.reply_to,
        };
        Frame { header, payload }
    }
}
