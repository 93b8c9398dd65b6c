//! One context's part of the tree.

mod commands;
mod dispatch;
mod gauges;
mod ids;
mod inbound;
mod keepalive;
mod logs;
mod lost;
mod messages;
mod pause;
mod routes;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

pub use commands::{CallRequest, SendError};
pub use gauges::Gauges;
pub use messages::{Listen, ListenError, PutError};
pub use routes::{Route, RouteError};

use self::logs::Logs;
use crate::assembly::Assemblies;
use crate::blocks::Blocks;
use crate::call_queue::{CallKey, CallQueue};
use crate::control::{
    Bind, BindingKey, CallBody, CallOutcome, Connect, ImageHash, LogRecord, Welcome,
};
use crate::depot::{Depot, ImageState};
use crate::handles::Handles;
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{MESSAGE_MAX_DEFAULT, REFUSALS_BACKLOG_MAX, RELAY_BACKLOG_MAX};
use crate::link::{Link, Side};
use crate::message::Body;
use crate::streams::{Receipt, Streams};
use crate::time::Instant;
use crate::topology::{Hop, Topology};
use crate::{Map, Set};

/// Why a plugin's name leads to no binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBinding {
    /// No plugin of that name was given to this context.
    Unknown,
    /// It was given with different grants or limits, so that its name means none of them.
    Ambiguous,
}

/// The state machine of one context. See the [crate's documentation](crate) for its contract.
#[derive(Debug)]
pub struct Node {
    topology: Topology,
    message_max: u32,
    links: Map<LinkId, Link>,
    next_link: u32,
    /// When the next keepalive check of a link is due.
    next_probe: Option<Instant>,
    blocks: Blocks,
    /// The handle at which we wait for a block of ids.
    asked_ids: Option<Handle>,
    /// Whether messages between two of our children are refused.
    unidirectional: bool,
    next_message: u32,
    assemblies: Assemblies,
    handles: Handles,
    streams: Streams,
    logs: Logs,
    call_queue: CallQueue,
    depot: Depot,
    bindings: Map<BindingKey, Arc<Bind>>,
    /// The bindings of each plugin name, in the order in which they came.
    binding_names: Map<String, Vec<BindingKey>>,
    /// What we have told each context about bindings.
    bound: Map<ContextId, Set<BindingKey>>,
    /// Contexts behind a neighbour that broke the rules too often.
    banned: Set<ContextId>,
    events: VecDeque<Event>,
    /// Links that have got something to send since the driver last asked.
    ready_links: VecDeque<LinkId>,
    stats: Stats,
    /// Whether the bytes of the last input may contain a password.
    secrets_in: bool,
    /// Whether the bytes of the last transmit may.
    secrets_out: bool,
}

