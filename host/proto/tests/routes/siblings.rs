//! Contexts that are neither above nor below each other: whether they may talk, and who is told
//! that one of them is gone.

use offshoot_proto::limits::VIOLATIONS_MAX;
use offshoot_proto::{Body, ContextId, Dead, DeadKind, Event, Handle, Header, Listen};

use crate::tree::*;

/// Two branches of three contexts below the controller.
fn branches(mut tree: Tree) -> (Tree, [ContextId; 3], [ContextId; 3]) {
    let mut branch = || {
        let top = tree.make(ROOT, ROOT);
        let middle = tree.make(ROOT, top);
        [top, middle, tree.make(ROOT, middle)]
    };
    let (left, right) = (branch(), branch());
    tree.events(ROOT);
    (tree, left, right)
}

/// `asker` waits for an answer of `asked`: it wants something that only an ancestor may, which is
/// refused, so that there is an answer whenever the message arrives.
fn ask(tree: &mut Tree, asker: ContextId, asked: ContextId) -> Handle {
    let unused = connect(ContextId(9999));
    tree.node(asker).connect_via(asked, &unused, NOW).unwrap()
}

#[track_caller]
fn answer(tree: &mut Tree, asker: ContextId, handle: Handle) -> (ContextId, Dead) {
    let events = tree.events(asker);
    let mut answers = events.into_iter().filter_map(|event| match event {
        Event::Message {
            handle: at,
            src,
            body: Body::Dead(dead),
            ..
        } if at == handle => Some((src, dead)),
        _ => None,
    });
    let answer = answers.next().expect("there is an answer");
    assert_eq!(answers.next(), None, "there is one answer");
    answer
}

#[track_caller]
fn assert_unanswered(tree: &mut Tree, asker: ContextId) {
    let events = tree.events(asker);
    let told = events
        .iter()
        .any(|event| matches!(event, Event::Message { .. }));
    assert!(!told, "{events:?}");
}

fn message(src: ContextId, dst: ContextId, handle: Handle) -> Header {
    Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: true,
        hops: 0,
        number: 1,
        total: 0,
        dst,
        src,
        auth: src,
        handle,
        reply_to: Handle::NONE,
    }
}

fn encoded(header: Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(b"", &mut bytes);
    bytes
}

#[test]
fn b041_siblings_are_separated_and_the_refusal_names_both() {
    let (mut tree, left, right) = branches(Tree::new());
    for (asker, asked) in [(left[0], right[0]), (left[2], right[2])] {
        let handle = ask(&mut tree, asker, asked);
        tree.settle();
        let (src, dead) = answer(&mut tree, asker, handle);
        assert_eq!((src, dead.kind), (ROOT, DeadKind::Refused));
        assert!(
            dead.reason.contains(&format!("({asker} to {asked})")),
            "{}",
            dead.reason
        );
    }
    assert_eq!(tree.node(right[2]).stats().refused, 0, "nothing arrived");
}

#[test]
fn t3_nothing_that_a_context_says_reaches_its_sibling() {
    let (mut tree, left, right) = branches(Tree::new());
    let before = tree.node(right[0]).stats();
    for handle in (0..=120).chain(1000..1010).map(Handle) {
        for dst in right {
            let said = Header {
                reply_to: Handle(1009),
                ..message(left[0], dst, handle)
            };
            tree.say_up(left[0], &encoded(said));
            let answers = tree.drop_down(left[0]);
            let dead: Dead = offshoot_proto::control::decode(&answers[0].payload).unwrap();
            assert_eq!(dead.kind, DeadKind::Refused, "{handle} to {dst}");
            assert!(tree.drop_down(right[0]).is_empty(), "{handle} to {dst}");
        }
    }
    assert_eq!(tree.node(right[0]).stats(), before);
}

#[test]
fn b041_where_siblings_may_talk_messages_pass_and_the_rule_is_inherited() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let near = tree.make(left[0], left[0]);
    assert!(!tree.node(near).unidirectional());
    for (asker, asked) in [(left[2], right[2]), (near, left[2]), (right[0], left[2])] {
        let handle = ask(&mut tree, asker, asked);
        tree.settle();
        let (src, dead) = answer(&mut tree, asker, handle);
        assert_eq!((src, dead.kind), (asked, DeadKind::Refused));
    }
}

