//! `Receiver`: how it listens, gives, tells, closes and ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::with_lone_router;
use futures_util::StreamExt;
use offshoot::{ChannelErrorKind, Error, ListenOptions, Message, Receiver};

use crate::{assert_closed, assert_timeout, assert_usage, channel_error, pair};

#[test]
fn s120_a_peer_can_know_the_handle_in_advance() {
    with_lone_router(async |router| {
        let listen = ListenOptions::new().handle(500);
        let receiver: Receiver<String> = router.receiver_with(listen.clone()).unwrap();
        assert_eq!(receiver.handle(), 500);
        let message = Message::new(500, &"hello").unwrap();
        router.route(0, message).unwrap();
        assert_eq!(receiver.get().await.unwrap(), "hello");
        // It is taken until it is let go, and some are the router's.
        assert_usage(router.receiver_with::<String>(listen.clone()));
        assert_usage(router.receiver_with::<String>(ListenOptions::new().handle(101)));
        assert_usage(router.receiver_with::<String>(ListenOptions::new().handle(0)));
        drop(receiver);
        router.receiver_with::<String>(listen).unwrap();
    });
}

#[test]
fn s120_one_that_does_not_persist_takes_one_message() {
    with_lone_router(async |router| {
        let once = ListenOptions::new().persist(false);
        let receiver: Receiver<u32> = router.receiver_with(once).unwrap();
        let sender = receiver.to_sender();
        sender.put(&1).await.unwrap();
        assert_eq!(
            router.stats().handles,
            0,
            "the stream ended with its only message"
        );
        assert_eq!(receiver.get().await.unwrap(), 1);
        assert_closed(receiver.get().await);
        assert!(receiver.is_over());
    });
}

#[test]
fn s122_a_function_is_told_of_each_message_and_of_the_end() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        sender.put(&0).await.unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let counter = told.clone();
        receiver
            .set_notify(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 1, "one waits already");
        sender.put(&1).await.unwrap();
        sender.close().unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 3, "an end counts too");
        receiver.close();
        assert_eq!(told.load(Ordering::Relaxed), 4);
        receiver.close();
        assert_eq!(told.load(Ordering::Relaxed), 4, "it is closed once");
        assert_usage(receiver.set_notify(|| {}));
    });
}

#[test]
fn s122_a_function_that_is_told_may_use_the_router() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let (echo, out) = pair::<u32>(&router);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (theirs, log, uses) = (receiver.clone(), seen.clone(), router.clone());
        let notify = move || {
            while let Some(Ok(value)) = theirs.try_get() {
                log.lock().unwrap().push(value);
                let answer = Message::new(out.handle(), &(value + 1)).unwrap();
                uses.own_context().send(answer).unwrap();
                // It may not wait, and is told so instead of hanging.
                assert!(matches!(theirs.get_blocking(), Err(Error::Usage(_))));
                assert!(uses.stats().handles > 0);
            }
        };
        receiver.set_notify(notify).unwrap();
        for number in 0..3 {
            sender.put(&number).await.unwrap();
        }
        for number in 0..3 {
            assert_eq!(echo.get().await.unwrap(), number + 1);
        }
        assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
        // It owns its own receiver, so somebody has to part them.
        receiver.clear_notify();
    });
}

#[test]
fn s122_a_function_that_panics_when_told_harms_nobody() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        receiver.set_notify(|| panic!("on purpose")).unwrap();
        sender.put(&1).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), 1);
        sender.put(&2).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), 2);
    });
}

#[test]
fn s123_telling_first_and_looking_then_misses_nothing() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        assert!(receiver.is_empty());
        receiver.set_notify(|| {}).unwrap();
        assert!(receiver.is_empty());
        sender.put(&1).await.unwrap();
        assert!(!receiver.is_empty());
        assert_eq!(receiver.len(), 1);
    });
}

#[test]
fn s124_closing_wakes_everyone_who_waits_and_voids_what_waits() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let receiver = receiver.clone();
                tokio::spawn(async move { receiver.get().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        receiver.close();
        for waiting in waiting {
            let error = channel_error(waiting.await.unwrap());
            assert_eq!(error.reason, "the receiver has been closed");
        }
        receiver.close();
        // Whoever sends there learns it.
        let refused = async {
            loop {
                sender.put(&1).await?;
                tokio::task::yield_now().await;
            }
            #[expect(unreachable_code, reason = "it gives the block its type")]
            Ok::<(), Error>(())
        };
        let refused = tokio::time::timeout(Duration::from_secs(5), refused).await;
        channel_error(refused.expect("in time"));
    });
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        sender.put(&1).await.unwrap();
        receiver.close();
        assert_closed(receiver.get().await);
        assert_eq!(receiver.len(), 0);
    });
}