/// Something that the driver must act on.
#[derive(Debug)]
pub enum Event {
    /// A message for a handle that this context listens on. A dead body says that there will be
    /// no answer, or that its sender has closed.
    Message {
        /// The handle.
        handle: Handle,
        /// Who sent it.
        src: ContextId,
        /// Where an answer goes.
        reply_to: Handle,
        /// What it says.
        body: Body,
        /// To be given to [`Node::taken`] when the program has taken the message.
        receipt: Receipt,
        /// Whether the handle is gone now: it was for one message, or its respondent is lost.
        last: bool,
    },
    /// A stream takes messages again, or has ended: a [`Node::put`] that was refused for want of
    /// credit may be tried again.
    Writable {
        /// The receiver's context.
        dst: ContextId,
        /// Its handle.
        handle: Handle,
    },
    /// Messages without an answer did not fit behind those that wait for a handle, and are lost.
    /// It is reported for the first, the second, the fourth, and so on.
    Overflow {
        /// The handle.
        handle: Handle,
        /// The context that sent them.
        src: ContextId,
        /// How many there were so far.
        count: u64,
    },
    /// Nobody answered in time; the handle is gone.
    Expired {
        /// The handle.
        handle: Handle,
    },
    /// An image that [`Node::expect_image`] was asked for is here, or will not come.
    Image {
        /// Which one.
        hash: ImageHash,
    },
    /// A call is to be run; [`Node::finish`] must follow, once.
    Run(Run),
    /// A call that runs is wanted no more; [`Node::finish`] must follow all the same.
    CancelRun(CallKey),
    /// An ancestor gives up a child that it wanted below us: [`Node::cancel_expected`] must follow.
    CancelConnect {
        /// The child's id.
        id: ContextId,
    },
    /// An ancestor wants a child below us; [`Node::answer_connect`] must
    /// follow, once, behind any progress that is reported.
    Connect {
        /// Who asks.
        src: ContextId,
        /// Where the answer goes.
        reply_to: Handle,
        /// What it asks for. Its id is expected: [`Node::attach`] will accept it.
        connect: Connect,
    },
    /// A context below us logged something.
    Log {
        /// The context.
        src: ContextId,
        /// The record.
        record: LogRecord,
    },
    /// The controller granted ids that [`Node::request_ids`] asked for: try again.
    IdsGranted,
    /// It did not, or is gone.
    IdsRefused {
        /// Why not.
        reason: String,
    },
    /// A context below us is gone.
    ContextLost {
        /// Which one.
        id: ContextId,
        /// What happened.
        reason: String,
    },
    /// The link must be closed: its peer broke the rules. It counts as closed already.
    CutLink {
        /// The link.
        link: LinkId,
        /// The context at its other end.
        peer: ContextId,
        /// What the peer did.
        reason: String,
    },
    /// An ancestor ends this context.
    Shutdown,
    /// This context or an ancestor ends a direct child, which may not hear it.
    ChildEnding {
        /// Its link.
        link: LinkId,
    },
    /// An ancestor lets this context outlive its parent.
    Detach,
    /// A direct child will outlive this context, and must not be ended with its link.
    ChildDetached {
        /// Its link.
        link: LinkId,
    },
}

/// A call that is to be run.
#[derive(Debug)]
pub struct Run {
    /// Names the call.
    pub key: CallKey,
    /// The context that made it.
    pub caller: ContextId,
    /// Whether anyone waits for its outcome.
    pub is_awaited: bool,
    /// The plugin and its grants.
    pub bind: Arc<Bind>,
    /// The call.
    pub body: CallBody,
    /// When it must be over.
    pub deadline: Option<Instant>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages handed to someone in this context.
    pub delivered: u64,
    /// Frames passed on to another link.
    pub forwarded: u64,
    /// Messages that came too late for a handle that is gone.
    pub late: u64,
    /// Messages that a rule refused.
    pub refused: u64,
    /// Messages that no peer of this build would send.
    pub violations: u64,
}

impl Node {
    /// The root of a tree. `seed` makes its handles hard to guess.
    pub fn controller(seed: u64) -> Self {
        let topology = Topology::new(ContextId::CONTROLLER, Vec::new());
        Self {
            blocks: Blocks::all(),
            ..Self::new(topology, seed, MESSAGE_MAX_DEFAULT)
        }
    }

    /// A child that `welcome` made welcome, and the link to its parent.
    pub fn child(welcome: &Welcome, seed: u64) -> (Self, LinkId) {
        let topology = Topology::new(welcome.id, welcome.parents.clone());
        let mut node = Self::new(topology, seed, welcome.message_max);
        node.unidirectional = welcome.unidirectional;
        let parent = welcome.parents.first().copied().unwrap_or_default();
        let link = node.add_link(Side::Parent, parent);
        node.topology.set_parent_link(Some(link));
        (node, link)
    }

