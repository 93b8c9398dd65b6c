//! `Sender` and `Channel`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::{until, with_lone_router};
use futures_util::FutureExt;
use offshoot::{Channel, ChannelErrorKind, Error, Handler, ListenOptions, Message, Sender};

use crate::{assert_closed, channel_error, pair};

#[test]
fn s129_what_is_put_arrives_in_order_and_then_the_end() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u64>(&router);
        let put = tokio::spawn(async move {
            for number in 0..20_000 {
                sender.put(&number).await.unwrap();
            }
            sender.close().unwrap();
        });
        for number in 0..20_000 {
            assert_eq!(receiver.get().await.unwrap(), number);
        }
        assert_closed(receiver.get().await);
        put.await.unwrap();
    });
}

#[test]
fn s129_a_slow_receiver_holds_all_senders_to_it_and_loses_none() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<Vec<u8>>(&router);
        // Of different sizes, so that a small message fits where a large one waits.
        let puts: Vec<_> = [90_000, 50, 200_000, 10, 1000]
            .into_iter()
            .map(|size| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        sender.put(&vec![7; size]).await.unwrap();
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let held = router.stats().held_bytes;
        assert!(held > 0 && held <= 512 * 1024, "{held} bytes");
        let mut bytes = 0;
        for _ in 0..50 {
            let value = receiver.get_timeout(Duration::from_secs(10)).await.unwrap();
            bytes += value.len();
        }
        assert_eq!(bytes, 10 * (90_000 + 50 + 200_000 + 10 + 1000));
        for put in puts {
            put.await.unwrap();
        }
    });
}

#[test]
fn s129_a_sender_that_waits_learns_that_the_receiver_closed() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<Vec<u8>>(&router);
        let puts: Vec<_> = (0..3)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    loop {
                        if let Err(error) = sender.put(&vec![0; 100_000]).await {
                            return error;
                        }
                    }
                })
            })
            .collect();
        until("the window is full", || router.stats().held_bytes > 150_000).await;
        receiver.close();
        for put in puts {
            let error = put.await.unwrap();
            assert!(
                matches!(&error, Error::Channel(error) if error.kind == ChannelErrorKind::Closed),
                "{error:?}"
            );
        }
    });
}

#[test]
fn s129_nothing_is_closed_on_the_side_that_says_that_it_is_done() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        sender.close().unwrap();
        sender.put(&1).await.unwrap();
        assert_closed(receiver.get().await);
        assert_eq!(receiver.get().await.unwrap(), 1);
    });
}

#[test]
fn s129_a_hundred_parts_can_each_say_that_they_are_done() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let parts: Vec<Sender<u32>> = (0..100).map(|_| sender.clone()).collect();
        for part in &parts {
            part.put(&1).await.unwrap();
            part.close().unwrap();
        }
        let (mut sum, mut ends) = (0, 0);
        while ends < parts.len() {
            match receiver.get_timeout(Duration::from_secs(5)).await {
                Ok(value) => sum += value,
                Err(Error::Channel(_)) => ends += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(sum, 100);
    });
}

#[test]
fn s129_sending_where_nobody_is_is_an_error_that_says_so() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let handle = receiver.handle();
        drop(receiver);
        let nobody = Sender::<u32>::new(&router.own_context(), handle);
        let first = nobody.put(&1).await;
        // The first one may be on its way before that is known.
        let error = match first {
            Ok(()) => channel_error(nobody.put(&2).await),
            error => channel_error(error),
        };
        assert_eq!(error.kind, ChannelErrorKind::NoHandle);
        assert!(error.reason.contains(&handle.to_string()), "{error}");
    });
}

#[test]
fn s107_what_cannot_be_encoded_fails_here() {
    struct Odd;
    impl serde::Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("odd"))
        }
    }
    with_lone_router(async |router| {
        let sender = Sender::<Odd>::new(&router.own_context(), 500);
        assert!(matches!(sender.put(&Odd).await, Err(Error::Usage(_))));
        assert!(matches!(Message::new(500, &Odd), Err(Error::Usage(_))));
    });
}

#[test]
fn s130_two_ends_of_a_pair_talk_and_close_together() {
    with_lone_router(async |router| {
        let (near, far) = Channel::<String, u32>::pair(&router).unwrap();
        assert!(near.handle() > 0 && far.handle() > 0);
        near.put(&6).await.unwrap();
        assert_eq!(far.get().await.unwrap(), 6);
        far.put(&"six".to_owned()).await.unwrap();
        let answer = near.get_timeout(Duration::from_secs(5)).await;
        assert_eq!(answer.unwrap(), "six");
        near.close().unwrap();
        assert_closed(near.get().await);
        assert_closed(far.get().await);
        assert!(far.put(&"more".to_owned()).await.is_err());
    });
}

#[test]
fn s130_the_ends_of_a_channel_can_be_wired_by_hand() {
    with_lone_router(async |router| {
        let me = router.own_context();
        let one = ListenOptions::new().handle(601);
        let other = ListenOptions::new().handle(602);
        let one: Channel<u32, u32> = Channel::new(&router, &me, 602, one).unwrap();
        let other: Channel<u32, u32> = Channel::new(&router, &me, 601, other).unwrap();
        one.put(&1).await.unwrap();
        assert_eq!(other.get().await.unwrap(), 1);
        other.put(&2).await.unwrap();
        assert_eq!(one.get().await.unwrap(), 2);
        assert_eq!(one.sender().handle(), other.handle());
    });
}

#[test]
fn a_put_that_is_given_up_is_not_sent() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<Vec<u8>>(&router);
        let large = vec![1; 200_000];
        sender.put(&large).await.unwrap();
        for _ in 0..10 {
            // It waits for room; one poll and it is dropped.
            assert!(sender.put(&large).now_or_never().is_none());
        }
        sender.put(&vec![2]).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), large);
        assert_eq!(receiver.get().await.unwrap(), [2]);
        sender.put(&vec![3]).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), [3]);
        assert!(receiver.is_empty());
    });
}

#[test]
fn l8_what_is_sent_to_oneself_without_an_error_arrives() {
    with_lone_router(async |router| {
        let receiver = router.receiver::<u64>().unwrap();
        let me = router.own_context();
        let send = |number: u64| me.send(Message::new(receiver.handle(), &number).unwrap());
        let sent: Vec<u64> = (0..10_000).filter(|number| send(*number).is_ok()).collect();
        assert!(sent.len() < 10_000, "nobody reads");
        let error = channel_error(send(0));
        assert_eq!(error.kind, ChannelErrorKind::Exhausted);
        for number in sent {
            assert_eq!(receiver.get().await.unwrap(), number);
        }
        assert!(receiver.is_empty());
    });
}

#[test]
fn l8_what_four_threads_route_without_an_error_reaches_the_handler() {
    with_lone_router(async |router| {
        let handled = Arc::new(AtomicUsize::new(0));
        let counter = handled.clone();
        let handler = Handler::new(move |message| {
            counter.fetch_add(usize::from(!message.is_dead()), Ordering::Relaxed);
        });
        let handle = router.add_handler(handler).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let router = router.clone();
                let route = move || router.route(0, Message::new(handle, &7).unwrap()).is_ok();
                std::thread::spawn(move || (0..5000).filter(|_| route()).count())
            })
            .collect();
        let routed: usize = threads.into_iter().map(|it| it.join().unwrap()).sum();
        until("all are handled", || {
            handled.load(Ordering::Relaxed) == routed
        })
        .await;
        assert!(router.remove_handler(handle));
    });
}