#[test]
fn s124_closing_wakes_plain_threads_as_well() {
    let router = offshoot::Router::new().unwrap();
    let receiver = router.receiver::<u32>().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let receiver = receiver.clone();
            std::thread::spawn(move || match number % 2 {
                0 => receiver.get_blocking(),
                _ => receiver.get_blocking_timeout(Duration::from_secs(60)),
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(20));
    receiver.close();
    for thread in threads {
        assert_closed(thread.join().unwrap());
    }
    router.shutdown_blocking().unwrap();
}

#[test]
fn s125_get_gives_a_value_or_says_why_not() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let began = Instant::now();
        assert_timeout(receiver.get_timeout(Duration::ZERO).await);
        assert_timeout(receiver.get_timeout(Duration::from_millis(20)).await);
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(20) && waited < Duration::from_secs(2));
        sender.put(&1).await.unwrap();
        let long = receiver.get_timeout(Duration::MAX).await;
        assert_eq!(long.unwrap(), 1);
        let message = Message::new(receiver.handle(), &2_u32)
            .unwrap()
            .with_reply_to(receiver.handle());
        router.route(0, message).unwrap();
        let whole = receiver.get_message().await.unwrap();
        assert_eq!(whole.decode::<u32>().unwrap(), 2);
        assert_eq!(whole.source(), 0);
        assert_eq!(whole.handle(), receiver.handle());
        assert_eq!(whole.reply_to(), Some(receiver.handle()));
        sender.close().unwrap();
        let error = channel_error(receiver.get().await);
        assert_eq!(error.reason, "the sender was explicitly closed");
        assert_eq!(error.kind, ChannelErrorKind::Closed);
    });
}

#[test]
fn s125_looking_in_a_loop_lets_others_run() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let put = tokio::spawn(async move { sender.put(&7).await });
        let began = Instant::now();
        let value = loop {
            match receiver.get_timeout(Duration::ZERO).await {
                Ok(value) => break value,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(5), "{error}"),
            }
        };
        assert_eq!(value, 7);
        put.await.unwrap().unwrap();
    });
}

#[test]
fn s127_iterating_ends_with_the_end_and_shows_other_errors() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        sender.put(&1).await.unwrap();
        let odd = Message::from_bytes(receiver.handle(), vec![255_u8]);
        router.route(0, odd).unwrap();
        sender.put(&2).await.unwrap();
        sender.close().unwrap();
        sender.put(&3).await.unwrap();
        let items: Vec<_> = receiver.stream().collect().await;
        assert_eq!(items.len(), 3);
        assert!(matches!(items[0], Ok(1)) && matches!(items[2], Ok(2)));
        assert!(matches!(items[1], Err(Error::Malformed { .. })));
        // What was sent after that is still there.
        assert_eq!(receiver.get().await.unwrap(), 3);
    });
}

#[test]
fn s127_a_plain_thread_iterates_with_for() {
    let router = offshoot::Router::new().unwrap();
    let (receiver, sender) = pair::<u32>(&router);
    for number in 0..3 {
        sender.put_blocking(&number).unwrap();
    }
    sender.close().unwrap();
    let mut values = Vec::new();
    for value in &receiver {
        values.push(value.unwrap());
    }
    assert_eq!(values, [0, 1, 2]);
    router.shutdown_blocking().unwrap();
}

#[test]
fn s128_each_message_goes_to_one_of_those_who_wait() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let receiver = receiver.clone();
                tokio::spawn(async move { receiver.get().await.unwrap() })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        for number in 0..5 {
            sender.put(&number).await.unwrap();
        }
        let mut values = Vec::new();
        for waiting in waiting {
            values.push(waiting.await.unwrap());
        }
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn s128_one_that_gives_up_takes_nobodys_message() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        for round in 0..50 {
            let given_up = {
                let receiver = receiver.clone();
                tokio::spawn(async move { receiver.get().await })
            };
            let patient = {
                let receiver = receiver.clone();
                tokio::spawn(async move { receiver.get().await.unwrap() })
            };
            tokio::task::yield_now().await;
            given_up.abort();
            let aborted = given_up.await.is_err();
            assert!(aborted);
            sender.put(&round).await.unwrap();
            let got = tokio::time::timeout(Duration::from_secs(5), patient).await;
            assert_eq!(got.expect("it is woken").unwrap(), round);
        }
    });
}

#[test]
fn b029_a_sender_of_a_receiver_leads_back_to_it() {
    with_lone_router(async |router| {
        let receiver = router.receiver::<u32>().unwrap();
        let sender = receiver.to_sender();
        assert_eq!(sender.handle(), receiver.handle());
        assert_eq!(sender.context_id(), router.own_context().id());
        sender.put(&1).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), 1);
    });
}

#[test]
fn b030_a_receiver_counts_what_waits_and_goes_with_its_scope() {
    with_lone_router(async |router| {
        let sender = {
            let (receiver, sender) = pair::<u32>(&router);
            sender.put(&1).await.unwrap();
            sender.put(&2).await.unwrap();
            assert_eq!(receiver.len(), 2);
            let clone = receiver.clone();
            drop(receiver);
            assert_eq!(clone.get().await.unwrap(), 1, "a clone is the same one");
            sender
        };
        assert!(sender.put(&3).await.is_err(), "nobody listens any more");
        assert_eq!(router.stats().held_bytes, 0);
    });
}