    fn new(topology: Topology, seed: u64, message_max: u32) -> Self {
        Self {
            topology,
            message_max,
            links: Map::default(),
            next_link: 0,
            next_probe: None,
            blocks: Blocks::default(),
            asked_ids: None,
            unidirectional: true,
            next_message: 0,
            assemblies: Assemblies::default(),
            handles: Handles::new(seed),
            streams: Streams::default(),
            logs: Logs::default(),
            call_queue: CallQueue::default(),
            depot: Depot::default(),
            bindings: Map::default(),
            binding_names: Map::default(),
            bound: Map::default(),
            banned: Set::default(),
            events: VecDeque::new(),
            ready_links: VecDeque::new(),
            stats: Stats::default(),
            secrets_in: false,
            secrets_out: false,
        }
    }

    /// This context's id.
    pub fn id(&self) -> ContextId {
        self.topology.me
    }

    /// Ids from the nearest ancestor to the controller.
    pub fn parent_ids(&self) -> &[ContextId] {
        &self.topology.ancestors
    }

    /// Bytes of a message at most.
    pub fn message_max(&self) -> u32 {
        self.message_max
    }

    /// Whether messages between two children of one context are refused. They are,
    /// unless the controller allows them.
    pub fn unidirectional(&self) -> bool {
        self.unidirectional
    }

    /// Decides that. Contexts that exist keep to what they were told, so this belongs before the
    /// first one.
    pub fn set_unidirectional(&mut self, unidirectional: bool) {
        self.unidirectional = unidirectional;
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Contexts known below this one.
    pub fn descendants(&self) -> usize {
        self.topology.len()
    }

    /// The link that leads to a context, if any does.
    pub fn link_to(&self, id: ContextId) -> Option<LinkId> {
        match self.topology.hop(id)? {
            Hop::Link(link) => Some(link),
            Hop::Here => None,
        }
    }

    /// The neighbour at the other end of a link.
    pub fn peer_of(&self, link: LinkId) -> Option<ContextId> {
        self.links.get(&link).map(|link| link.peer)
    }

    /// The direct children that are up, in order.
    pub fn children(&self) -> Vec<ContextId> {
        let links = self.links.values().filter(|link| link.side == Side::Child);
        let mut children: Vec<_> = links.map(|link| link.peer).collect();
        children.sort_unstable();
        children
    }

    /// The parent of a context below this one.
    pub fn parent_of(&self, id: ContextId) -> Option<ContextId> {
        Some(self.topology.way_to(id)?.1)
    }

    /// Changes how many bytes a message may have, in a controller that has no children yet.
    ///
    /// # Panics
    ///
    /// Panics where there is a tree already: its contexts have been told.
    pub fn set_message_max(&mut self, bytes: u32) {
        assert!(
            self.topology.me == ContextId::CONTROLLER && self.links.is_empty(),
            "the tree must not exist yet"
        );
        self.message_max = bytes.min(MESSAGE_MAX_DEFAULT);
    }

    /// Handles that are listened on.
    pub fn listeners(&self) -> usize {
        self.handles.len()
    }

    /// Calls of others that wait here, and calls that run.
    pub fn calls(&self) -> (usize, usize) {
        (self.call_queue.queued(), self.call_queue.running())
    }

    /// The image of that hash, if it is here.
    pub fn image(&self, hash: &ImageHash) -> Option<&Bytes> {
        self.depot.get(hash)
    }

    /// Where an image is that an ancestor has named. If it has not come yet,
    /// [`Event::Image`] will tell.
    pub fn expect_image(&mut self, hash: &ImageHash) -> ImageState {
        self.depot.expect(hash)
    }

    /// Forgets an image that proved not to be what its hash says.
    pub fn discard_image(&mut self, hash: &ImageHash) {
        self.depot.remove(hash);
        // Calls that need it must fail: nobody will send it again.
        self.depot.remove_waiting(*hash);
    }

    /// The binding of a plugin by its name, for other plugins of this context: the one that came
    /// last, if all of them have the same grants and limits.
    pub fn binding_of(&self, plugin: &str) -> Result<&Arc<Bind>, NoBinding> {
        let keys = self.binding_names.get(plugin);
        let mut binds = keys.into_iter().flatten().map(|key| &self.bindings[key]);
        let last = binds.next_back().ok_or(NoBinding::Unknown)?;
        match binds.all(|bind| (&bind.grants, bind.limits) == (&last.grants, last.limits)) {
            true => Ok(last),
            false => Err(NoBinding::Ambiguous),
        }
    }

    /// The next thing for the driver to act on.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        Some(self.answer_to_driver(event))
    }

