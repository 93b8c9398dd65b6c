//! What programs may send: nothing to the router's own handles, whichever way it would go.

use bytes::Bytes;
use offshoot_proto::{
    Body, ContextId, Dead, DeadKind, Event, Handle, Header, Listen, PutError, SendError,
};

use crate::tree::*;

fn data() -> Body {
    Body::Data(Bytes::from_static(b"\0"))
}

fn reserved() -> impl Iterator<Item = Handle> {
    (0..Handle::FIRST_FREE).map(Handle)
}

/// Nothing moved, and nobody was told or has counted anything.
fn assert_nothing_happened(tree: &mut Tree) {
    tree.settle();
    let ids: Vec<_> = tree.members.keys().copied().collect();
    for id in ids {
        assert_eq!(tree.events(id).len(), 0, "context {id}");
        assert_eq!(tree.node(id).stats().offences, 0, "context {id}");
    }
}

#[test]
fn no_message_of_a_program_goes_to_a_reserved_handle() {
    let mut tree = Tree::where_siblings_talk();
    let me = tree.make(ROOT, ROOT);
    let beside = tree.make(ROOT, ROOT);
    let below = tree.make(me, me);
    let far_below = tree.make(ROOT, below);
    for dst in [ROOT, me, beside, below, far_below] {
        for from in [ROOT, me, below] {
            tree.events(from);
            let node = tree.node(from);
            for handle in reserved() {
                let want = SendError::Reserved(handle);
                let posted = node.post(dst, handle, Handle::NONE, data());
                assert_eq!(posted, Err(want.clone()));
                let dead = Body::Dead(Dead::new(DeadKind::Closed, "over"));
                let ended = node.post(dst, handle, Handle::NONE, dead);
                assert_eq!(ended, Err(want.clone()));
                let put = node.put(dst, handle, Bytes::new());
                assert_eq!(put, Err(PutError::Unsent(want.clone())));
                // The answer would come from there with that context's authority.
                let answered = node.post(dst, Handle(500), handle, data());
                match handle {
                    Handle::NONE => assert_eq!(answered, Ok(())),
                    _ => assert_eq!(answered, Err(want)),
                }
            }
        }
    }
    for id in [beside, far_below] {
        tree.events(id);
    }
    assert_nothing_happened(&mut tree);
}

/// A message of `src` for the controller, with a reserved handle where the answer is to go.
fn asking(src: ContextId, stream: bool, handle: Handle, reply_to: Handle) -> Vec<u8> {
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream,
        hops: 0,
        number: 1,
        total: 0,
        dst: ROOT,
        src,
        auth: src,
        handle,
        reply_to,
    };
    let mut bytes = Vec::new();
    header.encode(&[], &mut bytes);
    bytes
}

#[test]
fn no_answer_of_a_node_goes_to_a_reserved_handle() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let listen = Listen {
        persist: true,
        ..Listen::default()
    };
    let open = tree.node(ROOT).listen(&listen).unwrap();
    for reply_to in reserved() {
        // Refused because nobody listens there, and paid for because somebody does.
        for (stream, handle) in [(false, Handle(500)), (true, Handle(500)), (true, open)] {
            tree.say_up(child, &asking(child, stream, handle, reply_to));
            for event in tree.events(ROOT) {
                if let Event::Message { receipt, .. } = event {
                    tree.node(ROOT).taken(receipt);
                }
            }
            assert!(tree.watch_down(child).is_empty(), "{reply_to}");
        }
    }
}

#[test]
fn a_context_makes_what_it_gave_the_id_of_and_nothing_else() {
    let mut tree = Tree::new();
    let me = tree.make(ROOT, ROOT);
    let beside = tree.make(ROOT, ROOT);
    let mine = tree.make(me, me);
    let mine_below = tree.make(me, mine);
    let of_the_root = tree.make(ROOT, me);
    let of_the_root_below_mine = tree.make(ROOT, mine);
    let of_mine = tree.make(mine, mine);
    for (id, want) in [
        (mine, true),
        (mine_below, true),
        (of_the_root, false),
        (of_the_root_below_mine, false),
        (of_mine, false),
        (me, false),
        (beside, false),
        (ROOT, false),
        (ContextId(u32::MAX), false),
    ] {
        assert_eq!(tree.node(me).makes(id), want, "{id}");
    }
}
