//! Calls from end to end: values, errors, panics, deadlines, order.

use std::time::{Duration, Instant};

use e2e::{Flavour, with_router, with_router_on};
use e2e_plugin as guest;
use offshoot::{CallError, CallErrorKind, Error};

fn call_error(error: Error) -> CallError {
    match error {
        Error::Call(error) => *error,
        other => panic!("not the call's own error: {other:?}"),
    }
}

#[test]
fn a_typed_call_returns_its_value() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        assert_eq!(context.call::<guest::add>((20, 22)).await.unwrap(), 42);
        let area = context.call::<guest::Circle_area>((1.0,)).await.unwrap();
        assert!((area - std::f64::consts::PI).abs() < 1e-9);
    });
}

#[test]
fn a_runtime_of_many_threads_does_as_well() {
    with_router_on(Flavour::MultiThread, async |router| {
        let context = router.local().await.unwrap();
        let calls = (0..100).map(|number| {
            let context = context.clone();
            tokio::spawn(async move { context.call::<guest::add>((number, 1)).await })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap().unwrap(), number as u64 + 1);
        }
    });
}

#[test]
fn s108_an_error_brings_type_message_and_stack() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let error = context
            .call::<guest::fail>(("key".into(),))
            .await
            .unwrap_err();
        let error = call_error(error);
        assert_eq!(error.failure.kind, CallErrorKind::Function);
        assert_eq!(error.failure.error.message, "`key` was not found");
        assert_eq!(error.failure.error.type_name, "e2e_plugin::NotFound");
        assert_eq!(error.function, "e2e-plugin::fail");

        let error = call_error(
            context
                .call::<guest::parse>(("x".into(),))
                .await
                .unwrap_err(),
        );
        assert_eq!(error.failure.error.message, "invalid digit found in string");
        assert!(
            error
                .failure
                .error
                .location
                .as_ref()
                .is_some_and(|place| place.contains("lib.rs")),
            "{error:#}"
        );
        let named = error
            .failure
            .error
            .backtrace
            .iter()
            .any(|name| name.contains("parse_inner"));
        assert!(named, "{error:#}");
    });
}

#[test]
fn a_panic_brings_its_message_and_place_and_the_context_lives_on() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        assert_eq!(context.call::<guest::count>(()).await.unwrap(), 1);
        let error = call_error(
            context
                .call::<guest::crash>(("ouch".into(),))
                .await
                .unwrap_err(),
        );
        assert_eq!(error.failure.kind, CallErrorKind::Trapped);
        assert!(error.failure.error.message.contains("ouch"), "{error:#}");
        assert!(error.failure.error.message.contains("lib.rs"), "{error:#}");
        assert!(
            error
                .failure
                .error
                .backtrace
                .iter()
                .any(|name| name.contains("crash")),
            "{error:#}"
        );
        // The crash took the plugin's state with it.
        assert_eq!(context.call::<guest::count>(()).await.unwrap(), 1);
    });
}

#[test]
fn s105_calls_run_in_order_and_keep_their_state() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let mut receivers = Vec::new();
        for item in 0..50 {
            receivers.push(
                context
                    .call_async::<guest::remember>((item,))
                    .await
                    .unwrap(),
            );
        }
        let last = receivers.pop().unwrap().get().await.unwrap();
        assert_eq!(last, (0..50).collect::<Vec<_>>());
    });
}

#[test]
fn a_concurrent_function_runs_beside_others_on_an_instance_of_its_own() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        for _ in 0..3 {
            assert_eq!(context.call::<guest::count_alone>(()).await.unwrap(), 1);
        }
        let slow = context.call_async::<guest::busy>((60_000,)).await.unwrap();
        assert_eq!(context.call::<guest::count_alone>(()).await.unwrap(), 1);
        drop(slow);
    });
}

#[test]
fn a_deadline_ends_a_function_that_never_pauses() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let hurried = context.with_timeout(Duration::from_millis(50));
        let error = hurried.call::<guest::busy>((60_000,)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert!(
            error.to_string().contains("did not answer within 50 ms"),
            "{error}"
        );
        assert_eq!(context.call::<guest::add>((1, 1)).await.unwrap(), 2);
        let error = hurried.call::<guest::sleep>((60_000,)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert_eq!(context.call::<guest::add>((1, 1)).await.unwrap(), 2);
    });
}