#[test]
fn b041_a_sibling_may_order_nothing_in_either_mode() {
    for tree in [Tree::new(), Tree::where_siblings_talk()] {
        let (mut tree, left, right) = branches(tree);
        let (evil, other) = (left[0], right[0]);
        for handle in [
            Handle::CALL_FUNCTION,
            Handle::BIND,
            Handle::CONNECT,
            Handle::SHUTDOWN,
            Handle::CANCEL,
            Handle::ADD_ROUTE,
            Handle::DEL_ROUTE,
            Handle::LOAD_IMAGE,
            Handle::GRANT_IDS,
            Handle::ALLOCATE_ID,
            Handle::FORWARD_LOG,
        ] {
            tree.say_up(evil, &encoded(message(evil, other, handle)));
            // With an authority that it does not have.
            let borrowed = Header {
                auth: ROOT,
                ..message(evil, other, handle)
            };
            tree.say_up(evil, &encoded(borrowed));
            tree.settle();
            assert!(tree.events(other).is_empty(), "{handle}");
            assert_eq!(tree.node(other).gauges().assemblies, 0);
        }
    }
}

#[test]
fn b041_a_sibling_cannot_part_others_from_their_parent() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let (evil, other) = (left[0], right[1]);
    for number in 0..4 * VIOLATIONS_MAX {
        for handle in [Handle::DEL_ROUTE, Handle::GRANT_IDS, Handle::LOAD_IMAGE] {
            tree.say_up(evil, &encoded(message(evil, other, handle)));
        }
        let far = Header {
            hops: 61,
            number,
            ..message(evil, other, Handle(2000))
        };
        tree.say_up(evil, &encoded(far));
        tree.settle();
    }
    for id in [right[0], right[1]] {
        let cut = tree.take(id, |event| {
            matches!(event, Event::CutLink { .. } | Event::Shutdown)
        });
        assert!(!cut, "context {id} lost its parent");
    }
    let handle = ask(&mut tree, right[0], right[1]);
    tree.settle();
    assert!(tree.members.contains_key(&right[1]));
    assert!(tree.take(right[0], |event| {
        matches!(event, Event::Message { handle: at, .. } if *at == handle)
    }));
}

#[test]
fn b041_a_sibling_cannot_make_others_hold_what_they_do_not_want() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    for handle in [Handle::CALL_FUNCTION, Handle::FORWARD_LOG, Handle(3000)] {
        let begun = Header {
            last: false,
            total: 100_000_000,
            ..message(left[0], right[0], handle)
        };
        let mut bytes = Vec::new();
        begun.encode(&[0; 1000], &mut bytes);
        tree.say_up(left[0], &bytes);
        tree.settle();
    }
    assert_eq!(tree.node(right[0]).gauges().assembly_bytes, 0);
}

#[test]
fn t5_a_sibling_cannot_have_others_cut_off_by_refusals_that_they_did_not_ask_for() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    for number in 0..30_000 {
        let word = Header {
            dead: true,
            ..message(left[0], right[0], Handle(2000 + number))
        };
        tree.say_up(left[0], &encoded(word));
    }
    let cut = tree.take(ROOT, |event| matches!(event, Event::CutLink { .. }));
    assert!(!cut);
    tree.settle();
    assert!(tree.members.contains_key(&right[0]));
}

#[test]
fn t5_who_asks_a_sibling_and_does_not_read_the_refusals_is_cut_off() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let mut cut = false;
    for number in 0..20_000 {
        let asked = Header {
            reply_to: Handle(2000 + number),
            ..message(left[0], right[0], Handle::SHUTDOWN)
        };
        tree.say_up(left[0], &encoded(asked));
        tree.pass_down(right[0]);
        tree.pass_up(right[0]);
        cut |= tree.take(
            ROOT,
            |event| matches!(event, Event::CutLink { peer, .. } if *peer == left[0]),
        );
        if cut {
            break;
        }
    }
    assert!(cut, "its neighbours would have to wait for it");
}

#[test]
fn t4_a_sibling_cannot_end_the_wait_of_another() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let handle = ask(&mut tree, right[0], left[2]);
    for (src, auth) in [(left[0], left[0]), (right[1], right[1]), (left[0], left[2])] {
        // One above the respondent may; the others may not, even if they guessed the handle.
        let above = auth == left[2];
        let word = Header {
            dead: true,
            auth,
            ..message(src, right[0], handle)
        };
        let bytes = encoded(word);
        tree.say_up(src, &bytes);
        tree.pass_down(right[0]);
        let told = tree.take(right[0], |event| matches!(event, Event::Message { .. }));
        assert_eq!(told, above, "{src} on the authority of {auth}");
    }
}

