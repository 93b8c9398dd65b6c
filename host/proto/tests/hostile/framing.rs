//! Streams that are not frames.

use offshoot_proto::{Body, Event};

use crate::worlds::*;

#[test]
fn a_stream_that_ends_inside_a_frame_says_so() {
    let mut world = World::new();
    let call = world.call(EVIL);
    let mut bytes = Vec::new();
    whole(EVIL, call, &[0; 100]).encode(&[0; 100], &mut bytes);
    world.node.handle_bytes(world.evil, &bytes[..60], NOW);
    world
        .node
        .handle_closed(world.evil, "the connection was closed", NOW);
    let reason = world.events().into_iter().find_map(|event| match event {
        Event::Message {
            body: Body::Dead(dead),
            ..
        } => Some(dead.reason),
        _ => None,
    });
    let want = "the connection was closed; a frame broke off after 60 bytes";
    // The call itself never left, so it is also said that it did not run.
    assert!(
        reason
            .as_deref()
            .is_some_and(|reason| reason.ends_with(want)),
        "{reason:?}"
    );
}

#[test]
fn noise_between_frames_cuts_the_link_and_is_quoted() {
    let mut world = World::new();
    let noise = b"bash: \x1b[31mwarning: here is some noise from a background job\n";
    world.node.handle_bytes(world.evil, noise, NOW);
    let reason = world.cut().unwrap();
    assert!(reason.contains("\"bash: .[31mwarning: here"), "{reason}");
    world.assert_sibling_is_well();
}
