//! Programs that send to each other: streams with credit, messages without, and receivers of all
//! kinds, in any two contexts.
//!
//! The model knows each item: who put it, and that it arrives once, in order and unchanged, unless
//! an end was lost or closed. It counts credit as both ends must.

mod check;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use offshoot_proto::{
    Body, ContextId, Dead, DeadKind, HEADER_LEN, Handle, Listen, ListenError, PutError, Receipt,
    SendError,
};

use crate::model::{Way, check_payload, named_in, payload};
use crate::world::{Action, World};

/// Marks the number of a message outside of any stream.
const LOOSE: usize = 1 << 30;

/// Items of one sender at most.
const ITEMS_MAX: u64 = 40;

/// All programs of a schedule.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    inlets: Vec<Inlet>,
    outlets: Vec<Outlet>,
    items: Vec<Item>,
    posts: Vec<Post>,
    by_handle: BTreeMap<(usize, Handle), usize>,
    streams: BTreeMap<(usize, usize), Stream>,
}

/// A receiver.
#[derive(Debug)]
struct Inlet {
    process: usize,
    handle: Handle,
    /// The only process that may send there.
    only: Option<usize>,
    /// It takes one message.
    once: bool,
    inbox: VecDeque<Waiting>,
    /// The node listens there.
    open: bool,
    /// Microseconds until the next message is taken, at most.
    pace: u64,
    busy: bool,
}

/// A message that its program has not taken yet.
#[derive(Debug)]
struct Waiting {
    receipt: Receipt,
    cost: u64,
    item: Option<usize>,
}

/// A sender.
#[derive(Debug)]
struct Outlet {
    process: usize,
    inlet: usize,
    left: u64,
    large: u64,
    /// The item that waits for credit.
    pending: Option<usize>,
    /// It was told to try again, and will.
    woken: bool,
    open: bool,
    last_arrived: Option<usize>,
}

#[derive(Debug)]
struct Item {
    outlet: usize,
    length: usize,
    /// Which of the streams between its process and the receiver it is of.
    stream: u64,
    sent: bool,
    arrived: bool,
}

#[derive(Debug)]
struct Post {
    process: usize,
    inlet: usize,
    length: usize,
    arrived: bool,
}

/// What the senders of one process share who send to one receiver.
#[derive(Debug, Default)]
struct Stream {
    number: u64,
    sent: u64,
    taken: u64,
}

impl Programs {
    pub(crate) fn inlet(&self, process: usize, handle: Handle) -> Option<usize> {
        self.by_handle.get(&(process, handle)).copied()
    }

    pub(crate) fn open_inlets(&self, process: usize) -> usize {
        let mine = |inlet: &&Inlet| inlet.open && inlet.process == process;
        self.inlets.iter().filter(mine).count()
    }
}

const fn cost(length: usize) -> u64 {
    (HEADER_LEN + length) as u64
}

impl World {
    /// A program does something.
    pub(crate) fn program(&mut self) {
        match self.rng.below(100) {
            0..35 => self.open_inlet(),
            35..80 => self.open_outlet(),
            80..92 => self.post(),
            _ => self.close_one(),
        }
    }

    /// A process whose program may do something.
    fn pick_program(&mut self) -> Option<usize> {
        let may: Vec<usize> = (0..self.processes.len())
            .filter(|&it| self.processes[it].up && self.processes[it].alive)
            .collect();
        let process = *self.rng.pick(&may);
        self.node(process).is_some().then_some(process)
    }

    fn open_inlet(&mut self) {
        let (Some(process), other) = (self.pick_program(), self.pick_up()) else {
            return;
        };
        let only = other.filter(|_| self.rng.chance(400));
        let only = only.filter(|&only| self.is_announced(process, only));
        let once = self.rng.chance(100);
        let pace = *self.rng.pick(&[1, 100, 5000, 40_000]);
        let respondent = only.map(|only| self.processes[only].id);
        let listen = Listen {
            handle: None,
            persist: !once,
            respondent,
            deadline: None,
        };
        let Some(node) = self.node(process) else {
            return;
        };
        let opened = node.listen(&listen);
        self.note(|| format!("process {process} listens for {only:?}: {opened:?}"));
        match (opened, only) {
            (Ok(handle), _) => {
                let number = self.programs.inlets.len();
                self.programs.by_handle.insert((process, handle), number);
                self.programs.inlets.push(Inlet {
                    process,
                    handle,
                    only,
                    once,
                    inbox: VecDeque::new(),
                    open: true,
                    pace,
                    busy: false,
                });
            }
            (Err(ListenError::NoRoute(id)), Some(only)) => {
                let healthy = self.way_between(process, only) == Way::Healthy;
                if healthy && self.knows(process, id) {
                    self.fail(format!("process {process} cannot listen for {only}"));
                }
            }
            (Err(error), _) => self.fail(format!("process {process} cannot listen: {error}")),
        }
        self.drain(process);
    }

