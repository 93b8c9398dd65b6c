//! Functions that take the messages of a handle.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{until, with_lone_router};
use offshoot::{ChannelErrorKind, Error, Handler, Message, Router};

use crate::{assert_usage, channel_error, pair};

fn message(handle: u64, value: u32) -> Message {
    Message::new(handle, &value).unwrap()
}

/// What a handler got.
type Seen = Arc<Mutex<Vec<Result<u32, String>>>>;

/// A handler that notes what it gets: values, or the reason of the end.
fn noting() -> (Handler, Seen) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let handler = Handler::new(move |message| {
        let item = match message.reason() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(message.decode().unwrap()),
        };
        log.lock().unwrap().push(item);
    });
    (handler, seen)
}

#[test]
fn s065_a_function_takes_each_message_in_order() {
    with_lone_router(async |router| {
        let (handler, seen) = noting();
        let handle = router.add_handler(handler).unwrap();
        assert!(handle >= 1000, "{handle}");
        let second = router.add_handler(noting().0).unwrap();
        assert_ne!(handle, second);
        for number in 0..100 {
            router.route(0, message(handle, number)).unwrap();
        }
        let want: Vec<_> = (0..100).map(Ok).collect();
        assert_eq!(*seen.lock().unwrap(), want);
        assert!(router.remove_handler(handle) && router.remove_handler(second));
        assert!(!router.remove_handler(handle));
    });
}

#[test]
fn s065_a_handle_is_registered_once() {
    with_lone_router(async |router| {
        let handle = router.add_handler(noting().0.handle(500)).unwrap();
        assert_eq!(handle, 500);
        let error = router.add_handler(noting().0.handle(500)).unwrap_err();
        assert!(error.to_string().contains("already exists"), "{error}");
        assert_usage(router.add_handler(noting().0.handle(100)));
        assert!(router.remove_handler(500));
        router.add_handler(noting().0.handle(500)).unwrap();
        router.remove_handler(500);
    });
}

#[test]
fn s065_one_that_does_not_persist_is_gone_before_it_runs() {
    with_lone_router(async |router| {
        let seen = Arc::new(AtomicUsize::new(0));
        let (uses, counter) = (router.clone(), seen.clone());
        let again = move |message: Message| {
            if message.is_dead() {
                return;
            }
            // The same handle, once more.
            let (uses, counter) = (uses.clone(), counter.clone());
            let next = Handler::new(move |message: Message| {
                if !message.is_dead() {
                    counter.fetch_add(10, Ordering::Relaxed);
                }
            });
            seen.fetch_add(1, Ordering::Relaxed);
            uses.add_handler(next.handle(500).persist(false)).unwrap();
        };
        let handler = Handler::new(again).handle(500).persist(false);
        router.add_handler(handler).unwrap();
        router.route(0, message(500, 1)).unwrap();
        router.route(0, message(500, 2)).unwrap();
        until("both have run", || router.stats().handles == 0).await;
        assert_eq!(router.stats().late, 0);
        router.route(0, message(500, 3)).unwrap();
        assert_eq!(router.stats().late, 1);
    });
}

#[test]
fn s065_what_a_handler_owns_may_be_dropped_with_it() {
    with_lone_router(async |router| {
        let (out, sender) = pair::<u32>(&router);
        // Dropping these takes them back from the router, in the midst of its work.
        let owns = (router.receiver::<u32>().unwrap(), router.clone(), sender);
        let handler = Handler::new(move |message: Message| {
            let sent = Message::new(owns.2.handle(), &message.decode::<u32>().unwrap());
            owns.1.route(0, sent.unwrap()).unwrap();
            assert!(owns.0.is_empty());
        });
        let handle = router.add_handler(handler.persist(false)).unwrap();
        router.route(0, message(handle, 5)).unwrap();
        assert_eq!(out.get().await.unwrap(), 5);
    });
}

#[test]
fn s065_a_handler_that_panics_is_logged_and_stays() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let handler = Handler::new(move |message: Message| {
            let Ok(value) = message.decode::<u32>() else {
                return;
            };
            assert!(value != 1, "on purpose");
            let forward = Message::new(sender.handle(), &value).unwrap();
            // The answer of a handler to itself comes through the router as any other message.
            let _ = message.reply(&value);
            drop(forward);
        });
        let handle = router.add_handler(handler).unwrap();
        let me = router.own_context();
        let answer = me.send_await::<u32>(message(handle, 0), None);
        assert_eq!(answer.await.unwrap(), 0);
        router.route(0, message(handle, 1)).unwrap();
        let answer = me.send_await::<u32>(message(handle, 2), None);
        assert_eq!(answer.await.unwrap(), 2);
        router.remove_handler(handle);
        drop(receiver);
    });
}

#[test]
fn s065_a_handler_that_sends_to_itself_is_no_recursion() {
    with_lone_router(async |router| {
        let (done, out) = pair::<u32>(&router);
        let uses = router.clone();
        let handler = Handler::new(move |message: Message| {
            let Ok(value) = message.decode::<u32>() else {
                return;
            };
            let next = match value {
                50_000 => Message::new(out.handle(), &value),
                _ => Message::new(500, &(value + 1)),
            };
            uses.route(0, next.unwrap()).unwrap();
        });
        router.add_handler(handler.handle(500)).unwrap();
        router.route(0, message(500, 0)).unwrap();
        assert_eq!(done.get().await.unwrap(), 50_000);
        router.remove_handler(500);
    });
}

