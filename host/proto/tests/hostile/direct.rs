//! A child that this context talks to directly.

use std::time::Duration;

use offshoot_proto::control::{self, DelRoute};
use offshoot_proto::limits::{MESSAGE_MAX_DEFAULT, REFUSALS_BACKLOG_MAX, VIOLATIONS_MAX};
use offshoot_proto::{ContextId, Dead, DeadKind, Event, Handle, Header};

use crate::worlds::*;

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
    for number in 0..=VIOLATIONS_MAX {
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
            world.node.unsubscribe(handle);
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
            reply_to: Handle(Handle::FIRST_DYNAMIC + number),
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
            reply_to: Handle(Handle::FIRST_DYNAMIC + number),
            ..header(EVIL, Handle(5000 + number))
        };
        world.send(world.evil, asked, b"");
        let answers = world.sent(world.evil);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].header.dead);
        assert_eq!(
            answers[0].header.handle,
            Handle(Handle::FIRST_DYNAMIC + number)
        );
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
                        reply_to: Handle(1009),
                        ..header(EVIL, at)
                    };
                    world.send(world.evil, forged, b"");
                }
                assert_eq!(world.node.stats().violations, 2, "{handle} from {forged}");
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
            reply_to: Handle(1009),
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
        assert_eq!(world.node.stats().violations, 1, "{ids:?}");
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
