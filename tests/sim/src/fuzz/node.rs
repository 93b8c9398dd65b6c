//! A node in the middle of a tree, and anything at all on its links.
//!
//! The bytes are a script: each step names a link and what comes out of it, which is raw bytes or
//! a frame whose fields the script chooses, with a checksum that fits.

use std::collections::BTreeSet;

use bytes::Bytes;
use offshoot_proto::control::{
    self, AddRoute, CallOutcome, Connect, ConnectOptions, GrantIds, Method, Welcome,
};
use offshoot_proto::limits::{
    CALLS_CONCURRENT_MAX, CONTACTS_MAX, LINK_STREAMS_BYTES_MAX, MESSAGE_MAX_DEFAULT,
    OWN_BACKLOG_MAX, REFUSALS_BACKLOG_MAX,
};
use offshoot_proto::{
    ContextId, Decoder, Event, Handle, Header, Instant, LinkId, Listen, Node, Receipt, Route,
};

use crate::forge::{self, View};
use crate::rng::Rng;

const ME: ContextId = ContextId(1);
const CHILDREN: [ContextId; 2] = [ContextId(2), ContextId(3)];
/// Below the first child.
const GRANDCHILD: ContextId = ContextId(4);
/// Ids that the first child may give away.
const GRANTED: (u32, u32) = (5, 20);

/// Where programs of the node listen, and for whom.
const ANYONES: Handle = Handle(500);
const FIRST_CHILDS: Handle = Handle(501);
/// Where the children's programs do.
const THERE: Handle = Handle(900);

struct Script<'a> {
    left: &'a [u8],
}

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let (&byte, left) = self.left.split_first().unwrap_or((&0, self.left));
        self.left = left;
        byte
    }

    fn bytes(&mut self, length: usize) -> &[u8] {
        let (bytes, left) = self.left.split_at(length.min(self.left.len()));
        self.left = left;
        bytes
    }

    /// A number that is small, or near a power of two, or near its end.
    fn number(&mut self) -> u64 {
        let (shape, value) = (self.byte(), u64::from(self.byte()));
        match shape % 4 {
            0 => value,
            1 => 1000 + value,
            2 => (1 << (shape >> 2)) + value,
            _ => u64::MAX - value,
        }
    }

    fn context(&mut self) -> ContextId {
        match self.byte() {
            known @ 0..200 => ContextId(u32::from(known % 7)),
            _ => ContextId(self.number() as u32),
        }
    }

    fn handle(&mut self) -> Handle {
        match self.byte() {
            known @ 0..180 => Handle(100 + u64::from(known % 22)),
            known @ 180..200 => Handle(500 + u64::from(known % 2)),
            _ => Handle(self.number()),
        }
    }
}

struct Rig {
    node: Node,
    parent: LinkId,
    children: [LinkId; 2],
    cut: BTreeSet<LinkId>,
    /// Ids in blocks that the parent granted while the script ran.
    granted_above: BTreeSet<ContextId>,
    number: u32,
    /// Messages that no program has taken yet.
    untaken: Vec<Receipt>,
}

/// A node bears anything: it does not panic, keeps within its bounds, does nothing that only an
/// ancestor may ask for because a child asked, and lets no link suffer for what came by another.
///
/// # Panics
///
/// If that does not hold.
pub fn node(data: &[u8]) {
    for unidirectional in [true, false] {
        play(rig(unidirectional), data);
    }
}

fn play(mut rig: Rig, data: &[u8]) {
    let mut script = Script { left: data };
    while !script.left.is_empty() {
        let step = script.byte();
        let link = match step % 4 {
            0 | 1 => rig.children[0],
            2 => rig.children[1],
            _ => rig.parent,
        };
        let bytes = match step / 4 % 8 {
            0 => {
                let length = usize::from(script.byte());
                script.bytes(length).to_vec()
            }
            1 => rig.forged(link, script.number()),
            _ => rig.frame(&mut script),
        };
        rig.feed(link, &bytes);
    }
}