#[test]
fn s066_the_loss_of_the_respondent_is_the_last_message() {
    e2e::with_router(async |router| {
        let context = router.local().await.unwrap();
        let (handler, seen) = noting();
        let handle = router
            .add_handler(handler.respondent(&context).handle(700))
            .unwrap();
        // Nobody else may answer in its place.
        router.route(0, message(handle, 1)).unwrap();
        assert!(seen.lock().unwrap().is_empty());
        e2e::kill(e2e::pid_of(&context));
        until("it is told", || !seen.lock().unwrap().is_empty()).await;
        {
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), 1);
            let reason = seen[0].as_ref().unwrap_err();
            assert!(reason.contains("was lost"), "{reason}");
        }
        assert!(!router.remove_handler(handle), "it is gone");
        assert!(matches!(
            router.add_handler(noting().0.respondent(&context)),
            Err(Error::Channel(_))
        ));
    });
}

#[test]
fn s068_messages_from_one_thread_stay_in_order() {
    let router = Router::new().unwrap();
    let seen = Arc::new(Mutex::new(vec![Vec::new(); 4]));
    let log = seen.clone();
    let handler = Handler::new(move |message: Message| {
        if let Ok((thread, number)) = message.decode::<(usize, u32)>() {
            log.lock().unwrap()[thread].push(number);
        }
    });
    let handle = router.add_handler(handler).unwrap();
    let threads: Vec<_> = (0..4_usize)
        .map(|thread| {
            let router = router.clone();
            std::thread::spawn(move || {
                for number in 0..500_u32 {
                    let message = Message::new(handle, &(thread, number)).unwrap();
                    router.route(0, message).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let all = || seen.lock().unwrap().iter().all(|seen| seen.len() == 500);
    let broker = offshoot::Broker::new().unwrap();
    offshoot::block_on(until("all have come", all)).unwrap();
    for seen in &*seen.lock().unwrap() {
        assert!(seen.is_sorted());
    }
    broker.shutdown();
    router.shutdown_blocking().unwrap();
}

#[test]
fn s071_a_shutdown_is_the_last_message_of_every_handler() {
    with_lone_router(async |router| {
        let (first, first_seen) = noting();
        let (second, second_seen) = noting();
        router.add_handler(first).unwrap();
        router.add_handler(second.persist(false)).unwrap();
        let receiver = router.receiver::<u32>().unwrap();
        let waiting = tokio::spawn(async move { receiver.get().await });
        tokio::task::yield_now().await;
        router.shutdown().await;
        let want = [Err("the router was shut down".to_owned())];
        assert_eq!(*first_seen.lock().unwrap(), want);
        assert_eq!(*second_seen.lock().unwrap(), want);
        let error = channel_error(waiting.await.unwrap());
        assert_eq!(error.reason, "the router was shut down");
        // Nobody begins to wait for what cannot come.
        channel_error(router.receiver::<u32>().map(drop));
        channel_error(router.add_handler(noting().0));
        channel_error(router.local().await);
        let me = router.own_context();
        channel_error(me.send_await::<u32>(message(500, 1), None).await);
    });
}

#[test]
fn b043_a_policy_decides_which_messages_come_in() {
    with_lone_router(async |router| {
        let (handler, seen) = noting();
        let even = |message: &Message| message.decode::<u32>().is_ok_and(|it| it % 2 == 0);
        let handle = router.add_handler(handler.policy(even)).unwrap();
        let me = router.own_context();
        let refused = me.send_await::<u32>(message(handle, 1), None).await;
        let error = channel_error(refused);
        assert_eq!(error.kind, ChannelErrorKind::Refused);
        assert_eq!(error.reason, "refused by policy");
        me.send(message(handle, 2)).unwrap();
        assert_eq!(*seen.lock().unwrap(), [Ok(2)]);
        assert_eq!(router.stats().refused, 1);
        router.remove_handler(handle);
    });
}

#[test]
fn b053_a_handle_that_is_taken_back_wakes_whoever_waits_on_it() {
    with_lone_router(async |router| {
        let receiver = router.receiver::<u32>().unwrap();
        let theirs = receiver.clone();
        let waiting = tokio::spawn(async move { theirs.get().await });
        tokio::task::yield_now().await;
        assert!(router.remove_handler(receiver.handle()));
        let got = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        channel_error(got.expect("it is woken").unwrap());
    });
}

#[test]
fn s102_a_handler_cannot_wait() {
    with_lone_router(async |router| {
        let (answers, out) = pair::<bool>(&router);
        let uses = router.clone();
        let handler = Handler::new(move |message: Message| {
            if message.is_dead() {
                return;
            }
            let me = uses.own_context();
            let refused = [
                me.send_async::<u32>(self::message(500, 1), false).is_err(),
                answers_of(&uses).get_blocking().is_err(),
                uses.shutdown_blocking().is_err(),
                offshoot::block_on(async {}).is_err(),
            ];
            let all = refused == [true; 4];
            uses.route(0, Message::new(out.handle(), &all).unwrap())
                .unwrap();
        });
        let handle = router.add_handler(handler).unwrap();
        router.route(0, message(handle, 1)).unwrap();
        assert!(answers.get().await.unwrap(), "all of them are errors");
        router.remove_handler(handle);
    });
}

fn answers_of(router: &Router) -> offshoot::Receiver<u32> {
    router.receiver().unwrap()
}
