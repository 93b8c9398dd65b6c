//! Messages between programs: handles, streams and chains, over a link without delay.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offshoot_abi::{CallErrorKind, CallFailure};
use offshoot_proto::control::{
    self, Arguments, Bind, CallOutcome, Connect, ConnectOptions, Method, PluginLimits, Welcome,
};
use offshoot_proto::limits::{MESSAGE_MAX_DEFAULT, STREAM_WINDOW};
use offshoot_proto::{
    Body, CallRequest, ContextId, DeadKind, Event, Handle, Instant, LinkId, Listen, ListenError,
    Node, PutError, Receipt, SendError,
};

const NOW: Instant = Instant(0);
const CHILD: ContextId = ContextId(1);
const ROOT: ContextId = ContextId::CONTROLLER;

/// A controller and its child.
struct Pair {
    root: Node,
    child: Node,
    down: LinkId,
    up: LinkId,
}

impl Pair {
    fn new() -> Self {
        Self::with_message_max(MESSAGE_MAX_DEFAULT)
    }

    fn with_message_max(message_max: u32) -> Self {
        let mut root = Node::controller(1);
        root.set_message_max(message_max);
        let id = root.allocate_context(None).unwrap();
        assert_eq!(id, CHILD);
        let down = root.attach(id).unwrap();
        let welcome = Welcome {
            id,
            parents: vec![ROOT],
            name: "child".to_owned(),
            message_max,
            unidirectional: true,
            traces: Default::default(),
            lost_after_ms: 0,
            log_level: 3,
        };
        let (child, up) = Node::child(&welcome, 2);
        Self {
            root,
            child,
            down,
            up,
        }
    }

    /// Carries everything both ways until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            let mut bytes = Vec::new();
            while self.root.poll_transmit(self.down, &mut bytes, 1 << 16) {
                moved = true;
            }
            self.child.handle_bytes(self.up, &bytes, NOW);
            bytes.clear();
            while self.child.poll_transmit(self.up, &mut bytes, 1 << 16) {
                moved = true;
            }
            self.root.handle_bytes(self.down, &bytes, NOW);
            if !moved {
                return;
            }
        }
    }
}

fn listener(node: &mut Node) -> Handle {
    let listen = Listen {
        persist: true,
        ..Listen::default()
    };
    node.listen(&listen).unwrap()
}

