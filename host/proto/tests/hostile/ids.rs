//! The three attacks on ids that other systems of this kind fall to.

use offshoot_proto::control::{
    self, AddRoute, AllocateId, Connect, ConnectOptions, Connected, Hello, Method,
};
use offshoot_proto::limits::VIOLATIONS_MAX;
use offshoot_proto::{Body, ContextId, Dead, DeadKind, Event, Handle, Header};

use crate::worlds::*;

#[test]
fn t2_a_child_cannot_answer_a_connect_with_its_siblings_id() {
    let mut world = World::new();
    let id = world.node.allocate_context(Some(EVIL)).unwrap();
    let connect = Connect {
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
    };
    let asked = world.node.connect_via(EVIL, &connect, NOW).unwrap();
    // The answer has no place for an id; what is called next is what was allotted.
    let up = control::encode(&Connected::Up {
        hello: Hello {
            target: String::new(),
            pid: SIBLING.0,
        },
        name: "sibling".to_owned(),
    });
    world.send(world.evil, whole(EVIL, asked, &up), &up);
    assert!(world.events().iter().any(|event| {
        matches!(event, Event::Message { handle, body: Body::Data(_), .. } if *handle == asked)
    }));
    world.sent(world.sibling);
    world.call(id);
    assert!(world.sent(world.sibling).is_empty());
    let to_evil = world.sent(world.evil);
    assert!(to_evil.iter().all(|frame| frame.header.dst != SIBLING));
    // Nor can it speak as the sibling, for the answer's sake.
    world.send(world.evil, whole(SIBLING, asked, &up), &up);
    assert_eq!(world.node.stats().violations, 1);
    world.assert_sibling_is_well();
}

#[test]
fn t2_a_child_cannot_announce_an_id_that_does_not_exist_yet() {
    let mut world = World::new();
    for id in 503..=503 + VIOLATIONS_MAX {
        let route = control::encode(&AddRoute {
            id: ContextId(id),
            toward: EVIL,
        });
        assert_eq!(world.cut(), None);
        world.send(world.evil, whole(EVIL, Handle::ADD_ROUTE, &route), &route);
        assert!(!world.node.context_ids().contains(&ContextId(id)));
    }
    let reason = world.cut().unwrap();
    assert!(
        reason.ends_with("an announcement about contexts that are elsewhere"),
        "{reason}"
    );
    world.assert_sibling_is_well();
}

#[test]
fn t2_a_child_that_asks_for_ids_again_and_again_gets_one_block() {
    let mut world = World::new();
    let request = control::encode(&AllocateId {});
    let mut refused = 0;
    for number in 0..200_u64 {
        let asked = Header {
            reply_to: Handle(1000 + number),
            ..whole(EVIL, Handle::ALLOCATE_ID, &request)
        };
        world.send(world.evil, asked, &request);
        for answer in world.sent(world.evil) {
            if answer.header.dead {
                let dead: Dead = control::decode(&answer.payload).unwrap();
                assert_eq!(dead.kind, DeadKind::Exhausted);
                assert!(
                    dead.reason.contains("used 0 of the 1000"),
                    "{}",
                    dead.reason
                );
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 199);
    assert_eq!(world.node.allocate_context(None), Ok(ContextId(1003)));
    world.assert_sibling_is_well();
}