fn rig(unidirectional: bool) -> Rig {
    let welcome = Welcome {
        id: ME,
        parents: vec![ContextId::CONTROLLER],
        name: String::new(),
        message_max: MESSAGE_MAX_DEFAULT,
        log_level: 3,
        unidirectional,
        traces: Default::default(),
        lost_after_ms: 0,
    };
    let (mut node, parent) = Node::child(&welcome, 7);
    let mut bytes = Vec::new();
    for id in CHILDREN {
        let connect = Connect {
            id,
            method: Method::Local {
                remote_name: None,
                child_path: None,
            },
            options: ConnectOptions {
                name: None,
                log_level: 3,
                traces: Default::default(),
                timeout: std::time::Duration::from_millis(1),
            },
            wants_progress: false,
        };
        order(Handle::CONNECT, &control::encode(&connect), &mut bytes);
    }
    node.handle_bytes(parent, &bytes, Instant(0));
    let children = CHILDREN.map(|id| node.attach(id).expect("a child that was ordered"));
    let route = AddRoute {
        id: GRANDCHILD,
        toward: CHILDREN[0],
    };
    bytes.clear();
    order(Handle::ADD_ROUTE, &control::encode(&route), &mut bytes);
    let grant = GrantIds {
        owner: CHILDREN[0],
        first: GRANTED.0,
        count: GRANTED.1,
    };
    order(Handle::GRANT_IDS, &control::encode(&grant), &mut bytes);
    node.handle_bytes(parent, &bytes, Instant(0));
    while node.poll_event().is_some() {}
    assert_eq!(node.descendants(), 3);
    for (handle, respondent) in [(ANYONES, None), (FIRST_CHILDS, Some(CHILDREN[0]))] {
        let listen = Listen {
            handle: Some(handle),
            persist: true,
            respondent,
            deadline: None,
        };
        node.listen(&listen).expect("a handle that is free");
    }
    for child in CHILDREN {
        let item = Bytes::from_static(b"item");
        node.put(child, THERE, item).expect("a way to a child");
    }
    Rig {
        node,
        parent,
        children,
        cut: BTreeSet::new(),
        granted_above: BTreeSet::new(),
        number: 1000,
        untaken: Vec::new(),
    }
}

/// Appends a message of the controller to the node.
fn order(handle: Handle, body: &[u8], out: &mut Vec<u8>) {
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: 1,
        total: body.len() as u32,
        dst: ME,
        src: ContextId::CONTROLLER,
        auth: ContextId::CONTROLLER,
        handle,
        reply_to: Handle::NONE,
    };
    header.encode(body, out);
}

impl Rig {
    /// A frame whose fields come from the script.
    fn frame(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let flags = script.byte();
        if flags & 8 == 0 {
            self.number += 1;
        }
        let (dst, src) = (script.context(), script.context());
        let auth = if flags & 16 == 0 {
            src
        } else {
            script.context()
        };
        let (handle, reply_to) = (script.handle(), script.handle());
        let hops = if flags & 32 == 0 { 0 } else { script.byte() };
        let length = usize::from(script.byte());
        let payload = script.bytes(length).to_vec();
        let total = if flags & 64 == 0 {
            payload.len() as u32
        } else {
            script.number() as u32
        };
        let header = Header {
            first: flags & 1 == 0,
            last: flags & 2 == 0,
            dead: flags & 4 != 0,
            stream: flags & 8 != 0,
            answer: flags & 16 != 0,
            hops,
            number: self.number,
            total,
            dst,
            src,
            auth,
            handle,
            reply_to,
        };
        let mut out = Vec::new();
        header.encode(&payload, &mut out);
        out
    }

    /// Frames of an enemy that knows what bodies look like.
    fn forged(&mut self, link: LinkId, seed: u64) -> Vec<u8> {
        let me = match self.children.iter().position(|&child| child == link) {
            Some(index) => CHILDREN[index],
            None => ContextId::CONTROLLER,
        };
        let view = View {
            me,
            above: vec![ME, ContextId::CONTROLLER],
            guessed: self.guessable(),
            granted: (GRANTED.0..GRANTED.0 + 3).map(ContextId).collect(),
            known: vec![
                ContextId::CONTROLLER,
                ME,
                CHILDREN[0],
                CHILDREN[1],
                GRANDCHILD,
            ],
            seen: Vec::new(),
        };
        let mut out = Vec::new();
        let mut rng = Rng::new(seed);
        for _ in 0..4 {
            let forge = *rng.pick(&[
                forge::frame,
                forge::borrowed,
                forge::growing,
                forge::streaming,
            ]);
            forge(&mut rng, &view, &mut self.number, &mut out);
        }
        out
    }

