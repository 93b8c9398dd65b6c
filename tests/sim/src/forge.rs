//! Frames that an enemy would send: every field is right, nearly right, or absurd, and the
//! checksum always fits, so that they get behind it.

use offshoot_proto::control::{
    self, AddRoute, AllocateId, Bind, CallHead, CallOutcome, Connect, ConnectOptions, Connected,
    DelRoute, GrantIds, Hello, IdBlock, LogRecord, Method, Pause, PluginLimits,
};
use offshoot_proto::{ContextId, Handle, Header};

use crate::rng::Rng;

/// What the enemy knows of the tree.
#[derive(Clone, Debug)]
pub struct View {
    /// The context that it is.
    pub me: ContextId,
    /// The contexts above it, from its parent to the controller.
    pub above: Vec<ContextId>,
    /// All contexts that it has heard of.
    pub known: Vec<ContextId>,
    /// Handles that others wait on, and who does: it may have guessed them.
    pub guessed: Vec<(ContextId, Handle)>,
    /// Ids that were granted to it.
    pub granted: Vec<ContextId>,
    /// Headers of messages that it has seen.
    pub seen: Vec<Header>,
}

/// Every handle that has a meaning, and neighbours that have none.
const HANDLES: &[Handle] = &[
    Handle::NONE,
    Handle::HELLO,
    Handle(2),
    Handle(100),
    Handle::CALL_FUNCTION,
    Handle::FORWARD_LOG,
    Handle::ADD_ROUTE,
    Handle::DEL_ROUTE,
    Handle::ALLOCATE_ID,
    Handle::SHUTDOWN,
    Handle::LOAD_IMAGE,
    Handle::BIND,
    Handle::CONNECT,
    Handle::CANCEL,
    Handle::GRANT_IDS,
    Handle::FORGET_CHAIN,
    Handle::MONITOR,
    Handle(114),
    Handle::DETACH,
    Handle::DETACHING,
    Handle::HEARTBEAT,
    Handle::ALIVE,
    Handle::PAUSE,
    Handle(123),
    Handle(199),
    Handle(200),
    Handle(999),
    Handle(1000),
    Handle(1001),
    Handle(u64::MAX),
];

/// Appends an order to the parent that borrows the authority of a context above it, or a word
/// in the name of another context.
pub fn borrowed(rng: &mut Rng, view: &View, number: &mut u32, out: &mut Vec<u8>) {
    const ORDERS: &[Handle] = &[
        Handle::CALL_FUNCTION,
        Handle::BIND,
        Handle::CONNECT,
        Handle::SHUTDOWN,
        Handle::CANCEL,
        Handle::FORWARD_LOG,
        Handle::LOAD_IMAGE,
        Handle::ADD_ROUTE,
        Handle::DEL_ROUTE,
        Handle::ALLOCATE_ID,
        Handle::GRANT_IDS,
        Handle::FORGET_CHAIN,
        Handle::DETACH,
        Handle::DETACHING,
        Handle::MONITOR,
        Handle::PAUSE,
    ];
    *number = number.wrapping_add(1);
    let handle = *rng.pick(ORDERS);
    let payload = fitting(rng, view, handle);
    let (src, auth) = match rng.below(3) {
        0 => (*rng.pick(&view.known), *rng.pick(&view.known)),
        1 => (view.me, view.me),
        _ => (view.me, *rng.pick(&view.above)),
    };
    let dst = if rng.chance(700) {
        view.above[0]
    } else {
        *rng.pick(&view.known)
    };
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: *number,
        total: payload.len() as u32,
        dst,
        src,
        auth,
        handle,
        reply_to: Handle::NONE,
    };
    header.encode(&payload, out);
}

/// Appends a request for ids, or an announcement that may even be allowed.
pub fn growing(rng: &mut Rng, view: &View, number: &mut u32, out: &mut Vec<u8>) {
    *number = number.wrapping_add(1);
    let ask = view.granted.is_empty() || rng.chance(200);
    let mut id = || match view.granted.as_slice() {
        [] => context(rng, view),
        granted => *rng.pick(granted),
    };
    let (dst, handle, payload) = if ask {
        let body = control::encode(&AllocateId {});
        (ContextId::CONTROLLER, Handle::ALLOCATE_ID, body)
    } else {
        let (id, other) = (id(), id());
        let toward = if rng.chance(700) { view.me } else { other };
        let body = control::encode(&AddRoute { id, toward });
        (view.above[0], Handle::ADD_ROUTE, body)
    };
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: *number,
        total: payload.len() as u32,
        dst,
        src: view.me,
        auth: view.me,
        handle,
        reply_to: Handle(1000 + rng.below(9)),
    };
    header.encode(&payload, out);
}