    fn open_outlet(&mut self) {
        if self.programs.inlets.is_empty() {
            return;
        }
        let inlet = self.rng.index(self.programs.inlets.len());
        let only = self.programs.inlets[inlet].only;
        let process = match only {
            Some(only) if self.rng.chance(900) => Some(only),
            _ => self.pick_program(),
        };
        let Some(process) = process.filter(|&it| self.node(it).is_some()) else {
            return;
        };
        let outlet = self.programs.outlets.len();
        let there = self.programs.inlets[inlet].process;
        if !self.is_announced(process, there) {
            return;
        }
        self.note(|| format!("outlet {outlet} of process {process} leads to inlet {inlet}"));
        let left = self.rng.range(1, ITEMS_MAX);
        let large = *self.rng.pick(&[0, 0, 50, 300]);
        self.programs.outlets.push(Outlet {
            process,
            inlet,
            left,
            large,
            pending: None,
            woken: false,
            open: true,
            last_arrived: None,
        });
        self.put(outlet);
    }

    /// A program puts its next item, if its stream takes it.
    pub(crate) fn put(&mut self, outlet: usize) {
        let state = &self.programs.outlets[outlet];
        let (process, inlet, large) = (state.process, state.inlet, state.large);
        if !state.open || self.node(process).is_none() {
            return;
        }
        let (dst, handle) = self.address(inlet);
        let there = |node: &mut offshoot_proto::Node| {
            let streams = node.outgoing_streams();
            streams
                .iter()
                .any(|it| it.dst == dst && it.handle == handle)
        };
        let known = self.node(process).is_some_and(there);
        self.programs.outlets[outlet].woken = false;
        let stream = self.programs.streams.entry((process, inlet)).or_default();
        if !known {
            let number = stream.number + 1;
            *stream = Stream {
                number,
                ..Stream::default()
            };
        }
        let number = stream.number;
        let item = match self.programs.outlets[outlet].pending.take() {
            Some(item) => item,
            None => {
                // Some are larger than the window.
                let most = if self.rng.chance(large) {
                    500_000
                } else {
                    9000
                };
                let length = self.rng.below(most) as usize;
                self.programs.items.push(Item {
                    outlet,
                    length,
                    stream: 0,
                    sent: false,
                    arrived: false,
                });
                self.programs.items.len() - 1
            }
        };
        let body: Bytes = payload(item, self.programs.items[item].length).into();
        let length = body.len();
        // What comes of it may come at once, where both ends are here.
        self.programs.items[item].stream = number;
        let result = self.node(process).map(|node| node.put(dst, handle, body));
        self.note(|| format!("outlet {outlet} puts item {item} of {length} bytes: {result:?}"));
        match result {
            Some(Ok(())) => {
                self.programs.items[item].sent = true;
                if let Some(stream) = self.programs.streams.get_mut(&(process, inlet)) {
                    stream.sent += cost(length);
                }
                self.on_put(outlet);
            }
            Some(Err(PutError::NoCredit)) => {
                self.programs.outlets[outlet].pending = Some(item);
            }
            Some(Err(PutError::Ended(dead))) => {
                self.check_end(outlet, &dead);
                self.end_outlet(outlet);
            }
            Some(Err(PutError::Unsent(SendError::NoRoute(id)))) => {
                let there = self.programs.inlets[inlet].process;
                let healthy = self.way_between(process, there) == Way::Healthy;
                if healthy && self.knows(process, id) {
                    self.fail(format!("no way for outlet {outlet}"));
                }
                self.end_outlet(outlet);
            }
            Some(Err(error)) => self.fail(format!("outlet {outlet} cannot put: {error}")),
            None => {}
        }
        self.drain(process);
    }

    fn on_put(&mut self, outlet: usize) {
        let state = &mut self.programs.outlets[outlet];
        state.left -= 1;
        if state.left > 0 {
            let pace = if self.rng.chance(700) { 1 } else { 3000 };
            let at = self.now + self.rng.below(pace);
            return self.schedule(at, Action::Put { outlet });
        }
        let (process, inlet) = (state.process, state.inlet);
        if self.rng.chance(300) {
            let (dst, handle) = self.address(inlet);
            let end = Body::Dead(Dead::new(DeadKind::Closed, "that is all"));
            if let Some(node) = self.node(process) {
                // Where it cannot go, nobody needs it.
                let _ = node.post(dst, handle, Handle::NONE, end);
            }
        }
        self.end_outlet(outlet);
    }