/// Messages that came, as text, and their receipts.
fn arrived(node: &mut Node) -> Vec<(String, Receipt)> {
    let mut found = Vec::new();
    while let Some(event) = node.poll_event() {
        if let Event::Message { body, receipt, .. } = event {
            let text = match body {
                Body::Data(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Body::Dead(dead) => format!("{:?}: {}", dead.kind, dead.reason),
            };
            found.push((text, receipt));
        }
    }
    found
}

#[test]
fn s065_handles_of_ones_own_choice_are_checked() {
    let mut pair = Pair::new();
    let at = |handle| Listen {
        handle: Some(Handle(handle)),
        persist: true,
        ..Listen::default()
    };
    assert_eq!(pair.root.listen(&at(500)), Ok(Handle(500)));
    assert_eq!(
        pair.root.listen(&at(500)),
        Err(ListenError::Taken(Handle(500)))
    );
    assert_eq!(
        pair.root.listen(&at(101)),
        Err(ListenError::Reserved(Handle(101)))
    );
    let body = Body::Data(Bytes::from_static(b"hello"));
    pair.child
        .post(ROOT, Handle(500), Handle::NONE, body)
        .unwrap();
    pair.settle();
    assert_eq!(arrived(&mut pair.root)[0].0, "hello");
}

#[test]
fn s069_a_handle_that_nobody_listens_on_is_answered() {
    let mut pair = Pair::new();
    let answer = listener(&mut pair.root);
    let body = Body::Data(Bytes::from_static(b"anyone?"));
    pair.root.post(CHILD, Handle(700), answer, body).unwrap();
    pair.settle();
    assert_eq!(
        arrived(&mut pair.root)[0].0,
        "NoHandle: nobody listens on handle 700 in context 1"
    );
}

#[test]
fn a_stream_waits_for_its_reader_and_costs_no_more_than_a_window() {
    let mut pair = Pair::new();
    let handle = listener(&mut pair.root);
    let item = Bytes::from(vec![b'x'; 1000]);
    let (mut sent, mut taken) = (0, 0);
    let mut waiting = Vec::new();
    while taken < 10_000 {
        while sent < 10_000 && pair.child.put(ROOT, handle, item.clone()).is_ok() {
            sent += 1;
        }
        pair.settle();
        waiting.extend(arrived(&mut pair.root));
        assert!(pair.root.gauges().held_bytes <= STREAM_WINDOW);
        for (_, receipt) in waiting.drain(..) {
            pair.root.taken(receipt);
            taken += 1;
        }
        pair.settle();
        while pair.child.poll_event().is_some() {}
    }
    assert_eq!(
        pair.root.stats().refused,
        0,
        "an honest sender is not refused"
    );
    pair.child.release(ROOT, handle);
    assert_eq!(pair.child.gauges().streams_out, 0);
    assert_eq!(pair.child.gauges().listeners, 0);
}

#[test]
fn a_sender_that_waits_is_woken_by_credit_and_by_the_end() {
    let mut pair = Pair::new();
    let handle = listener(&mut pair.root);
    let item = Bytes::from(vec![0; 100_000]);
    while pair.child.put(ROOT, handle, item.clone()).is_ok() {}
    pair.settle();
    let (_, receipt) = arrived(&mut pair.root).remove(0);
    pair.root.taken(receipt);
    pair.settle();
    assert!(matches!(
        pair.child.poll_event(),
        Some(Event::Writable { dst: ROOT, .. })
    ));
    while pair.child.put(ROOT, handle, item.clone()).is_ok() {}
    pair.root.unsubscribe(handle);
    pair.settle();
    assert!(matches!(
        pair.child.poll_event(),
        Some(Event::Writable { dst: ROOT, .. })
    ));
    let error = pair.child.put(ROOT, handle, item).unwrap_err();
    assert!(matches!(error, PutError::Ended(dead) if dead.kind == DeadKind::Closed));
    assert_eq!(pair.root.gauges().held_bytes, 0);
    assert_eq!(pair.root.gauges().streams_in, 0);
}

#[test]
fn a_stream_to_nobody_ends_with_the_reason() {
    let mut pair = Pair::new();
    pair.child
        .put(ROOT, Handle(12345), Bytes::from_static(b"x"))
        .unwrap();
    pair.settle();
    let error = pair
        .child
        .put(ROOT, Handle(12345), Bytes::from_static(b"x"))
        .unwrap_err();
    assert!(matches!(error, PutError::Ended(dead) if dead.kind == DeadKind::NoHandle));
}

#[test]
fn s121_a_stream_to_a_lost_context_ends() {
    let mut pair = Pair::new();
    pair.root
        .put(CHILD, Handle(3000), Bytes::from_static(b"x"))
        .unwrap();
    pair.root.handle_closed(pair.down, "killed", NOW);
    let error = pair
        .root
        .put(CHILD, Handle(3000), Bytes::from_static(b"x"))
        .unwrap_err();
    assert!(matches!(error, PutError::Ended(_)), "{error:?}");
    pair.root.release(CHILD, Handle(3000));
    assert_eq!(pair.root.gauges().listeners, 0);
}

#[test]
fn t4_a_stream_cannot_stand_in_for_the_answer_to_a_call() {
    let mut pair = Pair::new();
    let bind = bind();
    pair.root
        .provide_image([0; 32], &Bytes::from_static(b"image"))
        .unwrap();
    let answer = pair.root.call(request(&bind, 0, true), NOW).unwrap();
    let forged = CallOutcome::Value(Bytes::from_static(b"forged")).encode();
    pair.child.put(ROOT, answer, forged).unwrap();
    pair.settle();
    assert_eq!(arrived(&mut pair.root), []);
    assert_eq!(pair.root.stats().refused, 1);
}

#[test]
fn a_message_to_oneself_arrives() {
    let mut pair = Pair::new();
    let handle = listener(&mut pair.root);
    pair.root
        .put(ROOT, handle, Bytes::from_static(b"note"))
        .unwrap();
    let (text, receipt) = arrived(&mut pair.root).remove(0);
    assert_eq!(text, "note");
    pair.root.taken(receipt);
    pair.root.release(ROOT, handle);
    assert_eq!(pair.root.gauges().streams_out, 0);
}

#[test]
fn s071_closing_tells_every_listener() {
    let mut pair = Pair::new();
    listener(&mut pair.root);
    listener(&mut pair.root);
    pair.root.close_handles("the router was shut down");
    let told: Vec<_> = arrived(&mut pair.root)
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(told, ["Closed: the router was shut down"; 2]);
    assert_eq!(pair.root.gauges().listeners, 0);
}

#[test]
fn b020_after_a_failure_the_rest_of_a_chain_fails_unrun() {
    let mut pair = Pair::new();
    let bind = bind();
    pair.root
        .provide_image([0; 32], &Bytes::from_static(b"image"))
        .unwrap();
    for _ in 0..3 {
        pair.root.call(request(&bind, 7, true), NOW).unwrap();
    }
    pair.settle();
    let run = next_run(&mut pair.child).unwrap();
    let failure = CallFailure::new(CallErrorKind::BadArguments, "no");
    pair.child
        .finish(run, CallOutcome::Failed(failure.clone()), NOW);
    assert_eq!(next_run(&mut pair.child), None, "the others do not run");
    pair.settle();
    let expected = CallOutcome::Failed(failure).encode();
    let expected = String::from_utf8_lossy(&expected).into_owned();
    let outcomes: Vec<_> = arrived(&mut pair.root)
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(outcomes, [expected.clone(), expected.clone(), expected]);

    pair.root.forget_chain(CHILD, 7);
    pair.root.call(request(&bind, 7, true), NOW).unwrap();
    pair.settle();
    assert!(next_run(&mut pair.child).is_some(), "it starts anew");
}

#[test]
fn l14_what_the_router_says_arrives_however_small_messages_must_be() {
    let mut pair = Pair::with_message_max(60);
    let bind = bind();
    pair.root
        .provide_image([0; 32], &Bytes::from(vec![7; 100_000]))
        .unwrap();
    pair.root.call(request(&bind, 0, true), NOW).unwrap();
    pair.settle();
    let run = next_run(&mut pair.child).unwrap();
    let failure = CallFailure::new(CallErrorKind::Trapped, "a".repeat(1000));
    pair.child.finish(run, CallOutcome::Failed(failure), NOW);
    pair.settle();
    let (text, _) = arrived(&mut pair.root).remove(0);
    assert!(text.contains("aaaa"), "{text}");

    // A refusal is longer than 40 bytes.
    let mut pair = Pair::with_message_max(40);
    let reply_to = listener(&mut pair.root);
    let body = Body::Data(Bytes::from_static(b"note"));
    pair.root.post(CHILD, Handle(5000), reply_to, body).unwrap();
    pair.settle();
    let (text, _) = arrived(&mut pair.root).remove(0);
    assert!(text.contains("nobody listens"), "{text}");

    let body = Body::Data(vec![0; 41].into());
    let error = pair.root.post(CHILD, Handle(5000), reply_to, body);
    assert_eq!(error, Err(SendError::TooLarge { size: 41, max: 40 }));
}

#[test]
fn l14_all_waits_end_when_many_contexts_are_lost_at_once() {
    let mut pair = Pair::with_message_max(40);
    let below = pair.root.allocate_context(Some(CHILD)).unwrap();
    let connect = Connect {
        id: below,
        method: Method::Local {
            remote_name: None,
            child_path: None,
        },
        options: ConnectOptions {
            name: None,
            log_level: 3,
            traces: Default::default(),
            timeout: Duration::from_secs(1),
        },
        wants_progress: false,
    };
    pair.root.connect_via(CHILD, &connect, NOW).unwrap();
    pair.settle();
    let link = pair.child.attach(below).unwrap();
    for _ in 0..600 {
        let id = pair.root.allocate_context(Some(below)).unwrap();
        let listen = Listen {
            respondent: Some(id),
            ..Listen::default()
        };
        pair.root.listen(&listen).unwrap();
    }
    pair.settle();
    pair.child.handle_closed(link, "killed", NOW);
    pair.settle();
    assert_eq!(arrived(&mut pair.root).len(), 600);
}

#[test]
fn l9_a_call_whose_time_is_up_in_the_callees_queue_ends_there_and_then() {
    let mut pair = Pair::new();
    let bind = bind();
    pair.root
        .provide_image([0; 32], &Bytes::from_static(b"image"))
        .unwrap();
    pair.root.call(request(&bind, 0, true), NOW).unwrap();
    let mut hurried = request(&bind, 0, true);
    hurried.timeout = Some(Duration::from_millis(50));
    pair.root.call(hurried, NOW).unwrap();
    pair.settle();
    let first = next_run(&mut pair.child).unwrap();
    let due = NOW + Duration::from_millis(50);
    assert_eq!(pair.child.poll_timeout(), Some(due));
    pair.child.handle_timeout(due);
    pair.settle();
    let (text, _) = arrived(&mut pair.root).remove(0);
    assert!(text.contains("its time was up"), "{text}");
    pair.child
        .finish(first, CallOutcome::Value(Bytes::new()), due);
    assert_eq!(next_run(&mut pair.child), None, "it is not begun");
    assert_eq!(
        (pair.child.calls(), pair.child.poll_timeout()),
        ((0, 0), None)
    );
}

#[test]
fn b021_nobody_is_told_of_a_call_that_nobody_waits_for() {
    let mut pair = Pair::new();
    let bind = bind();
    pair.root
        .provide_image([0; 32], &Bytes::from_static(b"image"))
        .unwrap();
    let handle = pair.root.call(request(&bind, 0, false), NOW).unwrap();
    assert_eq!(handle, Handle::NONE);
    pair.settle();
    let run = next_run(&mut pair.child).unwrap();
    pair.child
        .finish(run, CallOutcome::Value(Bytes::new()), NOW);
    pair.settle();
    assert_eq!(arrived(&mut pair.root), []);
    assert_eq!(pair.root.stats().late, 0);
}

fn bind() -> Arc<Bind> {
    Arc::new(Bind {
        key: [5; 16],
        plugin: "p".into(),
        image: [0; 32],
        grants: Vec::new(),
        limits: PluginLimits::default(),
    })
}

fn request(bind: &Arc<Bind>, chain: u64, is_awaited: bool) -> CallRequest<'_> {
    CallRequest {
        dst: CHILD,
        bind,
        function: "f",
        signature: 0,
        concurrent: false,
        chain,
        is_awaited,
        arguments: Arguments::Copied(b""),
        timeout: None,
    }
}

