//! What keeps a node's tables bounded and its waits finite, between honest contexts.

use std::time::Duration;

use offshoot_proto::control::{self, Connect, Method, Welcome};
use offshoot_proto::limits::{
    FRAME_PAYLOAD_MAX, MESSAGE_MAX_DEFAULT, OFFENCES_MAX, RELAY_BACKLOG_MAX,
};
use offshoot_proto::{ContextId, Event, Handle, Header, Instant, LinkId, Node, SendError};

const NOW: Instant = Instant(0);
const ME: ContextId = ContextId(1);
const CHILDREN: [ContextId; 2] = [ContextId(2), ContextId(3)];

/// A context between the controller, which this test plays, and two children.
struct Middle {
    node: Node,
    parent: LinkId,
    children: [LinkId; 2],
}

impl Middle {
    fn new() -> Self {
        let welcome = Welcome {
            id: ME,
            parents: vec![ContextId::CONTROLLER],
            name: "middle".to_owned(),
            message_max: MESSAGE_MAX_DEFAULT,
            log_level: 3,
            unidirectional: true,
            traces: Default::default(),
            lost_after_ms: 0,
        };
        let (mut node, parent) = Node::child(&welcome, 7);
        let children = CHILDREN.map(|id| {
            let connect = control::encode(&Connect {
                id,
                name: None,
                method: Method::Local {
                    remote_name: None,
                    child_path: None,
                },
                timeout_ms: 1,
                log_level: 3,
                traces: Default::default(),
            });
            node.handle_bytes(parent, &message(ME, Handle::CONNECT, &connect), NOW);
            assert!(node.took_in_secrets(), "its driver is to overwrite that");
            node.attach(id).unwrap()
        });
        while node.poll_event().is_some() {}
        Self {
            node,
            parent,
            children,
        }
    }

    /// Messages of the controller for `dst`, until the node wants no more.
    fn stuff(&mut self, dst: ContextId) -> usize {
        let frame = message(dst, Handle(2000), &vec![0; FRAME_PAYLOAD_MAX]);
        let mut count = 0;
        while self.node.may_read(self.parent) {
            self.node.handle_bytes(self.parent, &frame, NOW);
            count += 1;
            assert!(count < 1000, "nothing stops it");
        }
        count
    }

    /// A child reads all that waits for it.
    fn read(&mut self, child: usize) {
        let mut out = Vec::new();
        while self
            .node
            .poll_transmit(self.children[child], &mut out, 1 << 20)
        {
            out.clear();
        }
    }
}

/// A message of the controller, as bytes.
fn message(dst: ContextId, handle: Handle, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        hops: 0,
        number: 1,
        total: payload.len() as u32,
        dst,
        src: ContextId::CONTROLLER,
        auth: ContextId::CONTROLLER,
        handle,
        reply_to: Handle::NONE,
    };
    let mut out = Vec::new();
    header.encode(payload, &mut out);
    out
}

#[test]
fn t14_the_driver_is_told_of_passwords_whose_message_comes_in_pieces() {
    let mut middle = Middle::new();
    let whole = message(ME, Handle::CONNECT, &[1; 500]);
    let other = message(ME, Handle(2000), &[1; 500]);
    let header = message(ME, Handle::CONNECT, &[]).len();
    for cut in [header, header + 1, 300, whole.len() - 1] {
        for bytes in [&whole[..cut], &whole[cut..]] {
            middle.node.handle_bytes(middle.parent, bytes, NOW);
            assert!(middle.node.took_in_secrets(), "cut at {cut}");
        }
        for bytes in [&other[..cut], &other[cut..]] {
            middle.node.handle_bytes(middle.parent, bytes, NOW);
            assert!(!middle.node.took_in_secrets(), "cut at {cut}");
        }
    }
}

