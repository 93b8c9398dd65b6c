//! Attacks by numbers: every header there is, every table and window at its bound and beyond.

use offshoot_proto::control::{
    self, AddRoute, AllocateId, CallOutcome, DelRoute, GrantIds, IdBlock,
};
use offshoot_proto::limits::{FRAME_PAYLOAD_MAX, MESSAGE_MAX_DEFAULT};
use offshoot_proto::{ContextId, Dead, DeadKind, Frame, Handle, Header};

use super::attack::{HONEST, report, report_refusal};
use super::wire::Wire;

/// Where a program of the test listens.
const LISTENED: Handle = Handle(700);
/// Where a program of the test streams to.
const STREAMED: Handle = Handle(900);
/// Where nobody listens and the evil child waits for refusals.
const MINE: Handle = Handle(1007);

/// Fixed handles whose use by a child counts against its link, and those that a child may use.
const OFFENSIVE: [u64; 8] = [103, 104, 107, 111, 116, 120, 121, 122];

/// Frames collected until they are worth a write.
struct Batch<'a> {
    wire: &'a mut Wire,
    bytes: Vec<u8>,
}

impl<'a> Batch<'a> {
    fn new(wire: &'a mut Wire) -> Self {
        let bytes = Vec::new();
        Self { wire, bytes }
    }

    fn push(&mut self, header: Header, payload: &[u8]) {
        header.encode(payload, &mut self.bytes);
        if self.bytes.len() > 1 << 16 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.wire.write(&self.bytes);
        self.bytes.clear();
    }
}

/// Does it; says whether there is such an attack.
pub(super) fn strike(attack: &str, wire: &mut Wire, call: &Frame) -> bool {
    match attack {
        "every header that is its own" => every_own_header(wire),
        "every header that is not its own" => every_forged_header(wire),
        "ids without end" => ids(wire),
        "a million guesses" => guesses(wire, call),
        "more than the window" => overrun(wire),
        "small items and no credit read" => small_items(wire),
        "credit for nothing" => credit(wire),
        "dead messages without end" => dead(wire),
        "a million beginnings" => beginnings(wire),
        "asks for images" => images(wire),
        _ => return false,
    }
    wire.answer(call, HONEST);
    true
}

/// All that names nobody else and breaks no rule of the link: each must come to nothing.
fn every_own_header(wire: &mut Wire) {
    let body = control::encode(&AllocateId {});
    let handles = (0..1001).filter(|handle| !OFFENSIVE.contains(handle) && *handle != 102);
    // The controller listens there for its program.
    let handles: Vec<_> = handles
        .filter(|&handle| Handle(handle) != LISTENED)
        .collect();
    let (me, mut batch) = (wire.me, Batch::new(wire));
    for handle in handles {
        for (dead, stream) in [(false, false), (true, false), (false, true), (true, true)] {
            for (first, last) in [(true, true), (true, false), (false, true), (false, false)] {
                // Blocks of ids are the topic of another attack.
                let reply_to = Handle::NONE;
                let header = Header {
                    first,
                    last,
                    dead,
                    stream,
                    answer: !stream,
                    hops: 0,
                    number: 1_000_000 + handle as u32,
                    total: if first && last {
                        body.len() as u32
                    } else {
                        100
                    },
                    dst: ContextId::CONTROLLER,
                    src: me,
                    auth: me,
                    handle: Handle(handle),
                    reply_to,
                };
                batch.push(header, &body);
            }
        }
    }
    batch.flush();
}

/// One message of each kind in the name of each other context, until the link is cut.
fn every_forged_header(wire: &mut Wire) {
    let me = wire.me;
    let others = [0, 1, 2, 3, 77, u32::MAX].map(ContextId);
    let others = others.into_iter().filter(|&id| id != me);
    let pairs: Vec<_> = others
        .flat_map(|other| [(other, other), (other, me), (me, other)])
        .collect();
    for handle in (0..=125).chain([700, 900, 1000, 1001, u64::MAX]) {
        for &(src, auth) in &pairs {
            let header = wire.header(ContextId::CONTROLLER, Handle(handle), b"");
            wire.send(
                Header {
                    src,
                    auth,
                    ..header
                },
                b"",
            );
        }
    }
}

/// Uses up what it is granted, asks for more than it gets, and announces what it was not granted.
fn ids(wire: &mut Wire) {
    let ask = control::encode(&AllocateId {});
    let header = wire.header(ContextId::CONTROLLER, Handle::ALLOCATE_ID, &ask);
    let reply_to = MINE;
    wire.send(Header { reply_to, ..header }, &ask);
    let answer = wire.read_for(MINE);
    let block: IdBlock = control::decode(&answer.payload).expect("the first block");
    let (me, parent) = (wire.me, wire.parent);
    let mut batch = Batch::new(wire);
    for _ in 0..1000 {
        batch.push(header, &ask);
    }
    for id in block.first..block.first + block.count {
        let route = control::encode(&AddRoute {
            id: ContextId(id),
            toward: me,
        });
        let header = batch.wire.header(parent, Handle::ADD_ROUTE, &route);
        batch.push(header, &route);
    }
    let lost = control::encode(&DelRoute {
        ids: (block.first..block.first + block.count)
            .map(ContextId)
            .collect(),
        reason: "never there".to_owned(),
    });
    let header = batch.wire.header(parent, Handle::DEL_ROUTE, &lost);
    batch.push(header, &lost);
    batch.flush();
    // Used up, of others, and granted by itself: three offences each.
    for (id, toward) in [(block.first, me), (1, me), (block.first + 5000, me)] {
        let route = control::encode(&AddRoute {
            id: ContextId(id),
            toward,
        });
        let grant = control::encode(&GrantIds {
            owner: me,
            first: id,
            count: 1000,
        });
        let lost = control::encode(&DelRoute {
            ids: vec![ContextId::CONTROLLER, ContextId(id)],
            reason: "evil".to_owned(),
        });
        for (handle, body) in [
            (Handle::ADD_ROUTE, route),
            (Handle::GRANT_IDS, grant),
            (Handle::DEL_ROUTE, lost),
        ] {
            wire.send(wire.header(parent, handle, &body), &body);
        }
    }
}

