//! The router inside a plugin, from end to end: contexts that a plugin makes, calls that it makes
//! in them, streams, and what it may not do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::{fanout as plugin, with_router};
use offshoot::{CallError, ChannelErrorKind, Error, Grant, Receiver};

#[track_caller]
fn call_error(error: Error) -> CallError {
    match error {
        Error::Call(error) => *error,
        other => panic!("not the call's own error: {other:?}"),
    }
}

#[test]
fn s011_a_plugin_ships_itself_to_its_children_and_recurses() {
    with_router(async |router| {
        router.add_plugin(plugin().grant(Grant::Router));
        let context = router.local().await.unwrap();
        let members = context.call::<fanout::fan_out>((2, 2)).await.unwrap();
        let ids: BTreeSet<u32> = members.iter().map(|member| member.id).collect();
        assert_eq!(ids.len(), 7, "{members:?}");
        assert_eq!(members[0].id, context.id());
        assert_eq!(members[0].name, context.name());
        for member in &members {
            // From the parent, which is one of them, to the controller.
            let parents = &member.parent_ids;
            assert_eq!(parents.last(), Some(&0));
            assert!(
                parents.len() == 1 || ids.contains(&parents[0]),
                "{member:?}"
            );
        }
        let deepest = members.iter().map(|member| member.parent_ids.len()).max();
        assert_eq!(deepest, Some(3));
        // Once more, in the instance that is there.
        let again = context.call::<fanout::fan_out>((1, 1)).await.unwrap();
        assert_eq!(again.len(), 2);
        assert!(!ids.contains(&again[1].id), "ids are never used twice");
    });
}

#[test]
fn s011_without_the_grant_a_plugin_makes_nothing() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let context = router.local().await.unwrap();
        let error = context.call::<fanout::fan_out>((1, 1)).await.unwrap_err();
        let error = call_error(error);
        assert!(
            error.failure.error.message.contains("not granted `router`"),
            "{error}"
        );
        assert_eq!(error.failure.error.type_name, "offshoot_guest::RouterError");
    });
}

#[test]
fn b029_a_stream_needs_no_grant_and_ends_by_itself() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let context = router.local().await.unwrap();
        let receiver = router.receiver::<u64>().unwrap();
        let sender = receiver.to_sender().to_portable();
        let call = context.call_async::<fanout::numbers>((sender, 20_000));
        let call = call.await.unwrap();
        for number in 0..20_000 {
            assert_eq!(receiver.get().await.unwrap(), number);
        }
        assert!(matches!(receiver.get().await, Err(Error::Channel(_))));
        assert_eq!(call.get().await.unwrap(), 20_000);
    });
}

#[test]
fn b029_a_slow_reader_holds_the_producer_and_closing_ends_it() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let context = router.local().await.unwrap();
        let receiver = router.receiver::<u64>().unwrap();
        let sender = receiver.to_sender().to_portable();
        let call = context.call_async::<fanout::numbers>((sender, 1_000_000));
        let call = call.await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), 0);
        tokio::time::sleep(Duration::from_millis(200)).await;
        // What runs ahead of the reader is what credit allows.
        assert!(receiver.len() < 500_000, "{} wait", receiver.len());
        assert!(call.is_empty(), "it waits");
        receiver.close();
        let error = call_error(call.get().await.unwrap_err());
        assert!(
            error
                .failure
                .error
                .message
                .contains("of 1000000 numbers were sent"),
            "{error}"
        );
    });
}

#[test]
fn s021_a_plugin_selects_over_many_streams() {
    with_router(async |router| {
        router.add_plugin(plugin().grant(Grant::Router));
        let context = router.local().await.unwrap();
        let sum = context.call::<fanout::sum>((3, 1000)).await.unwrap();
        assert_eq!(sum, 3 * (1000 * 999 / 2));
    });
}

#[test]
fn a_plugin_that_waits_for_another_context_meets_its_deadline() {
    with_router(async |router| {
        router.add_plugin(plugin().grant(Grant::Router));
        let context = router.local().await.unwrap();
        let began = Instant::now();
        // Far more than can be counted in the time that there is.
        let hurried = context.with_timeout(Duration::from_millis(500));
        let error = hurried.call::<fanout::sum>((2, 1 << 30)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
        let members = context.call::<fanout::fan_out>((0, 0)).await.unwrap();
        assert_eq!(members.len(), 1, "the context lives on");
    });
}

#[test]
fn a_million_items_come_in_order_and_the_end_is_the_senders() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let context = router.local().await.unwrap();
        let receiver: Receiver<u64> = router.receiver().unwrap();
        let call = context
            .call_async::<fanout::numbers>((receiver.to_sender().to_portable(), 1_000_000))
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