fn next_run(node: &mut Node) -> Option<offshoot_proto::CallKey> {
    while let Some(event) = node.poll_event() {
        if let Event::Run(run) = event {
            assert!(control::decode::<()>(run.body.arguments()).is_some());
            return Some(run.key);
        }
    }
    None
}

#[test]
fn f6_a_peer_that_stops_is_lost_and_one_that_answers_is_not() {
    let mut pair = Pair::new();
    let patience = Duration::from_secs(15);
    let interval = Node::keepalive_interval(patience);
    assert_eq!(interval, patience / 5);
    pair.root.keep_alive(pair.down, patience, NOW);
    let mut now = NOW;
    for _ in 0..10 {
        now = now + interval;
        assert_eq!(pair.root.poll_timeout(), Some(now));
        assert_eq!(pair.root.poll_timeout_of_waits(), None);
        pair.root.handle_timeout(now);
        pair.settle();
    }
    assert!(pair.root.poll_event().is_none(), "it answers each time");
    // The last sign still counts once.
    for _ in 0..5 {
        assert!(cuts(&mut pair.root).is_empty());
        now = now + interval;
        pair.root.handle_timeout(now);
    }
    assert_eq!(cuts(&mut pair.root), ["it gave no sign of life for 15 s"]);
    assert_eq!(pair.root.poll_timeout(), None, "nothing is left to watch");
}

