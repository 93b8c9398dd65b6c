//! Where contexts are, and who learns of it.

use offshoot_proto::control::{self, AddRoute, DelRoute, GrantIds};
use offshoot_proto::limits::ID_BLOCK;
use offshoot_proto::{ContextId, Handle, Header, Route, RouteError, SendError};

use crate::tree::*;

/// A child's announcement to its parent, which is the controller.
pub(crate) fn announcement(src: ContextId, route: &AddRoute) -> Vec<u8> {
    control_message(src, Handle::ADD_ROUTE, &control::encode(route))
}

fn control_message(src: ContextId, handle: Handle, body: &[u8]) -> Vec<u8> {
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
        handle,
        reply_to: Handle::NONE,
    };
    let mut bytes = Vec::new();
    header.encode(body, &mut bytes);
    bytes
}

/// The controller, a child that was granted ids, and its sibling.
fn with_a_grant() -> (Tree, ContextId, ContextId) {
    let mut tree = Tree::new();
    let (child, sibling) = (tree.make(ROOT, ROOT), tree.make(ROOT, ROOT));
    tree.node(child).request_ids(NOW).unwrap();
    tree.settle();
    (tree, child, sibling)
}

/// Counts an offence and places nobody.
#[track_caller]
fn assert_refused(tree: &mut Tree, src: ContextId, route: &AddRoute) {
    let before = tree.node(ROOT).stats().violations;
    let known = tree.node(ROOT).context_ids();
    tree.say_up(src, &announcement(src, route));
    assert_eq!(tree.node(ROOT).stats().violations, before + 1, "{route:?}");
    assert_eq!(tree.node(ROOT).context_ids(), known, "{route:?}");
}

fn route(id: u32, toward: ContextId) -> AddRoute {
    AddRoute {
        id: ContextId(id),
        toward,
    }
}

#[test]
fn s076_each_ancestor_learns_which_child_leads_to_a_new_context() {
    let mut tree = Tree::new();
    let mut chain = vec![ROOT];
    for _ in 0..4 {
        let last = *chain.last().unwrap();
        chain.push(tree.make(ROOT, last));
    }
    // By the controller, by one in the middle for one below it, and by the parent itself.
    for maker in [ROOT, chain[2], chain[4]] {
        let new = tree.make(maker, chain[4]);
        for (index, &above) in chain.iter().enumerate().take(4) {
            let want = Route {
                id: new,
                through: chain[index + 1],
                parent: chain[4],
            };
            let routes = tree.node(above).routes();
            assert!(routes.contains(&want), "{above}: {routes:?}");
        }
        let parents = tree.node(new).parent_ids().to_vec();
        assert_eq!(parents, chain.iter().rev().copied().collect::<Vec<_>>());
    }
    assert_eq!(tree.node(ROOT).stats().violations, 0);
}

#[test]
fn s076_the_announcement_is_ahead_of_anything_that_the_new_context_can_send() {
    let (mut tree, child, _) = with_a_grant();
    let new = tree.node(child).allocate_context(None).unwrap();
    tree.appear(child, new);
    tree.node(new).log(
        &control::LogRecord {
            level: 3,
            target: String::new(),
            text: String::new(),
        },
        offshoot_proto::Instant(0),
    );
    tree.pass_up(new);
    let sent = tree.drop_up(child);
    assert_eq!(handles(&sent), [Handle::ADD_ROUTE, Handle::FORWARD_LOG]);
}

#[test]
fn s076_a_context_that_did_not_come_is_taken_back_by_all() {
    let (mut tree, child, sibling) = with_a_grant();
    let new = tree.node(child).allocate_context(None).unwrap();
    tree.settle();
    assert!(tree.node(ROOT).context_ids().contains(&new));
    tree.node(child).abandon(new, "it could not be started");
    tree.settle();
    assert_eq!(tree.node(ROOT).context_ids(), [child, sibling]);
    // Its id is burnt, at the one who gave it and above.
    let next = tree.node(child).allocate_context(None).unwrap();
    assert_eq!(next.0, new.0 + 1);
    tree.settle();
    assert_refused(&mut tree, child, &route(new.0, child));
}

#[test]
fn s086_a_context_ten_levels_deep_makes_contexts_and_is_reached() {
    let mut tree = Tree::new();
    let mut last = ROOT;
    for _ in 0..10 {
        last = tree.make(last, last);
    }
    assert_eq!(tree.node(last).parent_ids().len(), 10);
    assert_eq!(tree.node(ROOT).descendants(), 10);
    tree.kill(last);
    tree.settle();
    assert_eq!(tree.node(ROOT).descendants(), 9);
    assert_eq!(tree.node(ROOT).stats().violations, 0);
}

#[test]
fn s062_what_is_not_below_leads_to_the_parent() {
    let (mut tree, child, sibling) = with_a_grant();
    let below = tree.make(child, child);
    let up = tree.node(child).link_to(ROOT).unwrap();
    assert_eq!(tree.node(child).link_to(sibling), Some(up));
    assert_ne!(tree.node(child).link_to(below), Some(up));
    assert_eq!(tree.node(child).link_to(child), None);
    assert_eq!(tree.node(ROOT).link_to(ContextId(77)), None);
    assert!(tree.node(ROOT).link_to(below).is_some());
}

