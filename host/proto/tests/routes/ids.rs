//! Where ids come from.

use std::collections::BTreeSet;
use std::time::Duration;

use offshoot_proto::control::{self, AllocateId, IdBlock};
use offshoot_proto::limits::{ID_BLOCK, ID_BLOCKS_MAX, ID_BLOCKS_PER_LINK_MAX};
use offshoot_proto::{ContextId, Dead, DeadKind, Event, Handle, Header, Node, SendError};

use crate::tree::*;

fn refusal(events: &[Event]) -> &str {
    let reason = events.iter().find_map(|event| match event {
        Event::IdsRefused { reason } => Some(reason.as_str()),
        _ => None,
    });
    reason.expect("it is refused")
}

/// A request for ids in the name of `src`.
fn request(src: ContextId, reply_to: Handle) -> Vec<u8> {
    let body = control::encode(&AllocateId {});
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: 1,
        total: body.len() as u32,
        dst: ROOT,
        src,
        auth: src,
        handle: Handle::ALLOCATE_ID,
        reply_to,
    };
    let mut bytes = Vec::new();
    header.encode(&body, &mut bytes);
    bytes
}

#[test]
fn s074_the_first_block_begins_behind_the_first_id() {
    let mut tree = Tree::new();
    let first = tree.make(ROOT, ROOT);
    assert_eq!(first, ContextId(1));
    assert_eq!(tree.make(first, first), ContextId(2));
    assert_eq!(tree.make(first, first), ContextId(3));
    assert_eq!(tree.make(ROOT, ROOT), ContextId(1002));
}

#[test]
fn s074_the_grant_is_ahead_of_the_answer_on_each_link() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let grandchild = tree.make(ROOT, child);
    tree.node(grandchild).request_ids(NOW).unwrap();
    tree.pass_up(grandchild);
    tree.pass_up(child);
    let sent = tree.drop_down(child);
    assert_eq!(sent[0].header.handle, Handle::GRANT_IDS);
    let block: IdBlock = control::decode(&sent[1].payload).unwrap();
    assert_eq!((block.first, block.count), (3, ID_BLOCK));
    assert_eq!(sent.len(), 2);
}

#[test]
fn s074_contexts_that_allocate_at_once_never_collide() {
    let mut tree = Tree::new();
    let mut makers = vec![ROOT];
    for _ in 0..3 {
        let child = tree.make(ROOT, ROOT);
        let below = tree.make(ROOT, child);
        makers.extend([child, below]);
    }
    for &maker in &makers[1..] {
        let asked = tree.node(maker).request_ids(NOW).unwrap();
        let again = tree.node(maker).request_ids(NOW).unwrap();
        assert_eq!(asked, again, "one request at a time");
    }
    tree.settle();
    let mut ids = BTreeSet::new();
    for _ in 0..100 {
        for &maker in &makers {
            let id = tree.node(maker).allocate_context(None).unwrap();
            assert!(ids.insert(id), "context id {id} was allotted twice");
        }
        tree.settle();
    }
    let known = tree.node(ROOT).context_ids();
    // The controller expects its own children; they are not below it yet.
    assert_eq!(known.len(), 6 + 600);
    assert_eq!(tree.node(ROOT).stats().violations, 0);
}

#[test]
fn s074_a_block_request_ends_when_the_controller_is_gone() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let below = tree.make(ROOT, child);
    assert_eq!(
        tree.node(below).allocate_context(None),
        Err(SendError::NeedsIds)
    );
    tree.node(below).request_ids(NOW).unwrap();
    let up = tree.node(below).link_to(ROOT).unwrap();
    tree.node(below).handle_closed(up, "the parent died", NOW);
    let events = tree.events(below);
    assert!(refusal(&events).contains("the parent died"));
    assert_eq!(
        tree.node(below).request_ids(NOW),
        Err(SendError::NoRoute(ROOT))
    );
    assert_eq!(tree.node(below).listeners(), 0);
}

#[test]
fn s074_a_block_request_that_nobody_answers_ends_by_itself() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    tree.node(child).request_ids(NOW).unwrap();
    tree.drop_up(child);
    let due = tree.node(child).poll_timeout().unwrap();
    assert!(due <= NOW + Duration::from_secs(60));
    tree.node(child).handle_timeout(due);
    let events = tree.events(child);
    assert!(refusal(&events).contains("did not answer in time"));
    tree.node(child).request_ids(due).unwrap();
    assert!(!tree.drop_up(child).is_empty(), "it asks again");
}

#[test]
fn s074_a_block_request_that_is_forgotten_does_not_stand_in_the_way() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let forgotten = tree.node(child).request_ids(NOW).unwrap();
    tree.node(child).unsubscribe(forgotten);
    assert_ne!(tree.node(child).request_ids(NOW).unwrap(), forgotten);
}

#[test]
fn s074_a_refused_id_names_the_reason_and_the_remedy() {
    let mut controller = Node::controller(7);
    let refused = controller.request_ids(NOW).unwrap_err();
    assert_eq!(refused.to_string(), "no more context ids");
    let needs = SendError::NeedsIds.to_string();
    assert!(needs.contains("asked for more"), "{needs}");
}