#[test]
fn f6_both_ends_may_watch_and_either_notices_that_the_line_is_dead() {
    let mut pair = Pair::new();
    let patience = Duration::from_secs(15);
    let interval = Node::keepalive_interval(patience);
    pair.root.keep_alive(pair.down, patience, NOW);
    pair.child.keep_alive(pair.up, patience, NOW);
    let mut now = NOW;
    for _ in 0..10 {
        now = now + interval;
        pair.root.handle_timeout(now);
        pair.child.handle_timeout(now);
        pair.settle();
    }
    assert!(cuts(&mut pair.root).is_empty() && cuts(&mut pair.child).is_empty());
    // From now on nothing passes.
    for _ in 0..5 {
        now = now + interval;
        pair.root.handle_timeout(now);
        pair.child.handle_timeout(now);
    }
    let want = ["it gave no sign of life for 15 s"];
    assert_eq!(cuts(&mut pair.root), want);
    let ends: Vec<_> = std::iter::from_fn(|| pair.child.poll_event()).collect();
    assert!(matches!(ends[0], Event::CutLink { .. }), "{ends:?}");
    let ends_itself = ends.iter().any(|event| matches!(event, Event::Shutdown));
    assert!(ends_itself, "a child ends with its parent");
}

#[test]
fn f6_a_link_that_is_closed_is_watched_no_more() {
    let mut pair = Pair::new();
    pair.root
        .keep_alive(pair.down, Duration::from_secs(15), NOW);
    pair.root.handle_closed(pair.down, "it ended", NOW);
    assert_eq!(pair.root.poll_timeout(), None);
}

