//! The wire format, byte by byte: `golden.txt` has one vector a line, and docs/WIRE.md explains
//! them. A change here is a change of `PROTOCOL_VERSION`, or a mistake.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offshoot_abi::{CallErrorKind, CallFailure, Grant, GuestError};
use offshoot_proto::control::{
    self, Arguments, Bind, CallOutcome, Connect, ConnectEvent, ConnectFailure, ConnectOptions,
    Connected, Hello, LogRecord, Method, Pause, PluginLimits, Welcome,
};
use offshoot_proto::handshake::{first_frame, greeting};
use offshoot_proto::limits::{FRAME_PAYLOAD_MAX, PROTOCOL_VERSION};
use offshoot_proto::{
    CallRequest, ContextId, Decoder, Event, Frame, HEADER_LEN, Handle, Header, Instant, LinkId,
    Listen, Node,
};

const NOW: Instant = Instant(0);

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lines() -> String {
    let mut vectors = handshake();
    vectors.extend(bodies());
    vectors.extend(conversation());
    vectors.extend(growth());
    vectors.extend(messages());
    vectors
        .iter()
        .map(|(name, bytes)| format!("{name} {}\n", hex(bytes)))
        .collect()
}

#[test]
fn the_document_is_about_this_version() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/WIRE.md");
    // Packaged sources have no documents beside them.
    let Ok(document) = std::fs::read_to_string(document) else {
        return;
    };
    let title = format!("# The wire format, version {PROTOCOL_VERSION}");
    assert_eq!(document.lines().next(), Some(title.as_str()));
}

#[test]
fn what_is_sent_has_not_changed() {
    let golden = std::fs::read_to_string(path()).unwrap();
    let now = lines();
    for (was, is) in golden.lines().zip(now.lines()) {
        assert_eq!(was, is, "if that is on purpose, count PROTOCOL_VERSION up");
    }
    assert_eq!(golden.lines().count(), now.lines().count());
}

#[test]
#[ignore = "writes the vectors anew; run it when the format changes on purpose"]
fn write_the_vectors() {
    std::fs::write(path(), lines()).unwrap();
}

type Vectors = Vec<(String, Vec<u8>)>;

fn handshake() -> Vectors {
    let nonce = "0123456789abcdef0123456789abcdef";
    let welcome = Welcome {
        id: ContextId(300),
        parents: vec![ContextId(2), ContextId(0)],
        name: "web1".to_owned(),
        message_max: 128 << 20,
        log_level: 3,
        unidirectional: true,
        traces: Default::default(),
        lost_after_ms: 0,
    };
    vec![
        (format!("version-{PROTOCOL_VERSION}"), Vec::new()),
        ("greeting".to_owned(), greeting(nonce, "b1").into_bytes()),
        ("hello".to_owned(), first_frame(&hello())),
        ("welcome".to_owned(), first_frame(&welcome)),
    ]
}

fn hello() -> Hello {
    Hello {
        target: "x86_64-unknown-linux-gnu".to_owned(),
        pid: 300,
    }
}

/// Bodies that no part of the conversation below shows.
fn bodies() -> Vectors {
    let failures = [
        CallFailure::from(GuestError {
            type_name: "io::Error".to_owned(),
            message: "no".to_owned(),
            causes: vec!["why".to_owned()],
            location: Some("a.rs:1:2".to_owned()),
            backtrace: vec!["f".to_owned()],
        }),
        CallFailure::new(CallErrorKind::BadArguments, "b"),
        CallFailure::new(CallErrorKind::UnknownFunction, "u"),
        CallFailure::new(CallErrorKind::SignatureMismatch, "s"),
        CallFailure::new(CallErrorKind::Trapped, "t"),
        CallFailure::new(CallErrorKind::LimitExceeded, "l"),
        CallFailure::new(CallErrorKind::Misbehaved, "m"),
        CallFailure::new(CallErrorKind::CannotLoad, "c"),
        CallFailure::new(CallErrorKind::Cancelled, "c"),
        CallFailure::new(CallErrorKind::DeadlineExceeded, "d"),
        CallFailure::new(CallErrorKind::ChainTimedOut, "c"),
    ];
    let mut vectors: Vectors = failures
        .into_iter()
        .enumerate()
        .map(|(index, failure)| {
            let body = CallOutcome::Failed(failure).encode();
            (format!("failure-{index}"), body.to_vec())
        })
        .collect();
    let value = CallOutcome::Value(Bytes::from_static(b"value"));
    vectors.push(("value".to_owned(), value.encode().to_vec()));
    let pause = Pause {
        dst: ContextId(300),
        paused: true,
    };
    vectors.push(("hold-back".to_owned(), control::encode(&pause)));
    let grants = vec![
        Grant::Read("/r".to_owned()),
        Grant::Write("/w".to_owned()),
        Grant::Env("E".to_owned()),
    ];
    vectors.push(("grants".to_owned(), control::encode(&grants)));
    vectors
}

/// A node and its links, whose other ends this test holds.
struct Talk {
    node: Node,
    vectors: Vectors,
}

