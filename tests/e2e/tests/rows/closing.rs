//! `Select`: taking sources out, closing, ends and errors of sources.

use std::time::Duration;

use e2e::{until, with_lone_router, with_router};
use e2e_plugin as guest;
use offshoot::{Error, Receiver, Select, SelectError};

use crate::{assert_closed, assert_timeout, call_error, pair};

#[test]
fn s026_closing_lets_go_of_sources_without_closing_them() {
    with_lone_router(async |router| {
        let empty = Select::<u32>::new();
        empty.close();
        empty.close();

        let (receiver, sender) = pair::<u32>(&router);
        let (deep, deep_sender) = pair::<u32>(&router);
        let inner = Select::with([&deep]).unwrap();
        let select = Select::new();
        select.add(&receiver).unwrap();
        select.add(&inner).unwrap();
        select.close();
        select.close();
        assert!(!select.has_sources());
        sender.put(&1).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), 1);
        // The inner one still has its own.
        deep_sender.put(&2).await.unwrap();
        assert_eq!(inner.get().await.unwrap().value.unwrap(), 2);
        select.add(&receiver).expect("it can be used again");
    });
}

#[test]
fn s026_closing_wakes_whoever_waits() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let select = select.clone();
                tokio::spawn(async move { select.get().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        select.close();
        for waiting in waiting {
            let error = waiting.await.unwrap().unwrap_err();
            assert!(
                matches!(error, Error::Select(SelectError::Closed)),
                "{error}"
            );
        }
    });
}

#[test]
fn s027_dropping_a_select_lets_go_even_in_a_panic() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        drop(Select::with([&receiver]).unwrap());
        let theirs = receiver.clone();
        let panicked = tokio::spawn(async move {
            let _select = Select::with([&theirs]).unwrap();
            panic!("on purpose");
        });
        assert!(panicked.await.is_err());
        let select = Select::with([&receiver]).expect("nobody owns it");
        sender.put(&1).await.unwrap();
        assert_eq!(select.get().await.unwrap().value.unwrap(), 1);
    });
}

#[test]
fn s027_a_select_that_is_dropped_while_values_come_is_no_trouble() {
    with_lone_router(async |router| {
        for _ in 0..100 {
            let (receiver, sender) = pair::<u32>(&router);
            let select = Select::with([receiver]).unwrap().oneshot(false);
            let put = tokio::spawn(async move {
                for number in 0..50 {
                    // It fails once the select, which owns the receiver, is gone.
                    if sender.put(&number).await.is_err() {
                        break;
                    }
                }
            });
            tokio::task::yield_now().await;
            drop(select);
            put.await.unwrap();
        }
    });
}

#[test]
fn s034_an_error_says_which_source_and_takes_it_out() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let fails = context
            .call_async::<guest::fail>(("it".to_owned(),))
            .await
            .unwrap();
        let works = context.call_async::<guest::add>((1, 2)).await.unwrap();
        let select = Select::with([fails.untyped(), works.untyped()]).unwrap();
        let first = select.get().await.unwrap();
        assert!(first.source == fails.untyped());
        assert_eq!(first.context(), Some(&context));
        assert_eq!(
            call_error(first.value).failure.error.message,
            "`it` was not found"
        );
        let second = select.get().await.unwrap();
        assert!(second.source == works.untyped());
        assert!(second.value.is_ok());
        assert!(select.next().await.is_none());
    });
}

#[test]
fn s034_a_message_of_another_type_is_that_sources_error() {
    with_lone_router(async |router| {
        let receiver = router.receiver::<String>().unwrap();
        let bytes = offshoot::Message::from_bytes(receiver.handle(), vec![200_u8]);
        router.own_context().send(bytes).unwrap();
        let select = Select::with([&receiver]).unwrap();
        let event = select.get().await.unwrap();
        assert!(event.source == receiver);
        assert!(matches!(event.value, Err(Error::Malformed { .. })));
        assert!(!select.has_sources());
    });
}

#[test]
fn s038_only_members_can_be_removed() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let select = Select::new();
        let other = Select::with([&receiver]).unwrap();
        for no_member in [
            select.remove(&receiver),
            select.remove(&other),
            select.remove(&select),
        ] {
            assert!(matches!(
                no_member,
                Err(Error::Select(SelectError::NotMember))
            ));
        }
        other.remove(&receiver).unwrap();
        assert!(other.remove(&receiver).is_err());
        select.add(&receiver).expect("it is free again");
    });
}