/// Why links were cut since the last time.
fn cuts(node: &mut Node) -> Vec<String> {
    let events = std::iter::from_fn(|| node.poll_event());
    events
        .filter_map(|event| match event {
            Event::CutLink { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
}

#[test]
fn l8_a_message_to_oneself_that_does_not_fit_is_an_error() {
    let mut pair = Pair::new();
    let handle = listener(&mut pair.root);
    let body = || Body::Data(Bytes::from(vec![7; 1000]));
    let mut sent = 0;
    let error = loop {
        match pair.root.post(ROOT, handle, Handle::NONE, body()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SendError::ReceiverFull(handle));
    let waiting = arrived(&mut pair.root);
    assert_eq!(waiting.len(), sent, "what was accepted has arrived");
    pair.root.taken(waiting[0].1);
    let room = pair.root.post(ROOT, handle, Handle::NONE, body());
    assert_eq!(room, Ok(()));
}

#[test]
fn l8_messages_of_others_that_do_not_fit_are_counted_in_the_log() {
    let mut pair = Pair::new();
    let handle = listener(&mut pair.root);
    let fits = STREAM_WINDOW as usize / 1100;
    for _ in 0..fits + 200 {
        let body = Body::Data(Bytes::from(vec![7; 1000]));
        pair.child.post(ROOT, handle, Handle::NONE, body).unwrap();
    }
    pair.settle();
    let (mut arrived, mut reported) = (0_u64, Vec::new());
    while let Some(event) = pair.root.poll_event() {
        match event {
            Event::Message { .. } => arrived += 1,
            Event::Overflow { src, count, .. } => reported.push((src, count)),
            _ => {}
        }
    }
    let lost = fits as u64 + 200 - arrived;
    let powers = (0..).map(|power| 1_u64 << power);
    let want: Vec<_> = powers
        .take_while(|count| *count <= lost)
        .map(|count| (CHILD, count))
        .collect();
    assert!(lost > 100 && arrived > 200, "{arrived} arrived");
    assert_eq!(reported, want);
}
