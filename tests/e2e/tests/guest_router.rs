//! Plugins that use the router: they make contexts, call in them, send, receive and select.

use std::time::Duration;

use e2e::{fanout, with_router};
use e2e_plugin as guest;
use offshoot::{ChannelErrorKind, Error, Grant, Receiver};

#[test]
fn s011_a_plugin_ships_itself_to_contexts_of_its_own_making() {
    with_router(async |router| {
        router.add_plugin(fanout().grant(Grant::Router));
        let context = router.local().await.unwrap();
        let members = context.call::<fanout::fan_out>((2, 2)).await.unwrap();
        assert_eq!(members.len(), 1 + 2 + 4, "{members:?}");
        assert_eq!(members[0].id, context.id());
        for member in &members[1..] {
            assert!(member.parent_ids.contains(&context.id()), "{member:?}");
            assert!(member.name.starts_with(context.name()), "{member:?}");
        }
        let mut ids: Vec<_> = members.iter().map(|member| member.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 7, "no id twice");
        // They were ended by who made them.
        while router.stats().contexts > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn s020_a_plugin_selects_over_streams_of_many_contexts() {
    with_router(async |router| {
        router.add_plugin(fanout().grant(Grant::Router));
        let context = router.local().await.unwrap();
        let total = context.call::<fanout::sum>((3, 10_000)).await.unwrap();
        assert_eq!(total, 3 * (0..10_000).sum::<u64>());
    });
}

#[test]
fn a_plugin_without_the_grant_reaches_nothing() {
    with_router(async |router| {
        router.add_plugin(fanout());
        let context = router.local().await.unwrap();
        let error = context.call::<fanout::fan_out>((1, 1)).await.unwrap_err();
        assert!(error.to_string().contains("router"), "{error}");
        assert_eq!(router.stats().contexts, 1);
    });
}

#[test]
fn b029_a_stream_is_read_slowly_and_ends_when_its_reader_does() {
    with_router(async |router| {
        router.add_plugin(fanout());
        let context = router.local().await.unwrap();
        let receiver: Receiver<u64> = router.receiver().unwrap();
        let call = context
            .call_async::<fanout::numbers>((receiver.to_sender().pass(), 1_000_000))
            .await
            .unwrap();
        for expected in 0..50_000 {
            assert_eq!(receiver.get().await.unwrap(), expected);
            if expected % 10_000 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let held = router.stats().held_bytes;
                assert!(held <= 256 * 1024, "{held} bytes wait");
            }
        }
        receiver.close();
        let Err(Error::Call(error)) = call.get().await else {
            panic!("the producer must notice");
        };
        assert!(
            format!("{error}").contains("the receiver has been closed"),
            "{error}"
        );
        // The context is none the worse for it.
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn a_million_items_come_in_order_and_the_end_is_the_senders() {
    with_router(async |router| {
        router.add_plugin(fanout());
        let context = router.local().await.unwrap();
        let receiver: Receiver<u64> = router.receiver().unwrap();
        let call = context
            .call_async::<fanout::numbers>((receiver.to_sender().pass(), 1_000_000))
            .await
            .unwrap();
        let mut next = 0;
        let end = loop {
            match receiver.get().await {
                Ok(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Err(error) => break error,
            }
        };
        assert_eq!(next, 1_000_000);
        assert!(
            matches!(&end, Error::Channel(error) if error.kind == ChannelErrorKind::Closed),
            "{end:?}"
        );
        assert_eq!(call.get().await.unwrap(), 1_000_000);
    });
}

#[test]
fn a_grant_is_a_grant_of_the_router() {
    assert_eq!("router".parse(), Ok(Grant::Router));
}
