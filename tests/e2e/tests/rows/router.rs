//! `Router` and `Context`: ids, routes, names, and what they hold.

use std::collections::{BTreeSet, HashSet};
use std::thread;

use e2e::{until, with_lone_router, with_router};
use e2e_plugin as guest;
use offshoot::{CallErrorKind, Channel, ChannelErrorKind, Error, Handler, ListenOptions, Router};

use crate::{assert_usage, call_error, channel_error, pair};

#[test]
fn s060_any_thread_can_use_a_router() {
    let _alone = e2e::alone();
    let router = Router::new().unwrap();
    let (receiver, sender) = pair::<u32>(&router);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..200 {
                    sender.put_blocking(&(thread * 200 + number)).unwrap();
                }
            })
        })
        .collect();
    let seen: BTreeSet<u32> = (0..1600)
        .map(|_| receiver.get_blocking().unwrap())
        .collect();
    assert_eq!(seen.len(), 1600);
    for thread in threads {
        thread.join().unwrap();
    }
    router.shutdown_blocking().unwrap();
}

#[test]
fn s062_s075_s023_contexts_are_found_by_id_and_equal() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        let grandchild = router.local().via(&child).await.unwrap();
        assert_eq!(router.stream_by_id(child.id()), Some(child.id()));
        assert_eq!(router.stream_by_id(grandchild.id()), Some(child.id()));
        assert_eq!(router.stream_by_id(4711), None);
        assert_eq!(router.stream_by_id(0), None, "that is here");
        let found = router.context_by_id(grandchild.id()).unwrap();
        assert_eq!(found, grandchild);
        assert_eq!(found.name(), grandchild.name());
        assert_eq!(found.call::<guest::add>((1, 2)).await.unwrap(), 3);
        assert_eq!(router.context_by_id(0), Some(router.own_context()));
        #[expect(
            clippy::mutable_key_type,
            reason = "it is hashed by its id, which stays"
        )]
        let all = HashSet::from([child.clone(), grandchild, found, child]);
        assert_eq!(all.len(), 2, "equal by id, and one in a set");
        assert!(router.context_by_id(u32::MAX).is_none());
    });
}

#[test]
fn s074_ids_from_many_threads_never_collide() {
    with_lone_router(async |router| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let router = router.clone();
                thread::spawn(move || {
                    let ids = (0..200).map(|_| router.allocate_id().unwrap());
                    ids.collect::<Vec<_>>()
                })
            })
            .collect();
        let ids = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        let ids: Vec<u32> = ids.collect();
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (800, 800));
        assert!(ids.iter().all(|&id| id > 0));
    });
}

#[test]
fn s074_ids_that_are_taken_and_never_used_run_out_with_an_error() {
    with_lone_router(async |router| {
        let error = (0..100_000).find_map(|_| router.allocate_id().err());
        let error = channel_error::<()>(Err(error.expect("there is a bound")));
        assert_eq!(error.kind, ChannelErrorKind::Exhausted);
        assert!(error.reason.contains("no more"), "{error}");
    });
}

#[test]
fn s063_a_route_is_added_once_and_through_something_that_is_there() {
    with_router(async |router| {
        let child = router.local().await.unwrap();
        let id = router.allocate_id().unwrap();
        assert_usage(router.add_route(id, 4711));
        assert_usage(router.add_route(4711, child.id()));
        router.add_route(id, child.id()).unwrap();
        assert_usage(router.add_route(id, child.id()));
        // Nobody is there after all, and whoever asks is told.
        if let Some(promised) = router.context_by_id(id) {
            let answer = promised.call::<guest::add>((1, 1));
            let answer = tokio::time::timeout(std::time::Duration::from_secs(5), answer).await;
            channel_error(answer.expect("no wait without end"));
        }
        assert_eq!(child.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn b044_calls_and_results_that_are_too_large_are_errors_and_the_context_lives_on() {
    let _alone = e2e::alone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let plugin = e2e::plugin();
    runtime.block_on(async {
        let router = Router::builder()
            .max_message_size(16 << 20)
            .build()
            .unwrap();
        router.add_plugin(plugin);
        let child = router.local().await.unwrap();
        let context = router.local().via(&child).await.unwrap();
        let error = channel_error(context.call::<guest::echo>((vec![0; 17 << 20],)).await);
        assert_eq!(error.kind, ChannelErrorKind::TooLarge);
        assert!(!error.may_have_run);
        let error = call_error(context.call::<guest::large>((17 << 20,)).await);
        assert_eq!(error.failure.kind, CallErrorKind::LimitExceeded);
        assert!(error.failure.error.message.contains("too large"), "{error}");
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
        router.shutdown().await;
    });
}

#[test]
fn b053_a_router_counts_and_disconnects() {
    with_router(async |router| {
        let before = router.stats();
        let one = router.local().await.unwrap();
        let two = router.local().await.unwrap();
        let below = router.local().via(&two).await.unwrap();
        assert_eq!(router.stats().contexts, 3);
        below.call::<guest::add>((1, 2)).await.unwrap();
        assert!(router.stats().delivered > before.delivered);
        assert!(!router.disconnect(&below).unwrap(), "it is no direct child");
        assert!(router.disconnect(&one).unwrap());
        until("it is gone", || router.stats().contexts == 2).await;
        router.disconnect_all();
        until("all are gone", || router.stats().contexts == 0).await;
        router.disconnect_all();
        let own_context = router.own_context();
        assert_eq!(own_context.id(), 0);
        let again = router.local().await.expect("the router goes on");
        assert_eq!(again.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn s077_shutting_down_twice_at_once_waits_twice() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let pid = e2e::pid_of(&context);
        let (first, second) = (router.clone(), router.clone());
        let given_up =
            async { tokio::time::timeout(std::time::Duration::ZERO, first.shutdown()).await };
        let waits = async {
            second.shutdown().await;
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        };
        let (_, ()) = tokio::join!(given_up, waits);
        assert!(matches!(router.local().await, Err(Error::Channel(_))));
    });
}

#[test]
fn s109_a_deadline_of_any_length_is_kept() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let long = context.with_timeout(std::time::Duration::MAX);
        assert_eq!(long.call::<guest::add>((1, 2)).await.unwrap(), 3);
        let short = context.with_timeout(std::time::Duration::ZERO);
        crate::assert_timeout(short.call::<guest::busy>((10_000,)).await);
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn l10_a_context_of_another_router_is_refused_wherever_one_is_taken() {
    with_lone_router(async |router| {
        let others = Router::new().unwrap();
        let theirs = others.own_context();
        fn assert_foreign<T>(result: Result<T, Error>) {
            assert!(matches!(result, Err(Error::ForeignContext { .. })));
        }
        let listen = || ListenOptions::new().respondent(&theirs);
        assert_foreign(router.disconnect(&theirs));
        assert_foreign(router.local().via(&theirs).await);
        assert_foreign(router.receiver_with::<u8>(listen()));
        assert_foreign(router.add_handler(Handler::new(|_| {}).respondent(&theirs)));
        let listens = Channel::<u8, u8>::new(&router, &router.own_context(), 500, listen());
        assert_foreign(listens);
        let sends = Channel::<u8, u8>::new(&router, &theirs, 500, ListenOptions::new());
        assert_foreign(sends);
        assert_eq!(router.stats().handles, 0, "nothing was left");
        others.shutdown().await;
    });
}