/// Appends an answer in the place of someone else to `out`.
pub fn intruding(rng: &mut Rng, view: &View, number: &mut u32, out: &mut Vec<u8>) {
    *number = number.wrapping_add(1);
    let Some((dst, handle)) = (!view.guessed.is_empty()).then(|| *rng.pick(&view.guessed)) else {
        return;
    };
    let payload = CallOutcome::Value(rng.bytes(4).into()).encode();
    let header = Header {
        first: true,
        last: true,
        dead: rng.chance(300),
        stream: false,
        answer: true,
        hops: 0,
        number: *number,
        total: payload.len() as u32,
        dst,
        src: view.me,
        auth: view.me,
        handle,
        reply_to: Handle::NONE,
    };
    header.encode(&payload, out);
}

/// Appends what breaks a stream's rules: more than the window, credit for what was never taken,
/// the end of someone else's, or a beginning without an end.
pub fn streaming(rng: &mut Rng, view: &View, number: &mut u32, out: &mut Vec<u8>) {
    let seen = view.seen.iter().filter(|header| header.stream);
    let mut targets: Vec<_> = seen.map(|header| (header.src, header.reply_to)).collect();
    targets.extend(&view.guessed);
    if targets.is_empty() {
        return;
    }
    let (dst, handle) = *rng.pick(&targets);
    let kind = rng.below(10);
    let (payload, times) = match kind {
        0..4 => {
            let length = *rng.pick(&[0, 1, 300, 30_000]);
            (vec![rng.word() as u8; length], rng.below(12))
        }
        4..7 => {
            let taken = *rng.pick(&[0, 49, 300_000, u64::MAX]);
            (control::encode(&taken), 0)
        }
        _ => {
            let length = rng.index(200);
            (rng.bytes(length), 0)
        }
    };
    let reply_to = match rng.below(4) {
        0 => Handle::NONE,
        1 => Handle(rng.word()),
        _ => Handle(1000 + rng.below(3)),
    };
    let begun = kind == 9;
    let total = if begun {
        *rng.pick(&[200, 100_000, 1 << 27])
    } else {
        payload.len() as u32
    };
    for _ in 0..=times {
        *number = number.wrapping_add(1);
        let header = Header {
            first: true,
            last: !begun,
            dead: kind == 7,
            stream: kind < 4 || rng.chance(300),
            answer: kind >= 4,
            hops: 0,
            number: *number,
            total,
            dst,
            src: view.me,
            auth: view.me,
            handle,
            reply_to,
        };
        header.encode(&payload, out);
    }
}

/// Appends a forged frame to `out`.
pub fn frame(rng: &mut Rng, view: &View, number: &mut u32, out: &mut Vec<u8>) {
    if !rng.chance(300) {
        *number = number.wrapping_add(1);
    }
    let handle = handle(rng, view);
    let payload = body(rng, view, handle);
    // Most are what an honest context would say of itself, so that they get further.
    let src = if rng.chance(800) {
        view.me
    } else {
        context(rng, view)
    };
    let auth = if rng.chance(850) {
        src
    } else {
        context(rng, view)
    };
    let whole = rng.chance(800);
    let total = match rng.below(10) {
        _ if whole => payload.len() as u32,
        0 => 0,
        1 => u32::MAX,
        2 => payload.len() as u32,
        _ => payload.len() as u32 + rng.below(300_000) as u32,
    };
    let header = Header {
        first: whole || rng.chance(600),
        last: whole || rng.chance(300),
        dead: rng.chance(100),
        stream: rng.chance(150),
        answer: (*number).is_multiple_of(2),
        hops: *rng.pick(&[0, 0, 0, 0, 1, 61, 62, 63, 64, 255]),
        number: *number,
        total,
        dst: context(rng, view),
        src,
        auth,
        handle,
        reply_to: if rng.chance(500) {
            Handle::NONE
        } else {
            self::handle(rng, view)
        },
    };
    header.encode(&payload, out);
}

/// Appends an answer to the message with `asked` as its header.
pub(crate) fn answer(asked: &Header, payload: &[u8], number: u32, out: &mut Vec<u8>) {
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: true,
        hops: 0,
        number,
        total: payload.len() as u32,
        dst: asked.src,
        src: asked.dst,
        auth: asked.dst,
        handle: asked.reply_to,
        reply_to: Handle::NONE,
    };
    header.encode(payload, out);
}

