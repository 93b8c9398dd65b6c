//! What a hostile child can make a node do: nothing, and hold: not more than it was asked for.

use std::sync::Arc;
use std::time::Duration;

use offshoot_proto::control::{
    self, Bind, CallOutcome, DelRoute, LogRecord, PluginLimits, Welcome,
};
use offshoot_proto::limits::{
    FRAME_PAYLOAD_MAX, HOPS_MAX, MESSAGE_MAX_DEFAULT, OFFENCES_MAX, REFUSALS_BACKLOG_MAX,
};
use offshoot_proto::{
    Body, CallRequest, ContextId, Dead, DeadKind, Decoder, Event, Frame, Handle, Header, Instant,
    LinkId, Node,
};

const NOW: Instant = Instant(0);

/// A controller with two children that this test plays.
struct World {
    node: Node,
    evil: LinkId,
    sibling: LinkId,
}

const EVIL: ContextId = ContextId(1);
const SIBLING: ContextId = ContextId(2);

impl World {
    fn new() -> Self {
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
    fn call(&mut self, dst: ContextId) -> Handle {
        let bind = Arc::new(Bind {
            key: [1; 16],
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
            arguments: b"",
            timeout: Some(Duration::from_secs(1)),
        };
        self.node.call(&request, NOW).unwrap()
    }

    fn send(&mut self, link: LinkId, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(payload, &mut bytes);
        self.node.handle_bytes(link, &bytes, NOW);
    }

    /// What the node has sent on a link.
    fn sent(&mut self, link: LinkId) -> Vec<Frame> {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        while self.node.poll_transmit(link, &mut bytes, usize::MAX) {}
        Decoder::default().push(&bytes, &mut frames).unwrap();
        frames
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.node.poll_event()).collect()
    }

    /// Why the evil child's link was cut, if it was.
    fn cut(&mut self) -> Option<String> {
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
    fn assert_sibling_is_well(&mut self) {
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

fn header(src: ContextId, handle: Handle) -> Header {
    Header {
        first: true,
        last: true,
        dead: false,
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
fn whole(src: ContextId, handle: Handle, payload: &[u8]) -> Header {
    Header {
        total: payload.len() as u32,
        ..header(src, handle)
    }
}

#[test]
fn unfinished_messages_that_nobody_waits_for_take_no_memory() {
    let mut world = World::new();
    for number in 0..2000_u64 {
        for handle in [
            Handle(1000 + number),
            Handle::FORWARD_LOG,
            Handle::CALL_FUNCTION,
        ] {
            let begun = Header {
                last: false,
                total: MESSAGE_MAX_DEFAULT,
                number: number as u32,
                ..header(EVIL, handle)
            };
            world.send(world.evil, begun, &[0; 1000]);
        }
    }
    assert_eq!(world.node.gauges().assembly_bytes, 0);
    world.assert_sibling_is_well();
}

#[test]
fn an_answer_is_begun_once() {
    let mut world = World::new();
    let handle = world.call(EVIL);
    for number in 0..=OFFENCES_MAX {
        let begun = Header {
            last: false,
            total: MESSAGE_MAX_DEFAULT,
            number,
            ..header(EVIL, handle)
        };
        world.send(world.evil, begun, &[0; 1000]);
        assert_eq!(world.node.gauges().assembly_bytes, 1000);
    }
    assert_eq!(world.cut(), None);
    let again = Header {
        last: false,
        total: MESSAGE_MAX_DEFAULT,
        ..header(EVIL, handle)
    };
    world.send(world.evil, again, &[0; 1000]);
    let reason = world.cut().unwrap();
    assert!(
        reason.ends_with("frames of one message contradict each other"),
        "{reason}"
    );
    assert_eq!(world.node.gauges().assembly_bytes, 0);
    world.assert_sibling_is_well();
}

#[test]
fn half_an_answer_goes_with_the_wait_for_it() {
    let mut world = World::new();
    for expires in [false, true] {
        let handle = world.call(EVIL);
        let begun = Header {
            last: false,
            total: 2000,
            ..header(EVIL, handle)
        };
        world.send(world.evil, begun, &[0; 1000]);
        assert_eq!(world.node.gauges().assembly_bytes, 1000);
        if expires {
            world.node.handle_timeout(NOW + Duration::from_secs(60));
        } else {
            world.node.forget(handle);
        }
        assert_eq!(world.node.gauges().assembly_bytes, 0);
    }
}

#[test]
fn who_asks_and_does_not_read_is_cut_off() {
    let mut world = World::new();
    let mut reason = None;
    for number in 0..100_000_u64 {
        let asked = Header {
            reply_to: Handle(number + 1),
            ..header(EVIL, Handle(5000 + number))
        };
        world.send(world.evil, asked, b"");
        reason = world.cut();
        if reason.is_some() {
            break;
        }
        assert!(world.node.gauges().own_backlog <= REFUSALS_BACKLOG_MAX);
    }
    let reason = reason.expect("the link is cut");
    assert!(reason.contains("did not read the refusals"), "{reason}");
    world.assert_sibling_is_well();
}

#[test]
fn who_asks_and_reads_is_answered_each_time() {
    let mut world = World::new();
    for number in 0..10_000_u64 {
        let asked = Header {
            reply_to: Handle(number + 1),
            ..header(EVIL, Handle(5000 + number))
        };
        world.send(world.evil, asked, b"");
        let answers = world.sent(world.evil);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].header.dead);
        assert_eq!(answers[0].header.handle, Handle(number + 1));
    }
    assert_eq!(world.cut(), None);
}

/// Every header that is not the evil child's own, at a handle that would do something.
#[test]
fn forged_headers_are_refused_and_counted() {
    let handles = [
        Handle::HELLO,
        Handle::CALL_FUNCTION,
        Handle::FORWARD_LOG,
        Handle::ADD_ROUTE,
        Handle::DEL_ROUTE,
        Handle::SHUTDOWN,
        Handle::LOAD_IMAGE,
        Handle::BIND,
        Handle::CONNECT,
        Handle::CANCEL,
    ];
    let elsewhere = [
        ContextId::CONTROLLER,
        SIBLING,
        ContextId(3),
        ContextId(u32::MAX),
    ];
    for handle in handles {
        for forged in elsewhere {
            for auth_only in [false, true] {
                let mut world = World::new();
                let answer = world.call(SIBLING);
                for at in [handle, answer] {
                    let forged = Header {
                        src: if auth_only { EVIL } else { forged },
                        auth: forged,
                        reply_to: Handle(9),
                        ..header(EVIL, at)
                    };
                    world.send(world.evil, forged, b"");
                }
                assert_eq!(world.node.stats().offences, 2, "{handle} from {forged}");
                assert!(world.events().is_empty(), "{handle} from {forged}");
                assert!(world.sent(world.evil).is_empty());
                world.assert_sibling_is_well();
            }
        }
    }
}

#[test]
fn what_only_those_above_may_ask_is_refused_by_name() {
    for handle in [
        Handle::CALL_FUNCTION,
        Handle::BIND,
        Handle::CONNECT,
        Handle::SHUTDOWN,
    ] {
        let mut world = World::new();
        let asked = Header {
            reply_to: Handle(9),
            ..header(EVIL, handle)
        };
        world.send(world.evil, asked, b"");
        assert!(world.events().is_empty(), "{handle}");
        let answers = world.sent(world.evil);
        let dead: Dead = control::decode(&answers[0].payload).unwrap();
        assert_eq!(dead.kind, DeadKind::Refused);
        assert_eq!(dead.reason, "only an ancestor may ask that");
    }
}

#[test]
fn an_announcement_about_others_loses_nobody() {
    for ids in [
        vec![SIBLING],
        vec![EVIL],
        vec![ContextId(0)],
        vec![ContextId(99)],
    ] {
        let mut world = World::new();
        let route = control::encode(&DelRoute {
            ids: ids.clone(),
            reason: String::new(),
        });
        world.send(world.evil, whole(EVIL, Handle::DEL_ROUTE, &route), &route);
        assert_eq!(world.node.stats().offences, 1, "{ids:?}");
        assert!(world.events().is_empty(), "{ids:?}");
        world.assert_sibling_is_well();
    }
}

#[test]
fn a_context_that_is_announced_lost_many_times_is_lost_once() {
    let mut world = World::new();
    let below = world.node.allocate_context(Some(EVIL)).unwrap();
    let route = control::encode(&DelRoute {
        ids: vec![below; 10_000],
        reason: "\x1b[2Jgone\u{202e}".to_owned(),
    });
    world.send(world.evil, whole(EVIL, Handle::DEL_ROUTE, &route), &route);
    let lost: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ContextLost { id, reason } => Some((id, reason)),
            _ => None,
        })
        .collect();
    assert_eq!(lost, [(below, " [2Jgone ".to_owned())]);
}

/// A child in the middle, with the two real nodes around it.
struct Chain {
    controller: World,
    middle: Node,
    /// From the middle's view.
    up: LinkId,
    down: LinkId,
    low: ContextId,
}

impl Chain {
    /// The middle is the context that is called evil elsewhere; here its child is.
    fn new() -> Self {
        let mut controller = World::new();
        let welcome = Welcome {
            id: EVIL,
            parents: vec![ContextId::CONTROLLER],
            name: "middle".to_owned(),
            message_max: MESSAGE_MAX_DEFAULT,
            log_level: 3,
        };
        let (mut middle, up) = Node::child(&welcome, 8);
        let low = controller.node.allocate_context(Some(EVIL)).unwrap();
        let connect = control::Connect {
            id: low,
            name: None,
            method: control::Method::Local {
                remote_name: None,
                child_path: None,
            },
            timeout_ms: 1000,
            log_level: 3,
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

    fn feed_from_below(&mut self, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(payload, &mut bytes);
        self.middle.handle_bytes(self.down, &bytes, NOW);
    }

    fn pass_up(&mut self) {
        let mut bytes = Vec::new();
        while self.middle.poll_transmit(self.up, &mut bytes, usize::MAX) {}
        self.controller
            .node
            .handle_bytes(self.controller.evil, &bytes, NOW);
    }

    fn pass_down(&mut self) {
        let mut bytes = Vec::new();
        let link = self.controller.evil;
        while self
            .controller
            .node
            .poll_transmit(link, &mut bytes, usize::MAX)
        {}
        self.middle.handle_bytes(self.up, &bytes, NOW);
    }

    fn middle_lives(&mut self) -> bool {
        let events = self.controller.events();
        let cut = events
            .iter()
            .any(|event| matches!(event, Event::CutLink { .. }));
        !cut && self.controller.node.context_ids().contains(&EVIL)
    }
}

#[test]
fn a_grandchild_cannot_have_its_parent_cut_off() {
    let low_is = |handle, hops| {
        move |low: ContextId| Header {
            hops,
            ..header(low, handle)
        }
    };
    let control: [&dyn Fn(ContextId) -> Header; 4] = [
        &low_is(Handle::ADD_ROUTE, 0),
        &low_is(Handle::DEL_ROUTE, 0),
        &low_is(Handle::LOAD_IMAGE, 0),
        &low_is(Handle::FORWARD_LOG, HOPS_MAX - 1),
    ];
    for make in control {
        let mut chain = Chain::new();
        for _ in 0..100 {
            chain.feed_from_below(make(chain.low), b"");
            chain.pass_up();
        }
        assert!(chain.middle_lives(), "{:?}", make(chain.low));
        chain.controller.assert_sibling_is_well();
    }
}

#[test]
fn a_grandchild_that_breaks_the_rules_is_not_listened_to_any_more() {
    let mut chain = Chain::new();
    let call = chain.controller.call(chain.low);
    for _ in 0..=OFFENCES_MAX {
        chain.feed_from_below(header(chain.low, Handle::ADD_ROUTE), b"");
        chain.pass_up();
    }
    let events = chain.controller.events();
    let ended = events.iter().find_map(|event| match event {
        Event::Message {
            handle,
            body: Body::Dead(dead),
            ..
        } if *handle == call => Some(dead.reason.clone()),
        _ => None,
    });
    let reason = ended.expect("its calls end");
    assert!(
        reason.contains("a control message from a context that must not send it"),
        "{reason}"
    );
    let record = control::encode(&LogRecord {
        level: 3,
        target: String::new(),
        text: String::new(),
    });
    chain.feed_from_below(whole(chain.low, Handle::FORWARD_LOG, &record), &record);
    chain.pass_up();
    assert!(chain.controller.events().is_empty());
}

#[test]
fn a_grandchild_that_does_not_read_is_cut_off_before_its_neighbours_wait() {
    let mut chain = Chain::new();
    for number in 0..100_000_u64 {
        let asked = Header {
            reply_to: Handle(number + 1),
            ..header(chain.low, Handle(5000 + number))
        };
        chain.feed_from_below(asked, b"");
        chain.pass_up();
        chain.pass_down();
        assert!(chain.middle.may_read(chain.up), "after {number} messages");
        if chain.middle.context_ids().is_empty() {
            break;
        }
    }
    assert!(chain.middle.context_ids().is_empty(), "it is cut off");
    chain.pass_up();
    assert!(chain.middle_lives());
    assert!(!chain.controller.node.context_ids().contains(&chain.low));
    chain.controller.assert_sibling_is_well();
}

#[test]
fn a_parent_is_not_cut_off_for_what_its_child_is_refused() {
    let mut chain = Chain::new();
    let mut asked = 0;
    while chain.controller.node.may_read(chain.controller.evil) {
        asked += 1;
        assert!(asked < 100_000, "it would never end");
        let question = Header {
            reply_to: Handle(asked),
            ..header(chain.low, Handle(5000 + asked))
        };
        chain.feed_from_below(question, b"");
        chain.pass_up();
    }
    assert!(chain.controller.node.gauges().own_backlog < 2 * REFUSALS_BACKLOG_MAX);
    assert!(chain.middle_lives());
    chain.controller.sent(chain.controller.evil);
    assert!(chain.controller.node.may_read(chain.controller.evil));
    chain.controller.assert_sibling_is_well();
}

#[test]
fn a_context_that_is_lost_in_the_middle_of_a_large_answer_costs_its_parent_nothing() {
    let mut chain = Chain::new();
    let call = chain.controller.call(chain.low);
    let frames = 10 * OFFENCES_MAX;
    for index in 0..frames {
        let part = Header {
            first: index == 0,
            last: false,
            total: (frames + 1) * FRAME_PAYLOAD_MAX as u32,
            ..header(chain.low, call)
        };
        chain.feed_from_below(part, &[0; FRAME_PAYLOAD_MAX]);
    }
    // All of it still waits in the middle when its sender dies.
    chain.middle.handle_closed(chain.down, "killed", NOW);
    chain.pass_up();
    assert_eq!(chain.controller.node.stats().offences, 0);
    assert!(chain.middle_lives());
    assert_eq!(chain.controller.node.gauges().assembly_bytes, 0);
    assert_eq!(chain.middle.gauges().relay_backlog, 0);
}

#[test]
fn a_stream_that_ends_inside_a_frame_says_so() {
    let mut world = World::new();
    let call = world.call(EVIL);
    let mut bytes = Vec::new();
    whole(EVIL, call, &[0; 100]).encode(&[0; 100], &mut bytes);
    world.node.handle_bytes(world.evil, &bytes[..60], NOW);
    world
        .node
        .handle_closed(world.evil, "the connection was closed", NOW);
    let reason = world.events().into_iter().find_map(|event| match event {
        Event::Message {
            body: Body::Dead(dead),
            ..
        } => Some(dead.reason),
        _ => None,
    });
    let want = "the connection was closed; a frame broke off after 60 bytes";
    // The call itself never left, so it is also said that it did not run.
    assert!(
        reason
            .as_deref()
            .is_some_and(|reason| reason.ends_with(want)),
        "{reason:?}"
    );
}

#[test]
fn noise_between_frames_cuts_the_link_and_is_quoted() {
    let mut world = World::new();
    let noise = b"bash: \x1b[31mwarning: here is some noise from a background job\n";
    world.node.handle_bytes(world.evil, noise, NOW);
    let reason = world.cut().unwrap();
    assert!(reason.contains("\"bash: .[31mwarning: here"), "{reason}");
    world.assert_sibling_is_well();
}