#[test]
fn s063_a_route_that_cannot_be_added_changes_nothing() {
    let (mut tree, child, sibling) = with_a_grant();
    let id = tree.node(ROOT).allocate_id().unwrap();
    let before = tree.node(ROOT).routes();
    let unknown = ContextId(500_000);
    let cases = [
        (id, unknown, RouteError::UnknownVia(unknown)),
        (sibling, child, RouteError::Known(sibling)),
        (unknown, child, RouteError::NotAllotted(unknown)),
        (ContextId(3), child, RouteError::NotAllotted(ContextId(3))),
    ];
    for (target, via, error) in cases {
        assert_eq!(tree.node(ROOT).add_route(target, via), Err(error));
    }
    assert_eq!(tree.node(ROOT).routes(), before);
    assert!(tree.drop_down(child).is_empty());
    tree.node(ROOT).add_route(id, child).unwrap();
    assert_eq!(
        tree.node(ROOT).add_route(id, child),
        Err(RouteError::Known(id))
    );
}

#[test]
fn s063_ids_can_be_placed_in_any_order_and_every_hop_learns_of_them() {
    let (mut tree, child, _) = with_a_grant();
    let below = tree.make(child, child);
    let ids = [(); 3].map(|()| tree.node(child).allocate_id().unwrap());
    for &id in ids.iter().rev() {
        tree.node(child).add_route(id, below).unwrap();
    }
    tree.settle();
    for id in ids {
        let want = Route {
            id,
            through: child,
            parent: below,
        };
        assert!(tree.node(ROOT).routes().contains(&want));
    }
    assert_eq!(tree.node(ROOT).stats().violations, 0);
}

#[test]
fn s064_a_context_is_known_before_its_first_message_is_routed() {
    let (mut tree, child, _) = with_a_grant();
    let new = tree.node(child).allocate_context(None).unwrap();
    assert_eq!(tree.node(child).attach(ContextId(new.0 + 1)), None);
    tree.appear(child, new);
    tree.node(new).request_ids(NOW).unwrap();
    tree.settle();
    let granted =
        |event: &offshoot_proto::Event| matches!(event, offshoot_proto::Event::IdsGranted);
    assert!(tree.take(new, granted));
}

#[test]
fn t2_a_child_cannot_announce_an_id_that_was_not_granted() {
    let (mut tree, child, sibling) = with_a_grant();
    let (first, end) = (3, 3 + ID_BLOCK);
    for id in [0, child.0, sibling.0, 2, end, end + 500, u32::MAX] {
        assert_refused(&mut tree, child, &route(id, child));
    }
    // Nor may its sibling use the child's, nor the child place its own elsewhere.
    assert_refused(&mut tree, sibling, &route(first, sibling));
    assert_refused(&mut tree, sibling, &route(first, child));
    assert_refused(&mut tree, child, &route(first, sibling));
    assert_refused(&mut tree, child, &route(first, ROOT));
    assert_refused(&mut tree, child, &route(first, ContextId(first + 1)));
    tree.say_up(child, &announcement(child, &route(first, child)));
    assert!(tree.node(ROOT).context_ids().contains(&ContextId(first)));
    assert_refused(&mut tree, child, &route(first, child));
}

#[test]
fn t2_an_id_is_announced_once() {
    let (mut tree, child, _) = with_a_grant();
    tree.say_up(child, &announcement(child, &route(3, child)));
    let gone = control::encode(&DelRoute {
        ids: vec![ContextId(3)],
        reason: String::new(),
    });
    tree.say_up(child, &control_message(child, Handle::DEL_ROUTE, &gone));
    assert!(!tree.node(ROOT).context_ids().contains(&ContextId(3)));
    assert_refused(&mut tree, child, &route(3, child));
}

#[test]
fn t2_a_grandchild_cannot_announce_past_its_parent() {
    let (mut tree, child, _) = with_a_grant();
    let below = tree.make(child, child);
    let before = tree.node(ROOT).stats().violations;
    // It addresses the controller itself; only neighbours announce.
    let message = control_message(below, Handle::ADD_ROUTE, &control::encode(&route(4, below)));
    tree.say_up(below, &message);
    tree.settle();
    assert_eq!(tree.node(ROOT).stats().violations, before + 1);
    assert!(!tree.node(ROOT).context_ids().contains(&ContextId(4)));
}

#[test]
fn t2_a_child_grants_nothing() {
    let (mut tree, child, _) = with_a_grant();
    let grant = control::encode(&GrantIds {
        owner: child,
        first: 5000,
        count: 10,
    });
    let blocks = tree.node(ROOT).gauges().blocks;
    tree.say_up(child, &control_message(child, Handle::GRANT_IDS, &grant));
    assert_eq!(tree.node(ROOT).stats().violations, 1);
    assert_eq!(tree.node(ROOT).gauges().blocks, blocks);
    assert_refused(&mut tree, child, &route(5000, child));
}

#[test]
fn t2_the_grant_of_a_context_that_is_gone_is_gone() {
    let (mut tree, child, _) = with_a_grant();
    let below = tree.make(child, child);
    tree.make(below, below);
    assert_eq!(tree.node(ROOT).gauges().blocks, 2);
    tree.kill(below);
    tree.settle();
    assert_eq!(tree.node(ROOT).gauges().blocks, 1);
    assert_eq!(tree.node(child).gauges().blocks, 0);
    // The parent might still remember which ids they were.
    assert_refused(&mut tree, child, &route(1004, child));
}

#[test]
fn t2_a_context_below_one_that_is_gone_gets_no_id() {
    let (mut tree, child, _) = with_a_grant();
    let below = tree.make(child, child);
    tree.kill(below);
    assert_eq!(
        tree.node(child).allocate_context(Some(below)),
        Err(SendError::NoRoute(below))
    );
    let next = tree.node(child).allocate_context(None).unwrap();
    assert_eq!(next.0, below.0 + 1, "a refusal costs no id");
}