#[test]
fn b040_a_near_and_a_far_sibling_that_are_lost_wake_who_waits_for_them() {
    for killed in 0..3 {
        let (mut tree, left, right) = branches(Tree::where_siblings_talk());
        let near = tree.make(ROOT, right[1]);
        let askers = [left[2], left[0], near];
        let waits = askers.map(|asker| (asker, ask(&mut tree, asker, right[2])));
        for asker in [left[2], left[1], left[0], near] {
            tree.pass_up(asker);
        }
        tree.pass_up(right[1]);
        tree.pass_up(right[0]);
        // The message is on its way, or waits behind the one that dies.
        tree.kill(right[killed]);
        if killed < 2 {
            tree.members.remove(&near);
        }
        tree.settle();
        for (asker, handle) in waits {
            if asker == near && killed < 2 {
                continue;
            }
            let (_, dead) = answer(&mut tree, asker, handle);
            assert!(
                matches!(dead.kind, DeadKind::Disconnected | DeadKind::NoRoute),
                "{dead:?}"
            );
            // Who is to blame, or who there is no way to.
            let named = [right[killed], right[2]].map(|id| format!("context {id}"));
            assert!(named.iter().any(|it| dead.reason.contains(it)), "{dead:?}");
        }
    }
}

#[test]
fn b040_only_those_that_have_sent_are_told() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let third = tree.make(ROOT, ROOT);
    ask(&mut tree, left[2], right[2]);
    ask(&mut tree, left[1], third);
    tree.settle();
    for id in left {
        tree.events(id);
    }
    tree.kill(right[2]);
    tree.pass_up(right[1]);
    tree.pass_up(right[0]);
    assert!(tree.drop_down(third).is_empty(), "it never cared");
    tree.pass_down(left[0]);
    tree.pass_down(left[1]);
    assert_eq!(handles(&tree.drop_down(left[2])), [Handle::DEL_ROUTE]);
    for id in left {
        assert_unanswered(&mut tree, id);
        assert_eq!(tree.node(id).gauges().listeners, 0);
    }
}

#[test]
fn b040_a_lost_sibling_has_no_route_for_those_that_knew_it() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    ask(&mut tree, left[2], right[2]);
    tree.settle();
    tree.kill(right[2]);
    tree.settle();
    tree.events(left[2]);
    let handle = ask(&mut tree, left[2], right[2]);
    tree.settle();
    let (src, dead) = answer(&mut tree, left[2], handle);
    assert_eq!((src, dead.kind), (ROOT, DeadKind::NoRoute));
}

#[test]
fn b040_who_waits_for_a_sibling_that_is_not_there_yet_is_told() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let unborn = tree.node(ROOT).allocate_context(Some(right[1])).unwrap();
    let request = connect(unborn);
    tree.node(ROOT)
        .connect_via(right[1], &request, NOW)
        .unwrap();
    tree.pass_down(right[0]);
    // The order arrives and the child is under way.
    let orders = tree.drop_down(right[1]);
    let up = tree.node(right[1]).link_to(ROOT).unwrap();
    for order in orders {
        let mut bytes = Vec::new();
        order.header.encode(&order.payload, &mut bytes);
        tree.node(right[1]).handle_bytes(up, &bytes, NOW);
    }
    let expected = tree.node(right[1]).poll_event();
    assert!(matches!(expected, Some(Event::Connect { .. })));
    let handle = ask(&mut tree, left[2], unborn);
    tree.settle();
    let (src, dead) = answer(&mut tree, left[2], handle);
    assert_eq!((src, dead.kind), (right[1], DeadKind::NoRoute));
}

#[test]
fn b040_a_child_cannot_tell_of_the_loss_of_a_sibling() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    ask(&mut tree, right[0], left[2]);
    tree.pass_up(right[0]);
    let word = offshoot_proto::control::encode(&offshoot_proto::control::DelRoute {
        ids: vec![left[2]],
        reason: "evil".to_owned(),
    });
    let header = Header {
        total: word.len() as u32,
        ..message(right[1], right[0], Handle::DEL_ROUTE)
    };
    let mut bytes = Vec::new();
    header.encode(&word, &mut bytes);
    tree.say_up(right[1], &bytes);
    assert_unanswered(&mut tree, right[0]);
    assert_eq!(tree.node(right[0]).stats().violations, 1);
}

/// A handle on which `me` waits for whatever `respondent` sends.
fn listen_for(tree: &mut Tree, me: ContextId, respondent: ContextId) -> Handle {
    let listen = Listen {
        persist: true,
        respondent: Some(respondent),
        ..Listen::default()
    };
    tree.node(me).listen(&listen).unwrap()
}

