//! Every header that a child can make up, one at a time.

use offshoot_proto::control::{self, AddRoute, AllocateId, DelRoute, GrantIds, LogRecord};
use offshoot_proto::{ContextId, Event, Handle, Header, Listen};

use crate::worlds::*;

/// Where a program of the controller waits for the sibling.
const SIBLINGS: Handle = Handle(500);

fn handles() -> impl Iterator<Item = Handle> {
    let fixed = (0..=125).chain([199, 200, 500, 999, 1000, 1001, 1002, u64::MAX]);
    fixed.map(Handle)
}

/// A body that means something at that handle, if any does.
fn body(handle: Handle) -> Vec<u8> {
    match handle {
        Handle::FORWARD_LOG => control::encode(&LogRecord {
            level: 3,
            target: "evil".to_owned(),
            text: "evil".to_owned(),
        }),
        Handle::ADD_ROUTE => control::encode(&AddRoute {
            id: ContextId(77),
            toward: EVIL,
        }),
        Handle::DEL_ROUTE => control::encode(&DelRoute {
            ids: vec![SIBLING],
            reason: "evil".to_owned(),
        }),
        Handle::ALLOCATE_ID => control::encode(&AllocateId {}),
        Handle::GRANT_IDS => control::encode(&GrantIds {
            owner: EVIL,
            first: 3,
            count: 1000,
        }),
        _ => control::encode(&1_u64),
    }
}

/// What a child may say of itself to its parent.
fn is_allowed(header: &Header) -> bool {
    let own = header.src == EVIL && header.auth == EVIL && header.dst == ContextId::CONTROLLER;
    let plain = header.first && header.last && !header.dead && !header.stream;
    let may = [
        Handle::FORWARD_LOG,
        Handle::ALLOCATE_ID,
        Handle::MONITOR,
        Handle::DETACHING,
        Handle::HEARTBEAT,
        Handle::ALIVE,
        Handle::PAUSE,
    ];
    // A neighbour may announce losses in several frames; they wait for the last one.
    let begun = header.first && !header.last && header.handle == Handle::DEL_ROUTE;
    own && (begun || plain && may.contains(&header.handle))
}

/// The header does no harm: nobody is told anything, nobody but the child gets a message, and what
/// was refused is counted.
#[track_caller]
fn check(header: Header) {
    let mut world = World::new();
    let answer = world.call(SIBLING);
    let listen = Listen {
        handle: Some(SIBLINGS),
        persist: true,
        respondent: Some(SIBLING),
        deadline: None,
    };
    world.node.listen(&listen).unwrap();
    world.node.put(SIBLING, Handle(900), "item".into()).unwrap();
    world.sent(world.sibling);
    world.events();
    let before = (world.node.stats(), world.node.gauges().listeners);
    let payload = body(header.handle);
    let whole = header.first && header.last;
    let total = payload.len() as u32 + u32::from(!whole);
    world.send(world.evil, Header { total, ..header }, &payload);
    if is_allowed(&header) {
        return;
    }
    let told = world.events();
    let harmless = |event: &Event| matches!(event, Event::CutLink { peer: EVIL, .. });
    assert!(told.iter().all(harmless), "{header:?}: {told:?}");
    assert!(world.sent(world.sibling).is_empty(), "{header:?}");
    for frame in world.sent(world.evil) {
        assert!(frame.header.dead, "{header:?} is answered with {frame:?}");
    }
    let (stats, gauges) = (world.node.stats(), world.node.gauges());
    assert_eq!(stats.delivered, before.0.delivered, "{header:?}");
    assert_eq!(gauges.listeners, before.1, "{header:?}");
    assert_eq!(gauges.assemblies, 0, "{header:?}");
    assert_eq!(gauges.held_bytes, 0, "{header:?}");
    let noted = |stats: offshoot_proto::Stats| stats.refused + stats.violations + stats.late;
    // What finds no way is answered by a dead message, and no table knows of it.
    let lost = header.dst != ContextId::CONTROLLER && header.dst != SIBLING;
    assert!(lost || noted(stats) > noted(before.0), "{header:?}");
    assert!(world.node.link_to(SIBLING).is_some() && answer != Handle::NONE);
}

#[test]
fn t1_no_header_that_a_child_can_make_up_does_harm() {
    let contexts = [0, EVIL.0, SIBLING.0, 77, u32::MAX].map(ContextId);
    let shapes = [(true, true), (true, false), (false, true)];
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    let mut tried = 0;
    for handle in handles() {
        for (src, auth) in [
            (EVIL, EVIL),
            (EVIL, ContextId::CONTROLLER),
            (EVIL, SIBLING),
            (SIBLING, SIBLING),
            (SIBLING, EVIL),
            (ContextId::CONTROLLER, ContextId::CONTROLLER),
            (ContextId(77), ContextId(77)),
        ] {
            for dst in contexts {
                for (first, last) in shapes {
                    for (dead, stream) in flags {
                        for reply_to in [0, 7, 1000, 101].map(Handle) {
                            check(Header {
                                first,
                                last,
                                dead,
                                stream,
                                dst,
                                src,
                                auth,
                                reply_to,
                                ..header(EVIL, handle)
                            });
                            tried += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(tried > 200_000, "{tried}");
}
