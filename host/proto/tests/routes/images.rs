//! Images of plugins on their way down: one copy for each link, whoever needs it behind.

use std::sync::Arc;

use bytes::Bytes;
use offshoot_abi::Grant;
use offshoot_proto::control::{Arguments, Bind, PluginLimits};
use offshoot_proto::{CallRequest, ContextId, Event, Handle, ImageState, NoBinding};

use crate::tree::{NOW, ROOT, Tree};

const IMAGE: [u8; 1000] = [7; 1000];

fn bind() -> Arc<Bind> {
    Arc::new(Bind {
        key: [5; 16],
        plugin: "p".to_owned(),
        // Whoever loads it compares; whoever passes it on does not.
        image: [7; 32],
        grants: Vec::new(),
        limits: PluginLimits::default(),
    })
}

fn call(tree: &mut Tree, caller: ContextId, dst: ContextId, bind: &Arc<Bind>) {
    let request = CallRequest {
        dst,
        bind,
        function: "f",
        signature: 0,
        concurrent: false,
        chain: 0,
        is_awaited: true,
        arguments: Arguments::Copied(b""),
        timeout: None,
    };
    tree.node(caller).call(request, NOW).unwrap();
}

/// Images, and bytes of them, that wait for a context at its parent; they arrive all the same.
fn images_for(tree: &mut Tree, id: ContextId) -> usize {
    let frames = tree.watch_down(id);
    let images = frames
        .iter()
        .filter(|frame| frame.header.handle == Handle::LOAD_IMAGE)
        .filter(|frame| frame.payload.len() >= IMAGE.len());
    images.count()
}

#[test]
fn s186_b071_b072_an_image_crosses_each_link_once() {
    let mut tree = Tree::new();
    let middle = tree.make(ROOT, ROOT);
    let leaves = [tree.make(ROOT, middle), tree.make(ROOT, middle)];
    let bind = bind();
    let image = Bytes::from_static(&IMAGE);
    tree.node(ROOT).provide_image(bind.image, &image).unwrap();

    // All three need it at once, and again.
    for _ in 0..2 {
        for id in [leaves[0], leaves[1], middle] {
            call(&mut tree, ROOT, id, &bind);
        }
    }
    assert_eq!(images_for(&mut tree, middle), 1);
    assert_eq!(images_for(&mut tree, leaves[0]), 1);
    assert_eq!(images_for(&mut tree, leaves[1]), 1);
    for id in [leaves[0], leaves[1], middle] {
        let runs = |event: &Event| matches!(event, Event::Run(_));
        assert!(tree.take(id, runs), "context {id} has what it needs");
    }

    // One that comes later gets the copy that its parent has.
    let late = tree.make(ROOT, middle);
    call(&mut tree, ROOT, late, &bind);
    assert_eq!(images_for(&mut tree, middle), 0);
    assert_eq!(images_for(&mut tree, late), 1);
}

#[test]
fn s186_a_context_gives_its_own_copy_to_those_that_it_makes() {
    let mut tree = Tree::new();
    let maker = tree.make(ROOT, ROOT);
    let bind = bind();
    let image = Bytes::from_static(&IMAGE);
    tree.node(ROOT).provide_image(bind.image, &image).unwrap();
    call(&mut tree, ROOT, maker, &bind);
    tree.settle();
    let made = tree.make(maker, maker);
    let own = tree.node(maker).binding_of("p").unwrap().clone();
    assert_eq!(own, bind);
    call(&mut tree, maker, made, &own);
    assert_eq!(images_for(&mut tree, made), 1);
    assert!(tree.take(made, |event| matches!(event, Event::Run(_))));
    let unknown = tree.node(maker).binding_of("q");
    assert_eq!(unknown, Err(NoBinding::Unknown));
}

#[test]
fn x9_a_plugin_with_different_grants_is_not_found_by_its_name() {
    let mut tree = Tree::new();
    let maker = tree.make(ROOT, ROOT);
    let image = Bytes::from_static(&IMAGE);
    let first = bind();
    tree.node(ROOT).provide_image(first.image, &image).unwrap();
    // Another image with the same grants is a newer build of it.
    let newer = Arc::new(Bind {
        key: [6; 16],
        image: [8; 32],
        ..Bind::clone(&first)
    });
    tree.node(ROOT).provide_image(newer.image, &image).unwrap();
    for bind in [&first, &newer] {
        call(&mut tree, ROOT, maker, bind);
    }
    tree.settle();
    assert_eq!(tree.node(maker).binding_of("p"), Ok(&newer));

    let stronger = Arc::new(Bind {
        key: [9; 16],
        grants: vec![Grant::Read("/etc".to_owned())],
        ..Bind::clone(&first)
    });
    call(&mut tree, ROOT, maker, &stronger);
    tree.settle();
    let found = tree.node(maker).binding_of("p");
    assert_eq!(found, Err(NoBinding::Ambiguous));
}

#[test]
fn b013_what_a_context_waits_for_is_told_when_it_comes() {
    let mut tree = Tree::new();
    let middle = tree.make(ROOT, ROOT);
    let leaf = tree.make(ROOT, middle);
    let image = Bytes::from_static(&IMAGE);
    let hash = [7; 32];
    let told = |event: &Event| matches!(event, Event::Image { hash } if *hash == [7; 32]);

    assert_eq!(tree.node(leaf).expect_image(&hash), ImageState::OnItsWay);
    tree.node(ROOT).provide_image(hash, &image).unwrap();
    tree.node(ROOT).send_image(hash, leaf).unwrap();
    assert_eq!(images_for(&mut tree, middle), 1);
    assert_eq!(images_for(&mut tree, leaf), 1);
    assert!(tree.take(leaf, told));
    assert_eq!(tree.node(leaf).expect_image(&hash), ImageState::Here(image));

    // Whoever did not ask is not told, and what is there is not sent again.
    assert!(!tree.take(middle, told));
    tree.node(ROOT).send_image(hash, middle).unwrap();
    tree.node(ROOT).send_image(hash, leaf).unwrap();
    assert_eq!(images_for(&mut tree, middle), 0);
    assert_eq!(images_for(&mut tree, leaf), 0);

    // One that will not come is told too.
    let never = [8; 32];
    assert_eq!(tree.node(leaf).expect_image(&never), ImageState::OnItsWay);
    tree.node(ROOT).send_image(never, leaf).unwrap();
    tree.settle();
    assert!(tree.take(leaf, |event| matches!(event, Event::Image { .. })));
    assert_eq!(tree.node(leaf).expect_image(&never), ImageState::Missing);

    let gone = tree.node(ROOT).send_image(hash, ContextId(999));
    assert!(gone.is_err());
}