impl Talk {
    /// Notes the frames that wait on a link; gives them.
    fn sent(&mut self, names: &[&str], link: LinkId) -> Vec<u8> {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        while self.node.poll_transmit(link, &mut bytes, usize::MAX) {}
        Decoder::default().push(&bytes, &mut frames).unwrap();
        assert_eq!(frames.len(), names.len(), "{names:?}");
        for (name, frame) in names.iter().zip(&frames) {
            let mut whole = Vec::new();
            frame.header.encode(&frame.payload, &mut whole);
            // The header and the start of a long body say enough.
            whole.truncate(HEADER_LEN + 200);
            self.vectors.push(((*name).to_owned(), whole));
        }
        bytes
    }
}

fn bind() -> Arc<Bind> {
    Arc::new(Bind {
        key: [0xb1; 16],
        plugin: "p".into(),
        image: [0x1e; 32],
        grants: vec![Grant::Read("/etc".to_owned())],
        limits: PluginLimits::default(),
    })
}

/// A controller makes a child and, via that, a grandchild, calls functions, takes a call back,
/// and ends them: every message that neighbours exchange.
fn conversation() -> Vectors {
    let mut controller = Node::controller(7);
    let child_id = controller.allocate_context(None).unwrap();
    let down = controller.attach(child_id).unwrap();
    let welcome = Welcome {
        id: child_id,
        parents: vec![ContextId::CONTROLLER],
        name: "child".to_owned(),
        message_max: controller.message_max(),
        log_level: 3,
        unidirectional: true,
        traces: Default::default(),
        lost_after_ms: 0,
    };
    let (child, up) = Node::child(&welcome, 8);
    let mut vectors = Vec::new();
    let mut above = Talk {
        node: controller,
        vectors: Vec::new(),
    };
    let mut below = Talk {
        node: child,
        vectors: Vec::new(),
    };

    let grandchild = above.node.allocate_context(Some(child_id)).unwrap();
    let connect = Connect {
        id: grandchild,
        method: Method::Local {
            remote_name: None,
            child_path: Some("/opt/child".to_owned()),
        },
        options: ConnectOptions {
            name: Some("web1".to_owned()),
            log_level: 3,
            traces: Default::default(),
            timeout: Duration::from_millis(30_000),
        },
        wants_progress: false,
    };
    let _ = above.node.connect_via(child_id, &connect, NOW).unwrap();
    let orders = above.sent(&["ADD_ROUTE", "CONNECT"], down);
    below.node.handle_bytes(up, &orders, NOW);
    let Some(Event::Connect { src, reply_to, .. }) = below.node.poll_event() else {
        panic!("it was asked for a child");
    };
    let _ = below.node.attach(grandchild).unwrap();
    let connected = Connected::Up {
        hello: hello(),
        name: "web1".to_owned(),
    };
    below.node.answer_connect(src, reply_to, &connected);
    let failed = Connected::Failed(ConnectFailure::Other("no such program".to_owned()));
    below.node.answer_connect(src, reply_to, &failed);
    let uploading = Connected::Progress(ConnectEvent::Uploading {
        directory: "/tmp".to_owned(),
        sent: 1,
        total: 300,
    });
    below.node.answer_connect(src, reply_to, &uploading);
    below.sent(
        &["connected-up", "connected-failed", "connected-progress"],
        up,
    );

    let bind = bind();
    above
        .node
        .provide_image(bind.image, &Bytes::from_static(b"image"))
        .unwrap();
    let mut call = |arguments: &[u8], concurrent| {
        let request = CallRequest {
            dst: child_id,
            bind: &bind,
            function: "walk",
            signature: 0x5167,
            concurrent,
            chain: 0,
            is_awaited: true,
            arguments: Arguments::Copied(arguments),
            timeout: Some(Duration::from_secs(5)),
        };
        above.node.call(request, NOW).unwrap()
    };
    let first = call(b"args", false);
    let _ = call(&vec![0; FRAME_PAYLOAD_MAX], true);
    above.node.unsubscribe(first);
    above.node.shut_down(child_id);
    let names = [
        "LOAD_IMAGE",
        "BIND",
        "CALL_FUNCTION",
        "SHUTDOWN",
        "CALL_FUNCTION-first",
        "CALL_FUNCTION-last",
        "CANCEL",
    ];
    let orders = above.sent(&names, down);
    below.node.handle_bytes(up, &orders, NOW);
    let Some(Event::Run(run)) = below.node.poll_event() else {
        panic!("it was called");
    };
    let value = CallOutcome::Value(Bytes::from_static(b"value"));
    below.node.finish(run.key, value, NOW);
    below.node.log(
        &LogRecord {
            level: 3,
            target: "plugin".to_owned(),
            text: "done".to_owned(),
        },
        Instant(0),
    );
    below.node.abandon(ContextId(99), "it is not even expected");
    let unknown = message(Handle(199), Handle(1001));
    below.node.handle_bytes(up, &unknown, NOW);
    let link = LinkId(1);
    below.node.handle_closed(link, "it ended", NOW);
    below.sent(&["answer", "FORWARD_LOG", "dead", "DEL_ROUTE"], up);
    vectors.extend(above.vectors);
    vectors.extend(below.vectors);
    vectors
}