/// The word that nothing more will come to a handle, and that it is gone.
#[track_caller]
fn end_of(tree: &mut Tree, me: ContextId, handle: Handle) -> Dead {
    let events = tree.events(me);
    let mut ends = events.into_iter().filter_map(|event| match event {
        Event::Message {
            handle: at,
            body: Body::Dead(dead),
            last,
            ..
        } if at == handle => {
            assert!(last, "{dead:?}");
            Some(dead)
        }
        _ => None,
    });
    let end = ends.next().expect("it is told");
    assert_eq!(ends.next(), None, "it is told once");
    assert_eq!(tree.node(me).gauges().listeners, 0);
    end
}

#[test]
fn b040_who_listens_for_a_sibling_and_never_sent_to_it_is_woken_when_it_is_lost() {
    for killed in 0..3 {
        let (mut tree, left, right) = branches(Tree::where_siblings_talk());
        let near = tree.make(ROOT, ROOT);
        let waits = [left[2], left[0], near].map(|me| (me, listen_for(&mut tree, me, right[2])));
        tree.settle();
        for (me, _) in waits {
            assert_unanswered(&mut tree, me);
        }
        tree.kill(right[killed]);
        tree.settle();
        for (me, handle) in waits {
            let dead = end_of(&mut tree, me, handle);
            assert_eq!(dead.kind, DeadKind::Disconnected);
            let named = format!("context {}", right[killed]);
            assert!(dead.reason.contains(&named), "{dead:?}");
        }
    }
}

#[test]
fn b040_who_listens_for_a_sibling_that_is_gone_already_is_told() {
    for passed in 0..4 {
        let (mut tree, left, right) = branches(Tree::where_siblings_talk());
        let handle = listen_for(&mut tree, left[2], right[2]);
        // The word that it listens is on its way when the sibling is lost.
        for id in [left[2], left[1], left[0]].into_iter().take(passed) {
            tree.pass_up(id);
        }
        tree.kill(right[2]);
        tree.pass_up(right[1]);
        tree.pass_up(right[0]);
        tree.settle();
        let dead = end_of(&mut tree, left[2], handle);
        assert!(
            matches!(dead.kind, DeadKind::NoRoute | DeadKind::Disconnected),
            "{dead:?}"
        );
    }
}

#[test]
fn b040_who_listens_for_a_sibling_that_never_was_is_told() {
    let (mut tree, left, _) = branches(Tree::where_siblings_talk());
    let handle = listen_for(&mut tree, left[2], ContextId(4711));
    tree.settle();
    assert_eq!(end_of(&mut tree, left[2], handle).kind, DeadKind::NoRoute);
}

#[test]
fn b041_who_listens_for_a_sibling_where_they_are_separated_is_told() {
    let (mut tree, left, right) = branches(Tree::new());
    let handle = listen_for(&mut tree, left[2], right[2]);
    tree.settle();
    let dead = end_of(&mut tree, left[2], handle);
    assert_eq!(dead.kind, DeadKind::Refused);
    assert_eq!(tree.node(right[2]).stats().delivered, 0);
}

#[test]
fn b040_the_word_that_someone_listens_is_answered_by_nobody_who_is_there() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    listen_for(&mut tree, left[2], right[2]);
    let orders = [left[2], left[1], left[0]];
    for id in orders {
        tree.pass_up(id);
    }
    for id in right {
        tree.pass_down(id);
    }
    for id in right.into_iter().rev() {
        assert!(!tree.pass_up(id), "context {id} says something");
    }
    // What is above or below is known to be there without that.
    let (above, below) = (left[0], left[2]);
    listen_for(&mut tree, left[1], above);
    listen_for(&mut tree, left[1], below);
    assert!(tree.drop_up(left[1]).is_empty());
    assert!(tree.drop_down(left[2]).is_empty());
}

#[test]
fn b040_a_receiver_forgets_the_stream_of_a_sibling_that_is_lost() {
    let (mut tree, left, right) = branches(Tree::where_siblings_talk());
    let listen = Listen {
        persist: true,
        ..Listen::default()
    };
    let handle = tree.node(right[2]).listen(&listen).unwrap();
    let item = bytes::Bytes::from_static(b"item");
    tree.node(left[2]).put(right[2], handle, item).unwrap();
    tree.settle();
    tree.kill(left[1]);
    tree.settle();
    assert_eq!(tree.node(right[2]).gauges().streams_in, 1, "it waits");
    for event in tree.events(right[2]) {
        if let Event::Message { receipt, .. } = event {
            tree.node(right[2]).taken(receipt);
        }
    }
    let gauges = tree.node(right[2]).gauges();
    assert_eq!((gauges.streams_in, gauges.held_bytes), (0, 0));
}