fn context(rng: &mut Rng, view: &View) -> ContextId {
    match rng.below(10) {
        0 => ContextId(u32::MAX),
        1 => ContextId(rng.below(16) as u32),
        2 => view.me,
        3 if !view.granted.is_empty() => *rng.pick(&view.granted),
        3..6 => ContextId::CONTROLLER,
        _ => *rng.pick(&view.known),
    }
}

fn handle(rng: &mut Rng, view: &View) -> Handle {
    match rng.below(10) {
        0..5 => *rng.pick(HANDLES),
        5..8 if !view.seen.is_empty() => rng.pick(&view.seen).reply_to,
        8 => Handle(1000 + rng.below(40)),
        _ => Handle(rng.word()),
    }
}

/// A body that fits the handle, more or less.
fn body(rng: &mut Rng, view: &View, handle: Handle) -> Vec<u8> {
    let mut bytes = match rng.below(8) {
        0 => Vec::new(),
        1 => {
            let length = rng.below(60) as usize;
            rng.bytes(length)
        }
        _ => fitting(rng, view, handle),
    };
    if rng.chance(100) && !bytes.is_empty() {
        let index = rng.index(bytes.len());
        bytes[index] = rng.word() as u8;
    }
    if rng.chance(50) {
        let length = rng.index(bytes.len() + 1);
        bytes.truncate(length);
    }
    bytes
}

fn fitting(rng: &mut Rng, view: &View, handle: Handle) -> Vec<u8> {
    match handle {
        Handle::CALL_FUNCTION => {
            let head = CallHead {
                binding: [rng.below(6) as u8; 16],
                timeout: rng.below(9),
                chain: rng.below(3),
                concurrent: true,
                function: "f",
                ..CallHead::default()
            };
            let mut bytes = head.start(4);
            bytes.extend_from_slice(&(rng.below(20) as u32).to_le_bytes());
            bytes
        }
        Handle::FORWARD_LOG => control::encode(&LogRecord {
            level: rng.word() as u8,
            target: "evil".to_owned(),
            text: rng.below(9).to_string(),
        }),
        Handle::ADD_ROUTE => control::encode(&AddRoute {
            id: context(rng, view),
            toward: context(rng, view),
        }),
        Handle::PAUSE => control::encode(&Pause {
            dst: context(rng, view),
            paused: rng.chance(700),
        }),
        Handle::ALLOCATE_ID => control::encode(&AllocateId {}),
        Handle::GRANT_IDS => control::encode(&GrantIds {
            owner: context(rng, view),
            first: context(rng, view).0,
            count: rng.below(1200) as u32,
        }),
        Handle::DEL_ROUTE => control::encode(&DelRoute {
            ids: (0..rng.below(4)).map(|_| context(rng, view)).collect(),
            reason: "evil".to_owned(),
        }),
        Handle::LOAD_IMAGE => {
            let mut bytes = vec![rng.below(6) as u8; 32];
            bytes.extend_from_slice(&context(rng, view).0.to_le_bytes());
            let length = rng.below(50) as usize;
            bytes.extend_from_slice(&rng.bytes(length));
            bytes
        }
        Handle::BIND => control::encode(&Bind {
            key: [rng.below(9) as u8; 16],
            plugin: "p".into(),
            image: [rng.below(6) as u8; 32],
            grants: Vec::new(),
            limits: PluginLimits::default(),
        }),
        Handle::CONNECT => control::encode(&Connect {
            id: context(rng, view),
            method: Method::Local {
                remote_name: None,
                child_path: None,
            },
            options: ConnectOptions {
                name: None,
                log_level: 5,
                traces: Default::default(),
                timeout: std::time::Duration::from_millis(rng.below(100)),
            },
            wants_progress: false,
        }),
        Handle::FORGET_CHAIN => control::encode(&rng.below(3)),
        Handle::CANCEL => control::encode(&self::handle(rng, view)),
        _ if rng.chance(100) => control::encode(&IdBlock {
            first: context(rng, view).0,
            count: 1000,
        }),
        _ if rng.chance(300) => control::encode(&Connected::Up {
            hello: Hello {
                target: String::new(),
                pid: 1,
            },
            name: String::new(),
        }),
        _ => {
            let length = rng.below(9) as usize;
            CallOutcome::Value(rng.bytes(length).into())
                .encode()
                .to_vec()
        }
    }
}