/// A child is granted ids, makes a child of its own, and is told that a sibling to which it has
/// sent is gone.
fn growth() -> Vectors {
    let mut controller = Node::controller(7);
    controller.set_unidirectional(false);
    let [(child_id, down), (sibling, elsewhere)] = [(); 2].map(|()| {
        let id = controller.allocate_context(None).unwrap();
        (id, controller.attach(id).unwrap())
    });
    let welcome = Welcome {
        id: child_id,
        parents: vec![ContextId::CONTROLLER],
        name: "child".to_owned(),
        message_max: controller.message_max(),
        log_level: 3,
        unidirectional: false,
        traces: Default::default(),
        lost_after_ms: 0,
    };
    let (child, up) = Node::child(&welcome, 8);
    let talk = |node| Talk {
        node,
        vectors: Vec::new(),
    };
    let (mut above, mut below) = (talk(controller), talk(child));

    let _ = below.node.request_ids(NOW).unwrap();
    let asked = below.sent(&["ALLOCATE_ID"], up);
    above.node.handle_bytes(down, &asked, NOW);
    let granted = above.sent(&["GRANT_IDS", "id-block"], down);
    below.node.handle_bytes(up, &granted, NOW);
    assert!(matches!(below.node.poll_event(), Some(Event::IdsGranted)));
    let _ = below.node.allocate_context(None).unwrap();
    let connect = Connect {
        id: ContextId(9),
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
    };
    let _ = below.node.connect_via(sibling, &connect, NOW).unwrap();
    let announced = below.sent(&["ADD_ROUTE-up", "CONNECT-to-a-sibling"], up);
    above.node.handle_bytes(down, &announced, NOW);
    above.node.handle_closed(elsewhere, "it ended", NOW);
    above.sent(&["DEL_ROUTE-down"], down);
    let mut vectors = above.vectors;
    vectors.extend(below.vectors);
    vectors
}

/// A stream with its credit, the end of a chain of calls, and the word that someone listens for a
/// sibling.
fn messages() -> Vectors {
    let mut controller = Node::controller(7);
    let child_id = controller.allocate_context(None).unwrap();
    let down = controller.attach(child_id).unwrap();
    let welcome = Welcome {
        id: child_id,
        parents: vec![ContextId::CONTROLLER],
        name: "child".to_owned(),
        message_max: controller.message_max(),
        log_level: 3,
        unidirectional: false,
        traces: Default::default(),
        lost_after_ms: 0,
    };
    let (child, up) = Node::child(&welcome, 8);
    let talk = |node| Talk {
        node,
        vectors: Vec::new(),
    };
    let (mut above, mut below) = (talk(controller), talk(child));

    let listen = Listen {
        persist: true,
        ..Listen::default()
    };
    let handle = above.node.listen(&listen).unwrap();
    let item = Bytes::from_static(b"item");
    below.node.put(ContextId::CONTROLLER, handle, item).unwrap();
    let sent = below.sent(&["stream-item"], up);
    above.node.handle_bytes(down, &sent, NOW);
    let Some(Event::Message { receipt, .. }) = above.node.poll_event() else {
        panic!("it has arrived");
    };
    above.node.taken(receipt);
    above.sent(&["stream-credit"], down);
    above.node.unsubscribe(handle);
    above.node.forget_chain(child_id, 300);
    above.sent(&["stream-closed", "FORGET_CHAIN"], down);
    let sibling = Listen {
        respondent: Some(ContextId(9)),
        ..listen
    };
    let _ = below.node.listen(&sibling).unwrap();
    below.sent(&["WATCH"], up);
    let mut vectors = above.vectors;
    vectors.extend(below.vectors);
    vectors
}

/// A message without a body from the controller to its child.
fn message(handle: Handle, reply_to: Handle) -> Vec<u8> {
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: 9,
        total: 0,
        dst: ContextId(1),
        src: ContextId::CONTROLLER,
        auth: ContextId::CONTROLLER,
        handle,
        reply_to,
    };
    let mut out = Vec::new();
    header.encode(&[], &mut out);
    out
}

#[test]
fn the_vectors_are_read_as_they_were_written() {
    let golden = std::fs::read_to_string(path()).unwrap();
    let frames = golden.lines().filter_map(|line| line.split_once(" 4ff5"));
    let mut whole = 0;
    for (name, rest) in frames {
        let bytes: Vec<u8> = format!("4ff5{rest}")
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let mut frames: Vec<Frame> = Vec::new();
        Decoder::default().push(&bytes, &mut frames).unwrap();
        // Long ones were cut off.
        if bytes.len() < HEADER_LEN + 200 {
            assert_eq!(frames.len(), 1, "{name}");
            whole += 1;
        }
    }
    assert!(whole > 12, "{whole} frames were read");
}