/// Answers a million handles that the controller may have given out, but not its own.
fn guesses(wire: &mut Wire, call: &Frame) {
    let lie = CallOutcome::Value(vec![HONEST + 1].into()).encode();
    let header = wire.header(call.header.src, Handle::NONE, &lie);
    let mut batch = Batch::new(wire);
    for noise in 0..=u64::from(u16::MAX) {
        for counter in Handle::FIRST_DYNAMIC..Handle::FIRST_DYNAMIC + 16 {
            let handle = Handle(noise << 48 | counter);
            if handle != call.header.reply_to {
                batch.push(Header { handle, ..header }, &lie);
            }
        }
    }
    batch.flush();
}

/// Streams 256 MiB to a program that takes nothing, with one credit handle and with many.
fn overrun(wire: &mut Wire) {
    let item = vec![0x5a; FRAME_PAYLOAD_MAX];
    let header = wire.header(ContextId::CONTROLLER, LISTENED, &item);
    for number in 0..4096_u64 {
        let reply_to = Handle(9000 + number % 3);
        let header = Header {
            stream: true,
            reply_to,
            ..header
        };
        wire.send(header, &item);
        // A message that begins, without an end.
        let begun = Header {
            last: false,
            total: MESSAGE_MAX_DEFAULT,
            handle: Handle(5000 + number),
            ..header
        };
        wire.send(begun, &item);
    }
}

/// Streams to a program that takes all, and reads none of the credit.
fn small_items(wire: &mut Wire) {
    let header = wire.header(ContextId::CONTROLLER, LISTENED, b"");
    let header = Header {
        stream: true,
        reply_to: Handle(9000),
        ..header
    };
    let mut batch = Batch::new(wire);
    for _ in 0..500_000 {
        batch.push(header, b"");
    }
    batch.flush();
}

/// Waits for a stream of the controller, and gives credit for what was never sent.
fn credit(wire: &mut Wire) {
    let item = wire.read_for(STREAMED);
    assert!(item.header.stream, "it is one of a stream");
    for taken in [u64::MAX, 1 << 40, 300_000_000] {
        let body = control::encode(&taken);
        let header = wire.header(item.header.src, item.header.reply_to, &body);
        wire.send(header, &body);
        // And as one of a stream, which credit never is.
        let stream = Header {
            stream: true,
            reply_to: MINE,
            ..header
        };
        wire.send(stream, &body);
        report_refusal(wire, MINE);
    }
    let body = b"no number".to_vec();
    let header = wire.header(item.header.src, item.header.reply_to, &body);
    wire.send(header, &body);
    report("all given");
}

/// Says that it is over to everybody who may wait.
fn dead(wire: &mut Wire) {
    let body = control::encode(&Dead {
        kind: DeadKind::Disconnected,
        reason: "\x1b[2J".repeat(10),
    });
    let header = wire.header(ContextId::CONTROLLER, Handle::NONE, &body);
    let mut batch = Batch::new(wire);
    for number in 0..200_000 {
        let header = Header {
            dead: true,
            handle: Handle(number),
            reply_to: MINE,
            ..header
        };
        if header.handle != LISTENED {
            batch.push(header, &body);
        }
    }
    batch.flush();
}

/// Begins a million messages and ends none.
fn beginnings(wire: &mut Wire) {
    let header = wire.header(ContextId::CONTROLLER, Handle::NONE, b"");
    let mut batch = Batch::new(wire);
    for number in 0..1_000_000_u64 {
        let header = Header {
            last: false,
            number: number as u32,
            total: MESSAGE_MAX_DEFAULT,
            handle: Handle(10_000 + number),
            ..header
        };
        batch.push(header, b"x");
    }
    batch.flush();
}

/// Asks its parent for images that it was never offered, by all that could mean that.
fn images(wire: &mut Wire) {
    let parent = wire.parent;
    for byte in 0..5 {
        let mut body = vec![byte; 32];
        body.extend_from_slice(&wire.me.0.to_le_bytes());
        let header = wire.header(parent, Handle::LOAD_IMAGE, &body);
        let reply_to = MINE;
        wire.send(Header { reply_to, ..header }, &body);
    }
    let binding = [[0x11; 16], [0x22; 16]].concat();
    for handle in [Handle::BIND, Handle::CALL_FUNCTION] {
        let header = wire.header(parent, handle, &binding);
        let reply_to = MINE;
        wire.send(Header { reply_to, ..header }, &binding);
        report_refusal(wire, MINE);
    }
}