    /// A sender is dropped; with the last one of its process, the stream is.
    fn end_outlet(&mut self, outlet: usize) {
        let state = &mut self.programs.outlets[outlet];
        state.open = false;
        let (process, inlet) = (state.process, state.inlet);
        let others = self.programs.outlets.iter();
        let others = others.filter(|it| it.open && (it.process, it.inlet) == (process, inlet));
        if others.count() > 0 {
            return;
        }
        let (dst, handle) = self.address(inlet);
        if let Some(node) = self.node(process) {
            node.release(dst, handle);
        }
    }

    /// Whether messages find their way: what is not announced everywhere is not there yet.
    fn is_announced(&mut self, from: usize, to: usize) -> bool {
        let meeting = self.meeting(from, to);
        let id = self.processes[to].id;
        meeting == to || self.node(meeting).is_none() || self.knows(meeting, id)
    }

    fn address(&self, inlet: usize) -> (ContextId, Handle) {
        let inlet = &self.programs.inlets[inlet];
        (self.processes[inlet.process].id, inlet.handle)
    }

    /// A stream may end while nobody is lost only if the receiver does not want it.
    fn check_end(&mut self, outlet: usize, dead: &Dead) {
        let state = &self.programs.outlets[outlet];
        let (process, inlet) = (state.process, &self.programs.inlets[state.inlet]);
        let (there, open, only) = (inlet.process, inlet.open, inlet.only);
        let way = self.way_between(process, there);
        if way == Way::Evil {
            return;
        }
        let unwelcome = only.is_some_and(|only| only != process);
        let apart = !self.profile.siblings && self.are_apart(process, there);
        let right = match dead.kind {
            DeadKind::Refused => unwelcome || apart,
            DeadKind::Closed | DeadKind::NoHandle => !open,
            DeadKind::Disconnected | DeadKind::NoRoute => way == Way::Broken,
            _ => false,
        };
        if !right {
            self.fail(format!(
                "outlet {outlet} to process {there} ended: {dead:?}"
            ));
        }
    }

    /// The node says that a stream takes items again, or has ended.
    pub(crate) fn on_writable(&mut self, process: usize, dst: ContextId, handle: Handle) {
        let at = self.now;
        let inlet = self
            .by_id
            .get(&dst)
            .and_then(|&there| self.programs.inlet(there, handle));
        let woken: Vec<usize> = (0..self.programs.outlets.len())
            .filter(|&it| {
                let outlet = &self.programs.outlets[it];
                let mine = outlet.process == process && Some(outlet.inlet) == inlet;
                outlet.open && mine && outlet.pending.is_some()
            })
            .collect();
        for outlet in woken {
            self.programs.outlets[outlet].woken = true;
            self.schedule(at, Action::Put { outlet });
        }
    }

    /// Something has come for a receiver.
    pub(crate) fn on_item(
        &mut self,
        inlet: usize,
        src: ContextId,
        body: &Body,
        receipt: Receipt,
        last: bool,
    ) {
        if !self.programs.inlets[inlet].open {
            return self.fail(format!("inlet {inlet} got something after its end"));
        }
        let item = match body {
            Body::Data(bytes) => self.on_bytes(inlet, src, bytes),
            // To one that takes one message only, it may be that.
            Body::Dead(dead) if last && !self.programs.inlets[inlet].once => {
                self.check_inlet_end(inlet, dead);
                None
            }
            Body::Dead(_) => None,
        };
        let cost = match body {
            Body::Data(bytes) => cost(bytes.len()),
            Body::Dead(dead) => cost(dead.reason.len()),
        };
        let now = self.now;
        let state = &mut self.programs.inlets[inlet];
        state.open = !last;
        if receipt.is_due() {
            state.inbox.push_back(Waiting {
                receipt,
                cost,
                item,
            });
        }
        if !state.busy && !state.inbox.is_empty() {
            state.busy = true;
            let at = now + self.rng.below(state.pace);
            self.schedule(at, Action::Take { inlet });
        }
    }

    /// Bytes are those of an item or a post of someone who may send there, in order and once.
    fn on_bytes(&mut self, inlet: usize, src: ContextId, bytes: &[u8]) -> Option<usize> {
        let sender = self.by_id.get(&src).copied();
        let there = self.programs.inlets[inlet].process;
        let honest = sender.filter(|&it| self.way_between(it, there) != Way::Evil)?;
        let number = named_in(bytes);
        let wrong = |what: &str| format!("inlet {inlet} got {what} {number:?} of {src}");
        let Some(number) = number else {
            self.fail(wrong("no item"));
            return None;
        };
        if number >= LOOSE {
            let post = self.programs.posts.get_mut(number - LOOSE);
            let right = post.is_some_and(|post| {
                let first = !std::mem::replace(&mut post.arrived, true);
                first
                    && (post.process, post.inlet) == (honest, inlet)
                    && check_payload(bytes, number, post.length)
            });
            if !right {
                self.fail(wrong("another post than"));
            }
            return None;
        }
        let Programs { items, outlets, .. } = &mut self.programs;
        let right = items.get_mut(number).is_some_and(|item| {
            let outlet = &mut outlets[item.outlet];
            let first = !std::mem::replace(&mut item.arrived, true);
            let ordered = outlet.last_arrived.is_none_or(|last| last < number);
            outlet.last_arrived = Some(number);
            first
                && ordered
                && (outlet.process, outlet.inlet) == (honest, inlet)
                && check_payload(bytes, number, item.length)
        });
        if !right {
            self.fail(wrong("another item than"));
        }
        Some(number)
    }

