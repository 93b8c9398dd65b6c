//! `Select`s in `Select`s.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::with_lone_router;
use offshoot::{Error, Latch, Select, SelectError};

use crate::{assert_timeout, assert_usage, pair};

#[test]
fn s035_the_leaf_is_told_and_a_sub_select_stays_until_it_has_given_all() {
    with_lone_router(async |router| {
        let pairs: Vec<_> = (0..3).map(|_| pair::<u32>(&router)).collect();
        let inner = Select::with(pairs.iter().map(|(receiver, _)| receiver)).unwrap();
        let (beside, beside_sender) = pair::<u32>(&router);
        let outer = Select::with([&inner]).unwrap();
        outer.add(&beside).unwrap();
        for (number, (_, sender)) in pairs.iter().enumerate() {
            sender.put(&(number as u32)).await.unwrap();
        }
        beside_sender.put(&3).await.unwrap();
        for (number, (receiver, _)) in pairs.iter().enumerate() {
            let event = outer.next().await.unwrap();
            assert!(event.source == *receiver, "the leaf, not the select");
            assert_eq!(event.value.unwrap(), number as u32);
        }
        assert_eq!(outer.source_count(), 1, "the inner one has no sources left");
        assert_eq!(outer.next().await.unwrap().value.unwrap(), 3);
        assert!(outer.next().await.is_none());
    });
}

#[test]
fn s035_three_levels_that_stay_give_everything_in_order() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let a = Select::with([&receiver]).unwrap().oneshot(false);
        let b = Select::with([&a]).unwrap().oneshot(false);
        let c = Select::with([&b]).unwrap().oneshot(false);
        for number in 0..10 {
            sender.put(&number).await.unwrap();
        }
        for number in 0..10 {
            let event = c.get().await.unwrap();
            assert!(event.source == receiver);
            assert_eq!(event.value.unwrap(), number);
        }
        assert!(c.try_get().unwrap().is_none());
        assert_eq!(
            (a.source_count(), b.source_count(), c.source_count()),
            (1, 1, 1)
        );
    });
}

#[test]
fn s036_an_empty_sub_select_becomes_active_when_it_gets_a_source() {
    with_lone_router(async |router| {
        let inner = Select::<u32>::new();
        let outer = Select::with([&inner]).unwrap();
        assert_timeout(outer.get_timeout(Duration::from_millis(5)).await);
        let theirs = outer.clone();
        let waiting = tokio::spawn(async move { theirs.get().await });
        tokio::time::sleep(Duration::from_millis(2)).await;
        let (receiver, sender) = pair::<u32>(&router);
        inner.add(&receiver).unwrap();
        sender.put(&7).await.unwrap();
        let event = waiting.await.unwrap().unwrap();
        assert!(event.source == receiver);
        assert_eq!(event.value.unwrap(), 7);
        assert!(!outer.has_sources());
    });
}

#[test]
fn s037_what_waits_in_a_select_counts_when_it_is_added() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let inner = Select::with([&receiver]).unwrap().oneshot(false);
        for number in 0..3 {
            sender.put(&number).await.unwrap();
        }
        let outer = Select::with([&inner]).unwrap().oneshot(false);
        for number in 0..3 {
            let event = outer.get_timeout(Duration::ZERO).await.unwrap();
            assert_eq!(event.value.unwrap(), number);
        }
    });
}

#[test]
fn s037_a_value_that_the_inner_one_gave_itself_is_not_given_twice() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let inner = Select::with([&receiver]).unwrap().oneshot(false);
        let outer = Select::with([&inner]).unwrap().oneshot(false);
        sender.put(&1).await.unwrap();
        sender.put(&2).await.unwrap();
        assert_eq!(inner.get().await.unwrap().value.unwrap(), 1);
        assert_eq!(outer.get().await.unwrap().value.unwrap(), 2);
        assert_timeout(outer.get_timeout(Duration::from_millis(5)).await);
    });
}

#[test]
fn s041_a_select_tells_of_its_values() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap().oneshot(false);
        sender.put(&1).await.unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let counter = told.clone();
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        select.set_notify(count).unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 1, "one waits already");
        sender.put(&2).await.unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 2);
        assert_usage(select.set_notify(|| {}));
        assert!(Select::with([&select]).is_err(), "it is told already");
        select.clear_notify();
        sender.put(&3).await.unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn b031_latches_are_sources_too() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let latch = Latch::new();
        latch.put(1).unwrap();
        let select = Select::new().oneshot(false);
        select.add(&latch).unwrap();
        select.add(&receiver).unwrap();
        assert!(select.add(&latch).is_err(), "it has an owner");
        sender.put(&2).await.unwrap();
        latch.put(3).unwrap();
        let first = select.get().await.unwrap();
        assert!(first.source == latch && first.receiver().is_none());
        assert_eq!(first.value.unwrap(), 1);
        let second = select.get().await.unwrap();
        assert_eq!(second.receiver(), Some(&receiver));
        assert_eq!(select.get().await.unwrap().value.unwrap(), 3);
        latch.close();
        let end = select.get().await.unwrap();
        assert!(end.source == latch && end.value.is_err());
        assert_eq!(select.source_count(), 1, "it can give nothing any more");
    });
}

#[test]
fn l16_selects_nest_as_deep_as_a_stack_bears_and_no_deeper() {
    let mut top = Select::<u32>::new();
    for _ in 1..64 {
        top = Select::with([&top]).unwrap();
    }
    let refused = Select::with([&top]).unwrap_err();
    assert!(matches!(refused, Error::Select(SelectError::TooDeep)));
}
