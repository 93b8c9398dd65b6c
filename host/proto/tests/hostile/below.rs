//! A context behind an honest one.

use offshoot_proto::control::{self, LogRecord};
use offshoot_proto::limits::{FRAME_PAYLOAD_MAX, HOPS_MAX, REFUSALS_BACKLOG_MAX, VIOLATIONS_MAX};
use offshoot_proto::{Body, ContextId, Event, Handle, Header};

use crate::worlds::*;

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
    for _ in 0..=VIOLATIONS_MAX {
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
            reply_to: Handle(Handle::FIRST_DYNAMIC + number),
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
            reply_to: Handle(Handle::FIRST_DYNAMIC + asked),
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
    let frames = 10 * VIOLATIONS_MAX;
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
    assert_eq!(chain.controller.node.stats().violations, 0);
    assert!(chain.middle_lives());
    assert_eq!(chain.controller.node.gauges().assembly_bytes, 0);
    assert_eq!(chain.middle.gauges().relay_backlog, 0);
}