#[test]
fn s039_a_value_that_was_told_of_comes_although_its_source_was_removed() {
    with_lone_router(async |router| {
        for oneshot in [true, false] {
            for with_other in [true, false] {
                let (receiver, sender) = pair::<u32>(&router);
                let (other, _) = pair::<u32>(&router);
                let select = Select::with([&receiver]).unwrap().oneshot(oneshot);
                if with_other {
                    select.add(&other).unwrap();
                }
                sender.put(&1).await.unwrap();
                select.remove(&receiver).unwrap();
                assert_eq!(select.get().await.unwrap().value.unwrap(), 1);
                assert!(receiver.is_empty());
                // What comes later does not.
                sender.put(&2).await.unwrap();
                assert!(!matches!(select.try_get(), Ok(Some(_))));
                assert_eq!(receiver.get().await.unwrap(), 2);
            }
        }
    });
}

#[test]
fn s039_a_source_that_is_removed_and_added_again_counts_once() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        sender.put(&1).await.unwrap();
        select.remove(&receiver).unwrap();
        select.add(&receiver).unwrap();
        assert_eq!(select.get().await.unwrap().value.unwrap(), 1);
        assert!(!select.has_sources(), "it has given its value");
        assert!(select.next().await.is_none());
    });
}

#[test]
fn s039_removing_the_last_source_wakes_whoever_waits() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        let theirs = select.clone();
        let waiting = tokio::spawn(async move { theirs.get().await });
        tokio::time::sleep(Duration::from_millis(5)).await;
        select.remove(&receiver).unwrap();
        let error = waiting.await.unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Select(SelectError::NoSources)),
            "{error}"
        );
    });
}

#[test]
fn s040_a_source_that_closes_is_an_event() {
    with_lone_router(async |router| {
        for oneshot in [true, false] {
            let (here, sender) = pair::<u32>(&router);
            let (there, _keep) = pair::<u32>(&router);
            let select = Select::with([&here, &there]).unwrap().oneshot(oneshot);
            let theirs = select.clone();
            let waiting = tokio::spawn(async move { theirs.get().await.unwrap() });
            tokio::time::sleep(Duration::from_millis(2)).await;
            there.close();
            let event = waiting.await.unwrap();
            assert!(event.source == there);
            assert_closed(event.value);
            sender.close().unwrap();
            let event = select.get().await.unwrap();
            assert!(event.source == here);
            assert_closed(event.value);
            // One that was closed is out. One whose sender said that it is done may have others.
            assert_eq!(select.source_count(), usize::from(!oneshot));
        }
    });
}

#[test]
fn s040_a_source_that_was_closed_before_it_was_added_says_so_once() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        receiver.close();
        let select = Select::new().oneshot(false);
        select.add(&receiver).unwrap();
        assert_closed(select.get().await.unwrap().value);
        assert!(select.next().await.is_none());
    });
}

#[test]
fn s040_values_void_with_their_receiver_are_one_event() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap().oneshot(false);
        for number in 0..3 {
            sender.put(&number).await.unwrap();
        }
        receiver.close();
        assert_closed(select.get().await.unwrap().value);
        assert!(select.next().await.is_none());
    });
}

#[test]
fn s040_a_lost_context_is_an_event_of_its_receiver() {
    with_router(async |router| {
        let lost = router.local().await.unwrap();
        let stays = router.local().await.unwrap();
        let listen = |context| offshoot::ListenOptions::new().respondent(context);
        let from_lost: Receiver<u32> = router.receiver_with(listen(&lost)).unwrap();
        let from_other: Receiver<u32> = router.receiver_with(listen(&stays)).unwrap();
        let select = Select::with([&from_lost, &from_other]).unwrap();
        let select = select.oneshot(false);
        e2e::kill(e2e::pid_of(&lost));
        let event = select.get().await.unwrap();
        assert_eq!(event.context(), Some(&lost));
        let error = crate::channel_error(event.value);
        assert!(error.to_string().contains(lost.name()), "{error}");
        assert_eq!(
            select.source_count(),
            1,
            "only the other one can still give something"
        );
        assert_timeout(select.get_timeout(Duration::from_millis(10)).await);
    });
}

#[test]
fn a_receiver_that_only_a_select_knows_goes_with_it() {
    with_lone_router(async |router| {
        let select = Select::with([router.receiver::<u32>().unwrap()]).unwrap();
        assert_eq!(router.stats().handles, 1);
        drop(select);
        until("the handle is gone", || router.stats().handles == 0).await;
    });
}
