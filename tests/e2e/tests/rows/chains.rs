//! Chains of calls, and calls without an answer.

use e2e::{until, with_router};
use e2e_plugin as guest;

use crate::call_error;

#[test]
fn b020_after_the_first_failure_the_rest_fails_alike_and_does_not_run() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let chain = context.chain();
        let first = chain.call_async::<guest::count>(()).await.unwrap();
        let fails = chain.call_async::<guest::fail>(("it".to_owned(),));
        let fails = fails.await.unwrap();
        let later = chain.call_async::<guest::count>(()).await.unwrap();
        let alone = chain.call_async::<guest::count_alone>(()).await.unwrap();
        assert_eq!(first.get().await.unwrap(), 1);
        let error = call_error(fails.get().await);
        for later in [later, alone] {
            let later = call_error(later.get().await);
            assert_eq!(later.failure, error.failure);
        }
        // Other calls, and other chains, are not of it.
        assert_eq!(context.call::<guest::count>(()).await.unwrap(), 2);
        let other = context.chain();
        assert_eq!(other.call::<guest::count>(()).await.unwrap(), 3);
        chain.reset();
        assert_eq!(chain.call::<guest::count>(()).await.unwrap(), 4);
    });
}

#[test]
fn b020_a_reset_comes_behind_the_calls_before_it() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let chain = context.chain();
        let slow = chain.call_async::<guest::sleep>((50,)).await.unwrap();
        let fails = chain.call_async::<guest::fail>(("it".to_owned(),));
        let fails = fails.await.unwrap();
        let void = chain.call_async::<guest::count>(()).await.unwrap();
        chain.reset();
        let runs = chain.call_async::<guest::count>(()).await.unwrap();
        slow.get().await.unwrap();
        call_error(fails.get().await);
        call_error(void.get().await);
        assert_eq!(runs.get().await.unwrap(), 1);
    });
}

#[test]
fn b020_chains_that_are_dropped_before_they_fail_leave_nothing() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        // More of them than a context remembers.
        for _ in 0..15 {
            let mut calls = Vec::new();
            for _ in 0..100 {
                let chain = context.chain();
                let fails = chain.call_async::<guest::fail>(("it".to_owned(),));
                calls.push(fails.await.unwrap());
            }
            for call in calls {
                call_error(call.get().await);
            }
        }
        let chain = context.chain();
        assert_eq!(chain.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn b020_ten_thousand_calls_behind_a_failure_all_fail() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let chain = context.chain();
        let fails = chain.call_async::<guest::fail>(("it".to_owned(),));
        let mut calls = Vec::new();
        for number in 0..10_000 {
            calls.push(chain.call_async::<guest::add>((number, 1)).await.unwrap());
        }
        drop(fails);
        let fails = chain.call_async::<guest::fail>(("it".to_owned(),));
        let fails = fails.await.unwrap();
        let mut behind = Vec::new();
        for number in 0..10_000 {
            behind.push(chain.call_async::<guest::add>((number, 1)).await.unwrap());
        }
        for call in calls {
            call.get().await.unwrap();
        }
        call_error(fails.get().await);
        for call in behind {
            assert_eq!(
                call_error(call.get().await).failure.error.message,
                "`it` was not found"
            );
        }
    });
}

#[test]
fn b021_a_call_without_an_answer_runs_and_nobody_waits() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let before = router.stats().handles;
        for item in 0..5 {
            context
                .call_no_reply::<guest::remember>((item,))
                .await
                .unwrap();
        }
        context
            .call_no_reply::<guest::fail>(("it".to_owned(),))
            .await
            .unwrap();
        assert_eq!(router.stats().handles, before);
        let items = context.call::<guest::remember>((5,)).await.unwrap();
        assert_eq!(items, [0, 1, 2, 3, 4, 5]);
        // In a chain its failure counts.
        let chain = context.chain();
        chain
            .call_no_reply::<guest::fail>(("it".to_owned(),))
            .await
            .unwrap();
        call_error(chain.call::<guest::add>((1, 1)).await);
    });
}

#[test]
fn b022_a_context_that_was_shut_down_is_known_to_be_gone() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let below = router.local().via(&context).await.unwrap();
        context.shutdown_wait().await;
        for gone in [&context, &below] {
            let error = crate::channel_error(gone.call::<guest::add>((1, 1)).await);
            assert_eq!(error.kind, offshoot::ChannelErrorKind::NoRoute);
            assert!(!error.may_have_run);
            assert!(error.to_string().contains(gone.name()), "{error}");
        }
        context.shutdown();
        context.shutdown_wait().await;
        let other = router.local().await.unwrap();
        other.shutdown();
        until("it is gone", || router.stats().contexts == 0).await;
    });
}
