//! What programs may send: nothing to the router's own handles, whichever way it would go.

use std::sync::Arc;

use bytes::Bytes;
use offshoot_proto::control::{Arguments, Bind, CallOutcome, PluginLimits};
use offshoot_proto::{
    Body, CallRequest, ContextId, Dead, DeadKind, Event, Handle, Header, Listen, PutError,
    SendError,
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
        assert_eq!(tree.node(id).stats().violations, 0, "context {id}");
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
        answer: false,
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

/// A call of the controller's to `dst`, which is under way when this returns.
fn call(tree: &mut Tree, dst: ContextId) -> Handle {
    let image = [7; 32];
    let bind = Arc::new(Bind {
        key: [1; 16],
        image,
        plugin: "victim".to_owned(),
        grants: Vec::new(),
        limits: PluginLimits::default(),
    });
    let root = tree.node(ROOT);
    root.provide_image(image, &Bytes::from_static(b"image"))
        .unwrap();
    let request = CallRequest {
        dst,
        bind: &bind,
        function: "f",
        signature: 0,
        concurrent: false,
        chain: 0,
        is_awaited: true,
        arguments: Arguments::Copied(&[]),
        timeout: None,
    };
    let handle = root.call(request, NOW).unwrap();
    tree.settle();
    handle
}

#[test]
fn no_program_answers_a_call_even_where_it_was_made() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let handle = call(&mut tree, child);
    let run = tree
        .events(child)
        .into_iter()
        .find_map(|event| match event {
            Event::Run(run) => Some(run),
            _ => None,
        });
    let refused = tree.node(ROOT).stats().refused;
    // It has guessed the handle, and says what an answer says, in one frame or in many.
    let forged = CallOutcome::Value(Bytes::from_static(b"forged")).encode();
    let large = CallOutcome::Value(Bytes::from(vec![0; 1 << 20])).encode();
    let over = Dead::new(DeadKind::NoHandle, "nobody");
    for body in [
        Body::Data(forged.clone()),
        Body::Data(large),
        Body::Dead(over),
    ] {
        let program = tree.node(child);
        program.post(ROOT, handle, Handle::NONE, body).unwrap();
        tree.settle();
        assert_eq!(tree.events(ROOT).len(), 0);
    }
    tree.node(child).put(ROOT, handle, forged).unwrap();
    tree.settle();
    assert_eq!(tree.events(ROOT).len(), 0);
    assert_eq!(tree.node(ROOT).stats().refused, refused + 4, "each counts");
    assert_eq!(
        tree.node(ROOT).stats().violations,
        0,
        "but not for its context"
    );

    let value = CallOutcome::Value(Bytes::from_static(b"true"));
    tree.node(child)
        .finish(run.unwrap().key, value.clone(), NOW);
    tree.settle();
    let want = Body::Data(value.encode());
    let answered = |event: &Event| matches!(event, Event::Message { body, .. } if *body == want);
    assert!(tree.take(ROOT, answered));
}

#[test]
fn no_program_gives_credit() {
    let mut tree = Tree::new();
    let child = tree.make(ROOT, ROOT);
    let listen = Listen {
        persist: true,
        ..Listen::default()
    };
    let open = tree.node(child).listen(&listen).unwrap();
    tree.node(ROOT).put(child, open, Bytes::new()).unwrap();
    let credit = tree.watch_down(child)[0].header.reply_to;
    for body in [
        Body::Data(Bytes::from_static(b"\x80\x80\x40")),
        Body::Dead(Dead::new(DeadKind::Closed, "over")),
    ] {
        let refused = tree.node(ROOT).stats().refused;
        let program = tree.node(child);
        program.post(ROOT, credit, Handle::NONE, body).unwrap();
        tree.settle();
        assert_eq!(tree.node(ROOT).stats().refused, refused + 1);
    }
    assert_eq!(tree.node(ROOT).put(child, open, Bytes::new()), Ok(()));
}
