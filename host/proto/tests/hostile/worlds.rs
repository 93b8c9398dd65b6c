//! The nodes that the tests play with.

use std::sync::Arc;
use std::time::Duration;

use offshoot_proto::control::{self, Arguments, Bind, CallOutcome, PluginLimits, Welcome};
use offshoot_proto::limits::{FRAME_PAYLOAD_MAX, MESSAGE_MAX_DEFAULT};
use offshoot_proto::{
    Body, CallRequest, ContextId, Decoder, Event, Frame, Handle, Header, Instant, LinkId, Node,
};

pub(crate) const NOW: Instant = Instant(0);

/// A controller with two children that this test plays.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) evil: LinkId,
    pub(crate) sibling: LinkId,
}

pub(crate) const EVIL: ContextId = ContextId(1);
pub(crate) const SIBLING: ContextId = ContextId(2);

impl World {
    pub(crate) fn new() -> Self {
        let mut node = Node::controller(7);
        let mut attach = || {
            let id = node.allocate_context(None).unwrap();
            node.attach(id).unwrap()
        };
        let (evil, sibling) = (attach(), attach());
        Self {
            node,
            evil,
            sibling,
        }
    }

    /// Makes a call; the image is of no interest here.
    pub(crate) fn call(&mut self, dst: ContextId) -> Handle {
        let bind = Arc::new(Bind {
            key: [1; 16],
            plugin: "p".into(),
            image: [2; 32],
            grants: Vec::new(),
            limits: PluginLimits::default(),
        });
        self.node
            .provide_image(bind.image, &"image".into())
            .unwrap();
        let request = CallRequest {
            dst,
            bind: &bind,
            function: "f",
            signature: 0,
            concurrent: false,
            chain: 0,
            is_awaited: true,
            arguments: Arguments::Copied(b""),
            timeout: Some(Duration::from_secs(1)),
        };
        self.node.call(request, NOW).unwrap()
    }

    pub(crate) fn send(&mut self, link: LinkId, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(payload, &mut bytes);
        self.node.handle_bytes(link, &bytes, NOW);
    }

    /// What the node has sent on a link.
    pub(crate) fn sent(&mut self, link: LinkId) -> Vec<Frame> {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        while self.node.poll_transmit(link, &mut bytes, usize::MAX) {}
        Decoder::default().push(&bytes, &mut frames).unwrap();
        frames
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.node.poll_event()).collect()
    }

    /// Why the evil child's link was cut, if it was.
    pub(crate) fn cut(&mut self) -> Option<String> {
        self.events().into_iter().find_map(|event| match event {
            Event::CutLink { peer, reason, .. } => {
                assert_eq!(peer, EVIL, "{reason}");
                Some(reason)
            }
            _ => None,
        })
    }

    /// The sibling is served as if nothing had happened.
    #[track_caller]
    pub(crate) fn assert_sibling_is_well(&mut self) {
        let handle = self.call(SIBLING);
        let large = vec![7; 3 * FRAME_PAYLOAD_MAX];
        let answer = CallOutcome::Value(large.into()).encode();
        let frames = answer.chunks(FRAME_PAYLOAD_MAX);
        let last = frames.len() - 1;
        for (index, part) in frames.enumerate() {
            let header = Header {
                first: index == 0,
                last: index == last,
                total: answer.len() as u32,
                ..header(SIBLING, handle)
            };
            self.send(self.sibling, header, part);
        }
        let answered = self.events().into_iter().any(|event| {
            matches!(event, Event::Message { handle: at, body: Body::Data(body), .. }
                if at == handle && body == answer)
        });
        assert!(answered);
    }
}

/// An enemy is a node, and says of all that it sends that a node answers with it.
pub(crate) fn header(src: ContextId, handle: Handle) -> Header {
    Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: true,
        hops: 0,
        number: 1,
        total: 0,
        dst: ContextId::CONTROLLER,
        src,
        auth: src,
        handle,
        reply_to: Handle::NONE,
    }
}

/// The header of a message in one frame.
pub(crate) fn whole(src: ContextId, handle: Handle, payload: &[u8]) -> Header {
    Header {
        total: payload.len() as u32,
        ..header(src, handle)
    }
}

/// A child in the middle, with the two real nodes around it.
pub(crate) struct Chain {
    pub(crate) controller: World,
    pub(crate) middle: Node,
    /// From the middle's view.
    pub(crate) up: LinkId,
    pub(crate) down: LinkId,
    pub(crate) low: ContextId,
}

impl Chain {
    /// The middle is the context that is called evil elsewhere; here its child is.
    pub(crate) fn new() -> Self {
        let mut controller = World::new();
        let welcome = Welcome {
            id: EVIL,
            parents: vec![ContextId::CONTROLLER],
            name: "middle".to_owned(),
            message_max: MESSAGE_MAX_DEFAULT,
            log_level: 3,
            unidirectional: true,
            traces: Default::default(),
            lost_after_ms: 0,
        };
        let (mut middle, up) = Node::child(&welcome, 8);
        let low = controller.node.allocate_context(Some(EVIL)).unwrap();
        let connect = control::Connect {
            id: low,
            method: control::Method::Local {
                remote_name: None,
                child_path: None,
            },
            options: control::ConnectOptions {
                name: None,
                log_level: 3,
                traces: Default::default(),
                timeout: Duration::from_millis(1000),
            },
            wants_progress: false,
        };
        controller.node.connect_via(EVIL, &connect, NOW).unwrap();
        let mut bytes = Vec::new();
        while controller
            .node
            .poll_transmit(controller.evil, &mut bytes, usize::MAX)
        {}
        middle.handle_bytes(up, &bytes, NOW);
        let down = middle.attach(low).unwrap();
        Self {
            controller,
            middle,
            up,
            down,
            low,
        }
    }

    pub(crate) fn feed_from_below(&mut self, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(payload, &mut bytes);
        self.middle.handle_bytes(self.down, &bytes, NOW);
    }

    pub(crate) fn pass_up(&mut self) {
        let mut bytes = Vec::new();
        while self.middle.poll_transmit(self.up, &mut bytes, usize::MAX) {}
        self.controller
            .node
            .handle_bytes(self.controller.evil, &bytes, NOW);
    }

    pub(crate) fn pass_down(&mut self) {
        let mut bytes = Vec::new();
        let link = self.controller.evil;
        while self
            .controller
            .node
            .poll_transmit(link, &mut bytes, usize::MAX)
        {}
        self.middle.handle_bytes(self.up, &bytes, NOW);
    }

    pub(crate) fn middle_lives(&mut self) -> bool {
        let events = self.controller.events();
        let cut = events
            .iter()
            .any(|event| matches!(event, Event::CutLink { .. }));
        !cut && self.controller.node.context_ids().contains(&EVIL)
    }
}
