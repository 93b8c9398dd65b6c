//! What keeps a node's tables bounded and its waits finite, between honest contexts.

use std::time::Duration;

use offshoot_proto::control::{
    self, AddRoute, Connect, ConnectOptions, DelRoute, Method, Pause, Welcome,
};
use offshoot_proto::limits::{
    FRAME_PAYLOAD_MAX, MESSAGE_MAX_DEFAULT, PAUSE_ABOVE, RELAY_BACKLOG_MAX, VIOLATIONS_MAX,
};
use offshoot_proto::{
    ContextId, Decoder, Event, Frame, Handle, Header, Instant, LinkId, Node, SendError,
};

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
                method: Method::Local {
                    remote_name: None,
                    child_path: None,
                },
                options: ConnectOptions {
                    name: None,
                    log_level: 3,
                    traces: Default::default(),
                    timeout: Duration::from_millis(1),
                },
                wants_progress: false,
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
    piece(ContextId::CONTROLLER, dst, handle, payload, payload.len())
}

/// The first frame of a message of so many bytes.
fn piece(src: ContextId, dst: ContextId, handle: Handle, payload: &[u8], total: usize) -> Vec<u8> {
    let header = Header {
        first: true,
        last: payload.len() == total,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: 1,
        total: total as u32,
        dst,
        src,
        auth: src,
        handle,
        reply_to: Handle::NONE,
    };
    let mut out = Vec::new();
    header.encode(payload, &mut out);
    out
}

/// The first frame of a large message. Those in between look at each frame by itself.
fn large(dst: ContextId) -> Vec<u8> {
    let payload = vec![0; FRAME_PAYLOAD_MAX];
    piece(
        ContextId::CONTROLLER,
        dst,
        Handle(2000),
        &payload,
        2 * payload.len(),
    )
}

impl Middle {
    /// What waits for a link, up to about so many bytes.
    fn sent(&mut self, link: LinkId, enough: usize) -> Vec<Frame> {
        let mut bytes = Vec::new();
        self.node.poll_transmit(link, &mut bytes, enough);
        let mut frames = Vec::new();
        Decoder::default().push(&bytes, &mut frames).unwrap();
        frames
    }

    /// What the controller is asked to paused back, or to send again.
    fn pauses(&mut self) -> Vec<(ContextId, bool)> {
        let frames = self.sent(self.parent, 1 << 20);
        let pauses = frames
            .iter()
            .filter(|frame| frame.header.handle == Handle::PAUSE)
            .map(|frame| control::decode::<Pause>(&frame.payload).unwrap());
        pauses.map(|pause| (pause.dst, pause.paused)).collect()
    }

    /// A child pauses that.
    fn pause(&mut self, child: usize, dst: ContextId, paused: bool) {
        let body = control::encode(&Pause { dst, paused });
        let bytes = piece(CHILDREN[child], ME, Handle::PAUSE, &body, body.len());
        let link = self.children[child];
        self.node.handle_bytes(link, &bytes, NOW);
    }
}

#[test]
fn who_feeds_a_slow_child_is_asked_to_hold_back_and_to_resume() {
    let mut middle = Middle::new();
    let [slow, other] = CHILDREN;
    let frames = PAUSE_ABOVE / FRAME_PAYLOAD_MAX;
    for number in 1..=frames {
        assert_eq!(middle.pauses(), [], "before frame {number}");
        middle.node.handle_bytes(middle.parent, &large(slow), NOW);
    }
    assert_eq!(middle.pauses(), [(slow, true)]);
    // Once is enough, others are not meant, and nothing that is small is.
    for _ in 0..4 {
        middle.node.handle_bytes(middle.parent, &large(slow), NOW);
        middle.node.handle_bytes(middle.parent, &large(other), NOW);
        let small = message(other, Handle(2000), &[0; FRAME_PAYLOAD_MAX]);
        middle.node.handle_bytes(middle.parent, &small, NOW);
    }
    assert_eq!(middle.pauses(), []);
    assert!(middle.node.may_read(middle.parent), "it is still read");
    middle.read(0);
    assert_eq!(middle.pauses(), [(slow, false)]);
}

#[test]
fn who_feeds_and_does_not_read_is_told_no_more_than_the_last_wish() {
    let mut middle = Middle::new();
    let slow = CHILDREN[0];
    for _ in 0..100 {
        for _ in 0..PAUSE_ABOVE / FRAME_PAYLOAD_MAX {
            middle.node.handle_bytes(middle.parent, &large(slow), NOW);
        }
        middle.read(0);
    }
    assert_eq!(middle.pauses(), [], "it was never told to paused back");
    for _ in 0..PAUSE_ABOVE / FRAME_PAYLOAD_MAX {
        middle.node.handle_bytes(middle.parent, &large(slow), NOW);
    }
    assert_eq!(middle.pauses(), [(slow, true)]);
}

#[test]
fn what_was_held_back_for_a_lost_context_is_sent() {
    let mut middle = Middle::new();
    let (child, link) = (ContextId(40), middle.children[0]);
    let route = control::encode(&AddRoute {
        id: child,
        toward: CHILDREN[0],
    });
    let bytes = message(ME, Handle::ADD_ROUTE, &route);
    middle.node.handle_bytes(middle.parent, &bytes, NOW);
    middle.pause(0, child, true);
    middle.node.handle_bytes(middle.parent, &large(child), NOW);
    while middle.node.poll_ready_link().is_some() {}
    assert!(middle.sent(link, 1 << 20).iter().all(|it| it.header.last));
    let gone = control::encode(&DelRoute {
        ids: vec![child],
        reason: "it is over".to_owned(),
    });
    let bytes = piece(CHILDREN[0], ME, Handle::DEL_ROUTE, &gone, gone.len());
    middle.node.handle_bytes(link, &bytes, NOW);
    let ready: Vec<_> = std::iter::from_fn(|| middle.node.poll_ready_link()).collect();
    assert!(ready.contains(&link), "{ready:?}");
    assert_eq!(middle.sent(link, 1 << 20).len(), 1);
}