#[test]
fn f7_who_waits_for_a_slow_child_does_not_take_its_parent_for_dead_and_tells_it_so() {
    let mut middle = Middle::new();
    let patience = Duration::from_secs(15);
    middle.node.watch_link(middle.parent, patience, NOW);
    middle.stuff(CHILDREN[0]);
    let mut now = NOW;
    for _ in 0..20 {
        now = now + Node::watch_interval(patience);
        middle.node.handle_timeout(now);
        assert!(middle.node.poll_event().is_none());
        let mut out = Vec::new();
        middle.node.poll_transmit(middle.parent, &mut out, 1 << 16);
        assert!(!out.is_empty(), "the parent hears of it");
    }
    // Once it reads again, silence counts: all that came before is one sign.
    middle.read(0);
    assert!(middle.node.may_read(middle.parent));
    for _ in 0..5 {
        now = now + Node::watch_interval(patience);
        middle.node.handle_timeout(now);
    }
    let event = middle.node.poll_event();
    assert!(matches!(event, Some(Event::CutLink { .. })), "{event:?}");
}

#[test]
fn a_link_that_feeds_two_slow_ones_waits_for_the_first_until_it_has_drained() {
    let mut middle = Middle::new();
    middle.stuff(CHILDREN[0]);
    // One read may bring frames for both: the second gets full in the same breath.
    for _ in 0..=RELAY_BACKLOG_MAX / FRAME_PAYLOAD_MAX {
        let frame = message(CHILDREN[1], Handle(2000), &vec![0; FRAME_PAYLOAD_MAX]);
        middle.node.handle_bytes(middle.parent, &frame, NOW);
    }
    middle.read(1);
    assert!(
        !middle.node.may_read(middle.parent),
        "the first child has read nothing"
    );
    middle.read(0);
    assert!(middle.node.may_read(middle.parent));
}

#[test]
fn an_image_that_no_message_can_carry_is_refused_where_it_is_provided() {
    let mut node = Node::controller(7);
    let image = vec![0; MESSAGE_MAX_DEFAULT as usize - 35].into();
    let refused = node.provide_image([1; 32], &image);
    let size = MESSAGE_MAX_DEFAULT as usize + 1;
    let max = MESSAGE_MAX_DEFAULT;
    assert_eq!(refused, Err(SendError::TooLarge { size, max }));
    assert_eq!(node.provide_image([1; 32], &image.slice(1..)), Ok(()));
}

#[test]
fn only_who_may_call_may_cancel() {
    let mut middle = Middle::new();
    let body = control::encode(&Handle(2000));
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        hops: 0,
        number: 1,
        total: body.len() as u32,
        dst: ME,
        src: CHILDREN[0],
        auth: CHILDREN[0],
        handle: Handle::CANCEL,
        reply_to: Handle::NONE,
    };
    let mut bytes = Vec::new();
    header.encode(&body, &mut bytes);
    middle.node.handle_bytes(middle.children[0], &bytes, NOW);
    assert_eq!(middle.node.stats().refused, 1);
    middle
        .node
        .handle_bytes(middle.parent, &message(ME, Handle::CANCEL, &body), NOW);
    assert_eq!(middle.node.stats().refused, 1);
}

#[test]
fn no_id_is_allotted_below_a_context_that_is_not_listened_to_any_more() {
    let mut node = Node::controller(7);
    let child = node.allocate_context(None).unwrap();
    let link = node.attach(child).unwrap();
    let grandchild = node.allocate_context(Some(child)).unwrap();
    let forbidden = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        hops: 1,
        number: 1,
        total: 0,
        dst: ContextId::CONTROLLER,
        src: grandchild,
        auth: grandchild,
        handle: Handle::ADD_ROUTE,
        reply_to: Handle::NONE,
    };
    let mut bytes = Vec::new();
    for _ in 0..=OFFENCES_MAX {
        forbidden.encode(&[], &mut bytes);
    }
    node.handle_bytes(link, &bytes, NOW);
    assert_eq!(
        node.allocate_context(Some(grandchild)),
        Err(SendError::NoRoute(grandchild))
    );
    assert_eq!(node.context_ids(), [child, grandchild]);
}