    /// A receiver that waits for one context ends with it, and for no other reason.
    fn check_inlet_end(&mut self, inlet: usize, dead: &Dead) {
        let Inlet { process, only, .. } = self.programs.inlets[inlet];
        let Some(only) = only else {
            return self.fail(format!("inlet {inlet} ended: {dead:?}"));
        };
        let way = self.way_between(process, only);
        let apart = !self.profile.siblings && self.are_apart(process, only);
        if way == Way::Healthy && !(apart && dead.kind == DeadKind::Refused) {
            self.fail(format!("inlet {inlet} ended, and all is well: {dead:?}"));
        }
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        !self.is_above(one, other) && !self.is_above(other, one)
    }

    /// A program takes what waits longest.
    pub(crate) fn take(&mut self, inlet: usize) {
        let process = self.programs.inlets[inlet].process;
        self.programs.inlets[inlet].busy = false;
        if self.node(process).is_none() {
            return;
        }
        let state = &mut self.programs.inlets[inlet];
        let Some(waiting) = state.inbox.pop_front() else {
            return;
        };
        if !state.inbox.is_empty() {
            state.busy = true;
            let at = self.now + self.rng.below(state.pace);
            self.schedule(at, Action::Take { inlet });
        }
        if let Some(item) = waiting.item {
            let item = &self.programs.items[item];
            let sender = self.programs.outlets[item.outlet].process;
            if let Some(stream) = self.programs.streams.get_mut(&(sender, inlet))
                && stream.number == item.stream
            {
                stream.taken += waiting.cost;
            }
        }
        if let Some(node) = self.node(process) {
            node.taken(waiting.receipt);
        }
        self.drain(process);
    }

    /// A message outside of any stream.
    fn post(&mut self) {
        let Some(process) = self.pick_program() else {
            return;
        };
        if self.programs.inlets.is_empty() {
            return;
        }
        let inlet = self.rng.index(self.programs.inlets.len());
        let (dst, handle) = self.address(inlet);
        let number = LOOSE + self.programs.posts.len();
        let most = if self.rng.chance(50) { 200_000 } else { 500 };
        let length = self.rng.below(most) as usize;
        self.programs.posts.push(Post {
            process,
            inlet,
            length,
            arrived: false,
        });
        let body = Body::Data(payload(number, length).into());
        if let Some(node) = self.node(process) {
            // Nobody waits for it.
            let _ = node.post(dst, handle, Handle::NONE, body);
        }
        self.drain(process);
    }

    fn close_one(&mut self) {
        if !self.programs.inlets.is_empty() {
            let inlet = self.rng.index(self.programs.inlets.len());
            self.close_inlet(inlet);
        }
    }

    fn close_inlet(&mut self, inlet: usize) {
        let Inlet {
            process, handle, ..
        } = self.programs.inlets[inlet];
        if self.node(process).is_none() {
            return;
        }
        self.note(|| format!("inlet {inlet} is closed"));
        let state = &mut self.programs.inlets[inlet];
        state.open = false;
        state.inbox.clear();
        if let Some(node) = self.node(process) {
            node.unsubscribe(handle);
        }
        self.drain(process);
    }

    /// All programs end: what they hold must go.
    pub(crate) fn end_programs(&mut self) {
        for inlet in 0..self.programs.inlets.len() {
            self.close_inlet(inlet);
        }
        for ((caller, callee), chain) in std::mem::take(&mut self.chains) {
            self.forget_chain(caller, callee, chain);
        }
    }

    /// Handles that an enemy may have guessed: of receivers, and of senders that wait for credit.
    pub(crate) fn guessable(&mut self) -> Vec<(ContextId, Handle)> {
        let mut handles: Vec<_> = (0..self.programs.inlets.len())
            .map(|inlet| self.address(inlet))
            .collect();
        for process in 0..self.processes.len() {
            let id = self.processes[process].id;
            if let Some(node) = self.node(process) {
                let streams = node.outgoing_streams();
                handles.extend(streams.iter().map(|stream| (id, stream.credit)));
            }
        }
        handles
    }
}