#[test]
fn dropping_a_call_cancels_it_where_it_runs() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let running = context.call_async::<guest::busy>((60_000,)).await.unwrap();
        let waiting = context.call_async::<guest::remember>((1,)).await.unwrap();
        let next = context.call_async::<guest::remember>((2,)).await.unwrap();
        drop(waiting);
        drop(running);
        // Neither the busy function nor the one behind it stand in the way of the next.
        assert_eq!(next.get().await.unwrap(), [2]);
    });
}

#[test]
fn a_busy_function_delays_neither_other_contexts_nor_the_end() {
    with_router(async |router| {
        let busy = router.local().await.unwrap();
        let below = router.local().via(&busy).await.unwrap();
        let call = busy.call_async::<guest::busy>((60_000,)).await.unwrap();
        assert_eq!(below.call::<guest::add>((1, 2)).await.unwrap(), 3);
        let end = Instant::now();
        router.shutdown().await;
        assert!(
            end.elapsed() < Duration::from_secs(2),
            "{:?}",
            end.elapsed()
        );
        let error = call.get().await.unwrap_err();
        assert!(matches!(error, Error::Channel(_)), "{error:?}");
    });
}

#[test]
fn large_arguments_and_results_arrive_whole() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let far = router.local().via(&context).await.unwrap();
        for bytes in [0, 1, 65_535, 65_536, 65_537, 5 << 20] {
            let sent: Vec<u8> = (0..bytes).map(|index: usize| (index * 7) as u8).collect();
            for context in [&context, &far] {
                let back = context.call::<guest::echo>((sent.clone(),)).await.unwrap();
                assert!(back == sent, "{bytes} bytes through {context:?}");
            }
        }
    });
}

#[test]
fn b044_a_result_over_the_limit_is_an_error() {
    with_router(async |router| {
        router.add_plugin(e2e::plugin().memory_limit(1 << 30));
        let context = router.local().await.unwrap();
        let error = context
            .call::<guest::large>((129 << 20,))
            .await
            .unwrap_err();
        let error = call_error(error);
        assert!(
            error.failure.error.message.contains("more than 64 MiB"),
            "{error}"
        );
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn a_memory_hog_is_stopped() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let error = context.call::<guest::hoard>((1024,)).await.unwrap_err();
        let error = call_error(error);
        assert_eq!(
            error.failure.kind,
            CallErrorKind::LimitExceeded,
            "{error:#}"
        );
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn ten_thousand_calls_at_once_all_end() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let mut receivers = Vec::new();
        for number in 0..10_000_u64 {
            receivers.push(context.call_async::<guest::add>((number, 1)).await.unwrap());
        }
        // Half of them are taken back.
        let kept: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .filter(|(index, _)| index % 2 == 0)
            .collect();
        for (index, receiver) in kept {
            assert_eq!(receiver.get().await.unwrap(), index as u64 + 1);
        }
    });
}

#[test]
fn s005_a_function_knows_where_it_runs() {
    with_router(async |router| {
        let first = router.local().await.unwrap();
        let second = router.local().via(&first).name("second").await.unwrap();
        let identity = second.call::<guest::identity>(()).await.unwrap();
        let want = guest::Identity {
            id: second.id(),
            parents: vec![first.id(), 0],
            name: "second".to_owned(),
            controller: false,
        };
        assert_eq!(identity, want);
    });
}

#[test]
fn a_function_by_name_takes_any_types_that_fit() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let plugin = e2e::plugin();
        let sum: u64 = context
            .call_named(&plugin, "add", &(1_u64, 2_u64))
            .await
            .unwrap();
        assert_eq!(sum, 3);
        let missing = context
            .call_named::<u64>(&plugin, "adds", &(1, 2))
            .await
            .unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("has no function `adds`; it has Circle::area, add")
        );
        let error = context
            .call_named::<u64>(&plugin, "add", &("text",))
            .await
            .unwrap_err();
        assert_eq!(call_error(error).failure.kind, CallErrorKind::BadArguments);
    });
}