    /// Handles of the node that an enemy may have guessed.
    fn guessable(&self) -> Vec<(ContextId, Handle)> {
        let streams = self.node.outgoing_streams();
        let credits = streams.iter().map(|stream| (ME, stream.credit));
        let programs = [(ME, ANYONES), (ME, FIRST_CHILDS)];
        programs.into_iter().chain(credits).collect()
    }

    fn feed(&mut self, link: LinkId, bytes: &[u8]) {
        let from_above = link == self.parent;
        let before = self.node.routes();
        self.node.handle_bytes(link, bytes, Instant(0));
        if from_above {
            let blocks = self.node.granted_blocks().into_iter();
            let ids = blocks.flat_map(|(_, first, count)| first..first + count);
            self.granted_above.extend(ids.map(ContextId));
        }
        while let Some(event) = self.node.poll_event() {
            if from_above || self.cut.contains(&self.parent) {
                self.obey(event, link);
            } else {
                self.check_child_event(&event, link, &before);
            }
        }
        for link in [self.parent, self.children[0], self.children[1]] {
            let mut out = Vec::new();
            while self.node.poll_transmit(link, &mut out, 4096) {
                let mut frames = Vec::new();
                Decoder::default()
                    .push(&out, &mut frames)
                    .expect("its own frames are frames");
                out.clear();
            }
        }
        let gauges = self.node.gauges();
        assert!(
            gauges.own_backlog <= OWN_BACKLOG_MAX + REFUSALS_BACKLOG_MAX,
            "{gauges:?}"
        );
        assert!(gauges.calls_waiting <= gauges.calls_queued, "{gauges:?}");
        assert!(
            gauges.calls_running <= 1 + CALLS_CONCURRENT_MAX,
            "{gauges:?}"
        );
        assert!(gauges.contacts <= CONTACTS_MAX, "{gauges:?}");
        assert!(gauges.held_bytes <= 3 * LINK_STREAMS_BYTES_MAX);
        for stream in self.node.outgoing_streams() {
            assert!(stream.taken <= stream.sent, "{stream:?}");
        }
        assert_eq!(gauges.links + self.cut.len(), 3, "{gauges:?}");
        if !from_above {
            self.check_announced(&before);
        }
    }

    /// What a child announces was granted to it, and is behind it.
    fn check_announced(&self, before: &[Route]) {
        let (first, count) = GRANTED;
        for route in self.node.routes() {
            let granted = self.granted_above.contains(&route.id)
                || (first..first + count).contains(&route.id.0) && route.through == CHILDREN[0];
            assert!(
                before.contains(&route) || granted,
                "a child placed context {}",
                route.id
            );
        }
    }

    fn obey(&mut self, event: Event, link: LinkId) {
        match event {
            Event::Run(run) => {
                let value = CallOutcome::Value(Bytes::new());
                self.node.finish(run.key, value, Instant(0));
            }
            Event::Connect { connect, .. } => self.node.abandon(connect.id, "not here"),
            Event::CutLink { link: cut, .. } => {
                assert_eq!(cut, link, "a link suffers for another");
                self.cut.insert(cut);
            }
            _ => {}
        }
    }

    fn check_child_event(&mut self, event: &Event, link: LinkId, before: &[Route]) {
        let first = link == self.children[0];
        let child = CHILDREN[usize::from(!first)];
        // What was not there before was placed by the child itself.
        let own = |id: &ContextId| {
            let before = before.iter().find(|route| route.id == *id);
            before.is_none_or(|route| route.through == child)
        };
        match event {
            Event::Message {
                handle: ANYONES | FIRST_CHILDS,
                src,
                receipt,
                ..
            } => {
                assert!(own(src), "{src} speaks on another's link");
                self.untaken.push(*receipt);
                if self.untaken.len() > 20 {
                    for receipt in self.untaken.drain(..) {
                        self.node.taken(receipt);
                    }
                }
            }
            Event::Writable { dst, .. } => assert!(own(dst), "{dst} ends another's stream"),
            Event::ChildDetached { link: told } => assert_eq!(*told, link),
            Event::Log { src, .. } => assert!(own(src), "{src} speaks on another's link"),
            Event::ContextLost { id, .. } => assert!(own(id), "{id} is lost by another's word"),
            Event::CutLink { link: cut, .. } => {
                assert_eq!(*cut, link, "a link suffers for another");
                self.cut.insert(*cut);
            }
            other => panic!("a child caused {other:?}"),
        }
    }
}
