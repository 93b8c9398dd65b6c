//! A tree of nodes whose links carry what the test lets them carry.

use std::collections::BTreeMap;

use offshoot_proto::control::{Connect, ConnectOptions, Connected, Hello, Method, Welcome};
use offshoot_proto::{ContextId, Decoder, Event, Frame, Handle, Instant, LinkId, Node};

pub(crate) const NOW: Instant = Instant(0);
pub(crate) const ROOT: ContextId = ContextId::CONTROLLER;

/// A node, the link to its parent, and what its driver was told.
pub(crate) struct Member {
    pub(crate) node: Node,
    parent: Option<(ContextId, LinkId)>,
    /// From its parent's view.
    down: Option<LinkId>,
    events: Vec<Event>,
}

pub(crate) struct Tree {
    pub(crate) members: BTreeMap<ContextId, Member>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::with(Node::controller(7))
    }

    pub(crate) fn where_siblings_talk() -> Self {
        let mut node = Node::controller(7);
        node.set_unidirectional(false);
        Self::with(node)
    }

    pub(crate) fn with(node: Node) -> Self {
        let root = Member {
            node,
            parent: None,
            down: None,
            events: Vec::new(),
        };
        Self {
            members: [(ROOT, root)].into(),
        }
    }

    pub(crate) fn node(&mut self, id: ContextId) -> &mut Node {
        &mut self.members.get_mut(&id).unwrap().node
    }

    /// `maker` makes a context below `parent`, with all that it takes; everything settles.
    #[track_caller]
    pub(crate) fn make(&mut self, maker: ContextId, parent: ContextId) -> ContextId {
        let via = Some(parent).filter(|&parent| parent != maker);
        let id = match self.node(maker).allocate_context(via) {
            Err(offshoot_proto::SendError::NeedsIds) => {
                self.node(maker).request_ids(NOW).unwrap();
                self.settle();
                assert!(
                    self.take(maker, |event| matches!(event, Event::IdsGranted)),
                    "context {maker} is granted ids"
                );
                self.node(maker).allocate_context(via).unwrap()
            }
            allotted => allotted.unwrap(),
        };
        match via {
            None => self.appear(maker, id),
            Some(via) => {
                let connect = connect(id);
                self.node(maker).connect_via(via, &connect, NOW).unwrap();
            }
        }
        self.settle();
        assert!(self.members.contains_key(&id), "context {id} appears");
        id
    }

    /// An expected child of `parent` has said hello.
    pub(crate) fn appear(&mut self, parent: ContextId, id: ContextId) {
        let node = self.node(parent);
        let down = node.attach(id).expect("it is expected");
        let mut parents = vec![parent];
        parents.extend_from_slice(node.parent_ids());
        let welcome = Welcome {
            id,
            parents,
            name: String::new(),
            message_max: node.message_max(),
            log_level: 3,
            unidirectional: node.unidirectional(),
            traces: Default::default(),
            lost_after_ms: 0,
        };
        let (node, up) = Node::child(&welcome, u64::from(id.0));
        let member = Member {
            node,
            parent: Some((parent, up)),
            down: Some(down),
            events: Vec::new(),
        };
        self.members.insert(id, member);
    }

    /// Carries everything everywhere until nothing moves.
    pub(crate) fn settle(&mut self) {
        loop {
            let ids: Vec<_> = self.members.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                moved |= self.pass_up(id) | self.pass_down(id);
            }
            if !moved {
                return;
            }
        }
    }

    /// Carries what a context has for its parent.
    pub(crate) fn pass_up(&mut self, id: ContextId) -> bool {
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        let (Some((parent, up)), Some(down)) = (member.parent, member.down) else {
            return false;
        };
        let bytes = taken(&mut member.node, up);
        self.feed(parent, down, &bytes)
    }

    /// Carries what its parent has for a context.
    pub(crate) fn pass_down(&mut self, id: ContextId) -> bool {
        let Some(member) = self.members.get(&id) else {
            return false;
        };
        let (Some((parent, up)), Some(down)) = (member.parent, member.down) else {
            return false;
        };
        let Some(above) = self.members.get_mut(&parent) else {
            return false;
        };
        let bytes = taken(&mut above.node, down);
        self.feed(id, up, &bytes)
    }

    /// The messages that its parent has for a context, which arrive all the same.
    pub(crate) fn watch_down(&mut self, id: ContextId) -> Vec<Frame> {
        let member = &self.members[&id];
        let ((parent, up), down) = (member.parent.unwrap(), member.down.unwrap());
        let bytes = taken(self.node(parent), down);
        self.feed(id, up, &bytes);
        frames(&bytes)
    }

    /// The messages that a context has for its parent, which are lost on the way.
    pub(crate) fn drop_up(&mut self, id: ContextId) -> Vec<Frame> {
        let member = self.members.get_mut(&id).unwrap();
        let (_, up) = member.parent.unwrap();
        frames(&taken(&mut member.node, up))
    }

    /// The messages that its parent has for a context, which are lost on the way.
    pub(crate) fn drop_down(&mut self, id: ContextId) -> Vec<Frame> {
        let member = &self.members[&id];
        let (parent, down) = (member.parent.unwrap().0, member.down.unwrap());
        frames(&taken(self.node(parent), down))
    }

    /// A context says to its parent whatever the test wants.
    pub(crate) fn say_up(&mut self, id: ContextId, bytes: &[u8]) {
        let member = &self.members[&id];
        let (parent, down) = (member.parent.unwrap().0, member.down.unwrap());
        self.feed(parent, down, bytes);
    }

    /// A context dies, with those below it. Its parent notices at once, the others when it tells
    /// them.
    pub(crate) fn kill(&mut self, id: ContextId) {
        let dead = self.members.remove(&id).unwrap();
        let (parent, _) = dead.parent.unwrap();
        self.members
            .retain(|_, member| !member.node.parent_ids().contains(&id));
        let down = dead.down.unwrap();
        self.node(parent).handle_closed(down, "it was killed", NOW);
        self.collect(parent);
    }

    /// What the driver of a context was told since it was asked last.
    pub(crate) fn events(&mut self, id: ContextId) -> Vec<Event> {
        self.collect(id);
        std::mem::take(&mut self.members.get_mut(&id).unwrap().events)
    }

    /// Whether it was told something that `is` right, of all that it was told.
    pub(crate) fn take(&mut self, id: ContextId, is: impl Fn(&Event) -> bool) -> bool {
        self.events(id).iter().any(is)
    }

    fn feed(&mut self, id: ContextId, link: LinkId, bytes: &[u8]) -> bool {
        if bytes.is_empty() || !self.members.contains_key(&id) {
            return false;
        }
        self.node(id).handle_bytes(link, bytes, NOW);
        self.collect(id);
        true
    }

    fn collect(&mut self, id: ContextId) {
        while let Some(event) = self.node(id).poll_event() {
            if let Event::Connect {
                src,
                reply_to,
                connect,
            } = event
            {
                self.appear(id, connect.id);
                let up = Connected::Up {
                    hello: Hello {
                        target: String::new(),
                        pid: 1,
                    },
                    name: String::new(),
                };
                self.node(id).answer_connect(src, reply_to, &up);
            } else {
                self.members.get_mut(&id).unwrap().events.push(event);
            }
        }
    }
}

pub(crate) fn connect(id: ContextId) -> Connect {
    Connect {
        id,
        method: Method::Local {
            remote_name: None,
            child_path: None,
        },
        options: ConnectOptions {
            name: None,
            log_level: 3,
            traces: Default::default(),
            timeout: std::time::Duration::from_millis(1000),
        },
        wants_progress: false,
    }
}

/// The handles of messages, in the order in which they were sent.
pub(crate) fn handles(frames: &[Frame]) -> Vec<Handle> {
    frames.iter().map(|frame| frame.header.handle).collect()
}

fn taken(node: &mut Node, link: LinkId) -> Vec<u8> {
    let mut bytes = Vec::new();
    while node.poll_transmit(link, &mut bytes, usize::MAX) {}
    bytes
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    Decoder::default().push(bytes, &mut frames).unwrap();
    frames
}
