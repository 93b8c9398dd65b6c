//! Futures that are dropped at each point where they can be: nothing is lost, nothing is left, and
//! what they used works on.

use std::time::Duration;

use e2e::dropped::at_each_poll;
use e2e::{assert_nothing_held, until, with_lone_router, with_router};
use e2e_plugin as guest;
use offshoot::{Handler, Latch, Message, Select};

use crate::pair;

#[test]
fn dropping_get_loses_no_message() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::new().oneshot(false);
        let latch = Latch::new();
        let put = async |polls: usize| {
            // It comes once the first try was given up.
            if polls == 1 {
                sender.put(&7).await.unwrap();
                latch.put(7).unwrap();
            }
        };
        let (value, _) = at_each_poll(|| receiver.get(), put).await;
        assert_eq!(value.unwrap(), 7);
        let (value, _) = at_each_poll(|| latch.get(), put).await;
        assert_eq!(value.unwrap(), 7);
        // What the rounds before have left.
        while receiver.try_get().is_some() || latch.try_get().is_some() {}
        select.add(&receiver).unwrap();
        let (event, _) = at_each_poll(|| select.get(), put).await;
        assert_eq!(event.unwrap().value.unwrap(), 7);
        let (event, _) = at_each_poll(|| select.get_timeout(Duration::from_secs(60)), put).await;
        assert_eq!(event.unwrap().value.unwrap(), 7);
        let limit = Duration::from_secs(60);
        let (value, _) = at_each_poll(|| receiver.get_timeout(limit), put).await;
        assert_eq!(value.unwrap(), 7);
    });
}

#[test]
fn dropping_put_sends_once_or_not_at_all() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<Vec<u8>>(&router);
        let value = vec![5; 200_000];
        let (put, dropped) = at_each_poll(|| sender.put(&value), async |_| ()).await;
        put.unwrap();
        assert!(dropped >= 1);
        assert_eq!(receiver.len(), 1, "those that were given up were not sent");
        // Now there is no room, until there is.
        let room = async |polls: usize| {
            if polls == 2 {
                receiver.get().await.unwrap();
            }
        };
        let (put, _) = at_each_poll(|| sender.put(&value), room).await;
        put.unwrap();
        assert_eq!(receiver.len(), 1);
    });
}

#[test]
fn dropping_send_await_and_lost_leaves_no_handle() {
    with_lone_router(async |router| {
        let answers = Handler::new(|message: Message| {
            let _ = message.reply(&1_u32);
        });
        let handle = router.add_handler(answers).unwrap();
        let before = router.stats().handles;
        let me = router.own_context();
        let ask = || Message::new(handle, &1).unwrap();
        let alike = async |_| assert_eq!(router.stats().handles, before);
        let (answer, _) = at_each_poll(|| me.send_await::<u32>(ask(), None), alike).await;
        assert_eq!(answer.unwrap(), 1);
        for _ in 0..3 {
            let lost = tokio::time::timeout(Duration::from_millis(1), me.lost());
            assert!(lost.await.is_err());
            assert_eq!(router.stats().handles, before);
        }
        router.remove_handler(handle);
    });
}

#[test]
fn dropping_a_call_cancels_it_and_the_context_works_on() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let settled = async |_| {
            assert_nothing_held(&router).await;
            assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
        };
        // The first of them brings the plugin.
        let fresh = router.local().await.unwrap();
        let (sum, _) = at_each_poll(|| fresh.call::<guest::add>((2, 3)), settled).await;
        assert_eq!(sum.unwrap(), 5);
        let (done, dropped) = at_each_poll(|| context.call::<guest::sleep>((40,)), settled).await;
        done.unwrap();
        assert!(dropped >= 2);
        let started = || context.call_async::<guest::add>((2, 3));
        let (call, _) = at_each_poll(started, settled).await;
        assert_eq!(call.unwrap().get().await.unwrap(), 5);
        let (sent, _) = at_each_poll(|| context.call_no_reply::<guest::count>(()), settled).await;
        sent.unwrap();
        let long = context.call_async::<guest::sleep>((60_000,)).await.unwrap();
        let (_, _) = at_each_poll(
            || async { tokio::time::timeout(Duration::from_millis(30), long.get()).await },
            async |_| (),
        )
        .await;
        drop(long);
        settled(0).await;
    });
}

#[test]
fn dropping_a_connection_leaves_no_context() {
    with_router(async |router| {
        let gone = async |_| {
            until("no context is left", || router.stats().contexts == 0).await;
            assert_nothing_held(&router).await;
            until("no process is left", || e2e::children().is_empty()).await;
        };
        let (context, dropped) = at_each_poll(|| router.local().into_future(), gone).await;
        let context = context.unwrap();
        assert!(dropped >= 2);
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
        let gone = async |_| {
            until("only the parent is left", || router.stats().contexts == 1).await;
            assert_nothing_held(&router).await;
        };
        let below = || router.local().via(&context).into_future();
        let (below, _) = at_each_poll(below, gone).await;
        assert_eq!(below.unwrap().call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn dropping_a_shutdown_ends_the_context_all_the_same() {
    with_router(async |router| {
        for polls in 0..3 {
            let context = router.local().await.unwrap();
            let lost = context.lost();
            let mut ends = Box::pin(context.shutdown_wait());
            for _ in 0..polls {
                let _ = futures_util::poll!(ends.as_mut());
            }
            drop(ends);
            if polls == 0 {
                context.shutdown();
            }
            lost.await;
            assert_nothing_held(&router).await;
        }
        let context = router.local().await.unwrap();
        let (_, _) = at_each_poll(|| router.shutdown(), async |_| ()).await;
        assert!(!e2e::is_alive(e2e::pid_of(&context)));
    });
}