#[test]
fn t2_a_child_does_not_get_a_second_block_before_half_of_the_first_was_announced() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    tree.make(child, child);
    tree.node(child).request_ids(NOW).unwrap();
    tree.settle();
    let events = tree.events(child);
    let reason = refusal(&events);
    assert!(reason.contains("used 1 of the 1000 ids"), "{reason}");
    for _ in 1..ID_BLOCK / 2 {
        tree.node(child).allocate_context(None).unwrap();
    }
    tree.node(child).request_ids(NOW).unwrap();
    tree.settle();
    assert!(tree.take(child, |event| matches!(event, Event::IdsGranted)));
    for _ in ID_BLOCK / 2..2 * ID_BLOCK {
        tree.node(child).allocate_context(None).unwrap();
    }
    assert_eq!(
        tree.node(child).allocate_context(None),
        Err(SendError::NeedsIds)
    );
}

#[test]
fn t2_a_child_cannot_drain_the_id_space() {
    let mut tree = Tree::new();
    let evil = tree.make(ROOT, ROOT);
    for number in 0..2000 {
        tree.say_up(evil, &request(evil, Handle(1000 + number)));
        let sent = tree.drop_down(evil);
        let answer = sent.last().unwrap();
        if number > 0 {
            let dead: Dead = control::decode(&answer.payload).unwrap();
            assert_eq!(dead.kind, DeadKind::Exhausted);
            assert_eq!(
                handles(&sent),
                [Handle(1000 + number)],
                "nothing is granted"
            );
        }
    }
    assert_eq!(tree.make(ROOT, ROOT), ContextId(1002), "one block is gone");
}

#[test]
fn t2_contexts_that_a_child_makes_up_cannot_drain_the_id_space() {
    let mut tree = Tree::new();
    let evil = tree.make(ROOT, ROOT);
    let mut blocks = 0;
    let mut asked = vec![evil];
    // It announces all that it is granted, and each of those asks for more.
    while let Some(src) = asked.pop() {
        tree.say_up(evil, &request(src, Handle(1000)));
        let sent = tree.drop_down(evil);
        let granted = sent
            .iter()
            .find(|frame| frame.header.handle == Handle::GRANT_IDS);
        let Some(granted) = granted else {
            continue;
        };
        blocks += 1;
        let grant: control::GrantIds = control::decode(&granted.payload).unwrap();
        for id in grant.first..grant.first + 4 {
            let route = control::AddRoute {
                id: ContextId(id),
                toward: src,
            };
            tree.say_up(evil, &crate::places::announcement(evil, &route));
            asked.push(ContextId(id));
        }
    }
    assert_eq!(blocks, ID_BLOCKS_PER_LINK_MAX);
    assert_eq!(
        tree.node(ROOT).stats().violations,
        0,
        "it kept to the rules"
    );
    let next = tree.make(ROOT, ROOT);
    assert_eq!(next, ContextId(2 + ID_BLOCKS_PER_LINK_MAX * ID_BLOCK));
    assert_eq!(
        tree.make(next, next),
        ContextId(next.0 + 1),
        "others are served"
    );
}

#[test]
fn t2_one_context_has_a_bounded_number_of_blocks_in_its_life() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    for _ in 0..ID_BLOCKS_MAX {
        tree.node(child).request_ids(NOW).unwrap();
        tree.settle();
        assert!(tree.take(child, |event| matches!(event, Event::IdsGranted)));
        while let Ok(id) = tree.node(child).allocate_context(None) {
            tree.node(child).abandon(id, "it did not come");
        }
        tree.settle();
    }
    tree.node(child).request_ids(NOW).unwrap();
    tree.settle();
    let events = tree.events(child);
    let reason = refusal(&events);
    assert!(reason.contains("64 blocks of ids"), "{reason}");
    assert_eq!(
        tree.node(ROOT).context_ids(),
        [child],
        "nothing is left of them"
    );
    assert_eq!(tree.node(ROOT).stats().violations, 0);
}

#[test]
fn t2_ids_are_asked_of_the_controller_and_with_a_place_for_the_answer() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let below = tree.make(ROOT, child);
    tree.say_up(child, &request(child, Handle::NONE));
    assert!(tree.drop_down(child).is_empty());
    let asked = request(below, Handle(1000));
    // To its parent instead of the controller.
    let mut frames = Vec::new();
    offshoot_proto::Decoder::default()
        .push(&asked, &mut frames)
        .unwrap();
    let mut bytes = Vec::new();
    let header = Header {
        dst: child,
        ..frames[0].header
    };
    header.encode(&frames[0].payload, &mut bytes);
    tree.say_up(below, &bytes);
    let sent = tree.drop_down(below);
    let dead: Dead = control::decode(&sent[0].payload).unwrap();
    assert_eq!(dead.kind, DeadKind::Refused);
    assert_eq!(dead.reason, "only the controller grants ids");
    assert_eq!(tree.make(ROOT, ROOT), ContextId(3), "no id is gone");
}