    /// Whether there is something for the driver to act on.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// A link that has got something to send since it was last named here.
    pub fn poll_ready_link(&mut self) -> Option<LinkId> {
        while let Some(id) = self.ready_links.pop_front() {
            if let Some(link) = self.links.get_mut(&id) {
                link.announced = false;
                return Some(id);
            }
        }
        None
    }

    /// Appends frames for `link` to `out`, about `enough` bytes of them; says whether there were
    /// any. Ask again while the link has room.
    pub fn poll_transmit(&mut self, link: LinkId, out: &mut Vec<u8>, enough: usize) -> bool {
        let before = out.len();
        self.write_alive(link, out);
        self.write_pauses(link, out);
        self.write_credit(link, out, enough);
        self.secrets_out = false;
        if let Some(state) = self.links.get_mut(&link) {
            self.secrets_out = state.outbox.fill(out, enough);
            if let Some(keepalive) = &mut state.keepalive {
                keepalive.on_sent(out.len() - before);
            }
            self.request_resume(link);
        }
        out.len() > before
    }

    /// Whether a password may be in what the last [`handle_bytes`](Self::handle_bytes) took in.
    /// The driver overwrites its copy of it then.
    pub fn took_in_secrets(&self) -> bool {
        self.secrets_in
    }

    /// Whether a password may be in what the last [`poll_transmit`](Self::poll_transmit) gave, and
    /// so is to be overwritten once it was sent.
    pub fn gave_out_secrets(&self) -> bool {
        self.secrets_out
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let unwatched = self.poll_timeout_of_waits();
        unwatched.into_iter().chain(self.next_probe).min()
    }

    /// The same without keepalive, for a driver that calls
    /// [`handle_timeout`](Self::handle_timeout) every
    /// [`keepalive_interval`](Self::keepalive_interval) anyway.
    pub fn poll_timeout_of_waits(&mut self) -> Option<Instant> {
        let waits = self.handles.next_deadline().into_iter();
        let calls = self.call_queue.next_deadline();
        waits.chain(calls).chain(self.next_log_note()).min()
    }

    /// Ends the waits whose time is up, and checks the links that are kept alive.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.probe_links(now);
        while let Some((handle, listener)) = self.handles.expire(now) {
            self.on_unsubscribed(handle, &listener);
            self.events.push_back(Event::Expired { handle });
        }
        let mut expired = false;
        while let Some((caller, failure)) = self.call_queue.expire(now) {
            expired = true;
            self.reply_call(caller, CallOutcome::Failed(failure));
        }
        if expired {
            self.schedule(now);
        }
        self.note_dropped_logs(now);
    }

    /// Whether the driver may read from `link`: not while what came from it waits for a link
    /// that is too slow.
    pub fn may_read(&mut self, link: LinkId) -> bool {
        let Some(blocked_by) = self.links.get(&link).and_then(|link| link.blocked_by) else {
            return true;
        };
        let slow = self.links.get(&blocked_by);
        // Resuming at half the bound keeps a slow link from being fed frame by frame.
        if slow.is_some_and(|slow| {
            slow.outbox.relay_bytes() > RELAY_BACKLOG_MAX / 2
                || slow.outbox.refusals_to_others() > REFUSALS_BACKLOG_MAX / 2
        }) {
            return false;
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.blocked_by = None;
        }
        true
    }

    fn add_link(&mut self, side: Side, peer: ContextId) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(id, Link::new(side, peer));
        id
    }
}

/// A wait in the form of control bodies: whole microseconds, 0 for none.
fn timeout_micros(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |timeout| {
        u64::try_from(timeout.as_micros())
            .unwrap_or(u64::MAX)
            .max(1)
    })
}