#[test]
fn a_child_that_is_lost_lets_go_on_who_held_back_for_it() {
    let mut middle = Middle::new();
    let slow = CHILDREN[0];
    while middle.pauses() != [(slow, true)] {
        middle.node.handle_bytes(middle.parent, &large(slow), NOW);
    }
    middle
        .node
        .handle_closed(middle.children[0], "it is over", NOW);
    assert_eq!(middle.pauses(), [(slow, false)]);
}

#[test]
fn what_is_held_back_waits_and_small_messages_do_not() {
    let mut middle = Middle::new();
    let ([child, _], [link, _]) = (CHILDREN, middle.children);
    middle.pause(0, child, true);
    middle.node.handle_bytes(middle.parent, &large(child), NOW);
    let small = message(child, Handle(3000), b"small");
    middle.node.handle_bytes(middle.parent, &small, NOW);
    let handles = |frames: Vec<Frame>| -> Vec<u64> {
        frames.iter().map(|frame| frame.header.handle.0).collect()
    };
    assert_eq!(handles(middle.sent(link, 1 << 20)), [3000]);
    middle.pause(0, child, false);
    assert_eq!(handles(middle.sent(link, 1 << 20)), [2000]);
}

#[test]
fn nobody_can_have_messages_for_others_held_back() {
    let mut middle = Middle::new();
    let [child, sibling] = CHILDREN;
    let link = middle.children[1];
    for dst in [sibling, ME, ContextId::CONTROLLER, ContextId(77)] {
        middle.pause(0, dst, true);
    }
    middle
        .node
        .handle_bytes(middle.parent, &large(sibling), NOW);
    assert_eq!(middle.sent(link, 1 << 20).len(), 1);
    // Nor anybody but a neighbour.
    let body = control::encode(&Pause {
        dst: sibling,
        paused: true,
    });
    let bytes = piece(child, ME, Handle::PAUSE, &body, body.len());
    middle.node.handle_bytes(link, &bytes, NOW);
    middle
        .node
        .handle_bytes(middle.parent, &large(sibling), NOW);
    assert_eq!(middle.sent(link, 1 << 20).len(), 1);
}

#[test]
fn who_cannot_keep_what_is_held_back_sends_it() {
    let mut middle = Middle::new();
    let ([child, _], [link, _]) = (CHILDREN, middle.children);
    middle.pause(0, child, true);
    // The controller does not paused back.
    while middle.node.may_read(middle.parent) {
        middle.node.handle_bytes(middle.parent, &large(child), NOW);
    }
    let mut frames = 0;
    while let sent @ 1.. = middle.sent(link, 1).len() {
        frames += sent;
    }
    assert!(middle.node.may_read(middle.parent), "it is fed again");
    let most = RELAY_BACKLOG_MAX / FRAME_PAYLOAD_MAX;
    assert!(
        (most / 2..=most / 2 + 2).contains(&frames),
        "{frames}: the rest is still held back"
    );
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
    middle.node.keep_alive(middle.parent, patience, NOW);
    middle.stuff(CHILDREN[0]);
    let mut now = NOW;
    for _ in 0..20 {
        now = now + Node::keepalive_interval(patience);
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
        now = now + Node::keepalive_interval(patience);
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
        answer: false,
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
        answer: false,
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
    for _ in 0..=VIOLATIONS_MAX {
        forbidden.encode(&[], &mut bytes);
    }
    node.handle_bytes(link, &bytes, NOW);
    assert_eq!(
        node.allocate_context(Some(grandchild)),
        Err(SendError::NoRoute(grandchild))
    );
    assert_eq!(node.context_ids(), [child, grandchild]);
}

#[test]
fn l11_a_child_detaches_itself_only_when_it_was_told_to() {
    let mut middle = Middle::new();
    let (child, link) = (CHILDREN[0], middle.children[0]);
    let detaching = piece(child, ME, Handle::DETACHING, b"", 0);
    middle.node.handle_bytes(link, &detaching, NOW);
    assert_eq!(middle.node.stats().violations, 1);
    assert!(middle.node.poll_event().is_none());

    // A sibling's order, which the child would refuse, is none.
    middle.node.set_unidirectional(false);
    let order = piece(CHILDREN[1], child, Handle::DETACH, b"", 0);
    middle.node.handle_bytes(middle.children[1], &order, NOW);
    middle.node.handle_bytes(link, &detaching, NOW);
    assert_eq!(middle.node.stats().violations, 2);

    let order = message(child, Handle::DETACH, b"");
    middle.node.handle_bytes(middle.parent, &order, NOW);
    middle.node.handle_bytes(link, &detaching, NOW);
    let event = middle.node.poll_event();
    assert!(matches!(event, Some(Event::ChildDetached { link: it }) if it == link));
}

#[test]
fn l7_a_child_that_is_asked_to_end_is_named_to_the_driver_of_its_parent_once() {
    let mut middle = Middle::new();
    let order = message(CHILDREN[0], Handle::SHUTDOWN, b"");
    for _ in 0..3 {
        middle.node.handle_bytes(middle.parent, &order, NOW);
    }
    let link = middle.children[0];
    let event = middle.node.poll_event();
    assert!(matches!(event, Some(Event::ChildEnding { link: it }) if it == link));
    assert!(middle.node.poll_event().is_none());
    middle.node.shut_down(CHILDREN[1]);
    let event = middle.node.poll_event();
    assert!(matches!(event, Some(Event::ChildEnding { link }) if link == middle.children[1]));
}
