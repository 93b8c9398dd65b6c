//! `Select`: what it takes, in which order it gives, and what it refuses.

use std::time::{Duration, Instant};

use e2e::with_lone_router;
use offshoot::{Channel, Error, Receiver, Select, SelectError, Source};

use crate::{assert_closed, assert_timeout, pair};

#[track_caller]
fn assert_select<T: std::fmt::Debug>(result: Result<T, Error>, want: SelectError) {
    match result {
        Err(Error::Select(error)) => assert_eq!(error, want),
        other => panic!("{other:?} instead of {want:?}"),
    }
}

const MOMENT: Duration = Duration::from_millis(30);

#[test]
fn s020_a_select_is_made_of_receivers_channels_and_selects() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let (near, far) = Channel::<u32, u32>::pair(&router).unwrap();
        let (inner_receiver, inner_sender) = pair::<u32>(&router);
        let inner = Select::with([&inner_receiver]).unwrap();
        let sources: [Source<u32>; 3] = [(&receiver).into(), (&near).into(), inner.into()];
        let select = Select::with(sources).unwrap();
        sender.put(&1).await.unwrap();
        far.put(&2).await.unwrap();
        inner_sender.put(&3).await.unwrap();
        let mut values = Vec::new();
        while let Some(event) = select.next().await {
            values.push(event.value.unwrap());
        }
        assert_eq!(values, [1, 2, 3]);
    });
}

#[test]
fn s020_a_source_that_cannot_be_added_leaves_none_owned() {
    with_lone_router(async |router| {
        let (first, _) = pair::<u32>(&router);
        let (owned, _) = pair::<u32>(&router);
        let owner = Select::with([&owned]).unwrap();
        assert_select(Select::with([&first, &owned]), SelectError::Owned);
        Select::with([&first]).expect("it is free again");
        owner.remove(&owned).expect("it is still the owner's");
    });
}

#[test]
fn s021_a_source_goes_when_it_has_given_a_value_and_stays_if_wanted() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        sender.put(&1).await.unwrap();
        sender.put(&2).await.unwrap();
        assert_eq!(select.get().await.unwrap().value.unwrap(), 1);
        assert_eq!(select.source_count(), 0);
        assert_select(select.get().await, SelectError::NoSources);
        // It is told of nothing any more, and what else waits is still the receiver's.
        receiver.set_notify(|| {}).unwrap();
        receiver.clear_notify();

        let select = Select::with([&receiver]).unwrap().oneshot(false);
        assert_eq!(select.get().await.unwrap().value.unwrap(), 2);
        assert_eq!(select.source_count(), 1);
        sender.put(&3).await.unwrap();
        assert_eq!(select.get().await.unwrap().value.unwrap(), 3);
    });
}

#[test]
fn s022_values_come_in_the_order_in_which_they_arrived() {
    with_lone_router(async |router| {
        let pairs: Vec<_> = (0..3).map(|_| pair::<u32>(&router)).collect();
        let select = Select::with(pairs.iter().map(|(receiver, _)| receiver));
        let select = select.unwrap().oneshot(false);
        let order = [2, 0, 0, 1, 2, 1];
        for (number, &at) in order.iter().enumerate() {
            pairs[at].1.put(&(number as u32)).await.unwrap();
        }
        for (number, &at) in order.iter().enumerate() {
            let event = select.get().await.unwrap();
            assert!(event.source == pairs[at].0);
            assert_eq!(event.value.unwrap(), number as u32);
        }
    });
}

#[test]
fn s023_without_sources_it_is_an_error_even_with_a_timeout() {
    with_lone_router(async |_| {
        let select = Select::<u32>::new();
        assert_select(select.get().await, SelectError::NoSources);
        assert_select(select.get_timeout(MOMENT).await, SelectError::NoSources);
        assert_select(
            select.get_timeout(Duration::ZERO).await,
            SelectError::NoSources,
        );
        assert_select(select.try_get(), SelectError::NoSources);
    });
}

#[test]
fn s023_no_time_is_a_look_and_some_time_is_the_time_for_all() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap().oneshot(false);
        let began = Instant::now();
        assert_timeout(select.get_timeout(Duration::ZERO).await);
        assert!(began.elapsed() < MOMENT);
        sender.put(&1).await.unwrap();
        let now = select.get_timeout(Duration::ZERO).await.unwrap();
        assert_eq!(now.value.unwrap(), 1);
        // Wake-ups for what others take do not begin the time anew.
        let thief = async {
            for number in 0..100 {
                sender.put(&number).await.unwrap();
                receiver.get().await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let began = Instant::now();
        let waited = async {
            let mut seen = 0;
            while select.get_timeout(MOMENT).await.is_ok() {
                seen += 1;
            }
            (seen, began.elapsed())
        };
        let ((), (seen, _)) = tokio::join!(thief, waited);
        assert!(seen < 100, "the other one got some");
    });
}

#[test]
fn s023_a_value_that_another_took_is_waited_for_silently() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        sender.put(&1).await.unwrap();
        assert!(!select.is_empty());
        assert_eq!(receiver.get().await.unwrap(), 1);
        let began = Instant::now();
        assert_timeout(select.get_timeout(MOMENT).await);
        assert!(began.elapsed() >= MOMENT);
        sender.put(&2).await.unwrap();
        assert_eq!(select.get().await.unwrap().value.unwrap(), 2);
    });
}

#[test]
fn s023_the_last_value_that_another_took_leaves_nothing_to_wait_for() {
    with_lone_router(async |router| {
        let once = offshoot::ListenOptions::new().persist(false);
        let receiver: Receiver<u32> = router.receiver_with(once).unwrap();
        let select = Select::with([&receiver]).unwrap();
        receiver.to_sender().put(&1).await.unwrap();
        assert_eq!(receiver.get().await.unwrap(), 1);
        assert!(select.next().await.is_none(), "and no wait without end");
        assert!(!select.has_sources());
        // Added as it is, it says why there is nothing.
        select.add(&receiver).unwrap();
        assert_closed(select.get().await.unwrap().value);
        assert!(!select.has_sources());
    });
}

#[test]
fn s024_all_values_that_wait_when_a_receiver_is_added_come_out() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        for number in 0..5 {
            sender.put(&number).await.unwrap();
        }
        let select = Select::new().oneshot(false);
        select.add(&receiver).unwrap();
        for number in 0..5 {
            assert_eq!(select.get().await.unwrap().value.unwrap(), number);
        }
        assert_timeout(select.get_timeout(Duration::ZERO).await);
    });
}

#[test]
fn s025_having_sources_is_not_having_values() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let select = Select::new();
        assert!(!select.has_sources());
        select.add(&receiver).unwrap();
        assert!(select.has_sources());
        assert!(select.is_empty(), "it has nothing to give");
    });
}

#[test]
fn s028_whether_it_would_wait_may_be_wrong_and_get_bears_that() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap().oneshot(false);
        assert!(select.is_empty());
        sender.put(&1).await.unwrap();
        assert!(!select.is_empty());
        receiver.get().await.unwrap();
        // It still thinks that there is something.
        assert!(!select.is_empty());
        assert!(select.try_get().unwrap().is_none());
        assert!(select.is_empty());
    });
}

#[test]
fn s031_no_message_is_lost_or_doubled_between_adding_and_looking() {
    with_lone_router(async |router| {
        for _ in 0..200 {
            let (receiver, sender) = pair::<u32>(&router);
            let select = Select::new().oneshot(false);
            let put = tokio::spawn(async move {
                for number in 0..20 {
                    sender.put(&number).await.unwrap();
                }
            });
            tokio::task::yield_now().await;
            select.add(&receiver).unwrap();
            for number in 0..20 {
                let event = select.get_timeout(Duration::from_secs(5)).await.unwrap();
                assert_eq!(event.value.unwrap(), number);
            }
            assert!(select.try_get().unwrap().is_none());
            put.await.unwrap();
        }
    });
}

#[test]
fn s032_a_source_has_one_owner_and_is_there_once() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        let other = Select::new();
        assert_select(select.add(&receiver), SelectError::Owned);
        assert_select(other.add(&receiver), SelectError::Owned);
        assert_eq!((select.source_count(), other.source_count()), (1, 0));
        let outer = Select::with([&select]).unwrap();
        assert_select(outer.add(&select), SelectError::Owned);
        assert_select(other.add(&select), SelectError::Owned);
        assert_eq!((outer.source_count(), other.source_count()), (1, 0));
        sender.put(&1).await.unwrap();
        assert_eq!(outer.next().await.unwrap().value.unwrap(), 1);
        assert!(outer.next().await.is_none(), "no stale duplicate is left");
    });
}

#[test]
fn s033_a_select_cannot_wait_for_itself() {
    with_lone_router(async |_| {
        let [a, b, c] = [Select::<u32>::new(), Select::new(), Select::new()];
        assert_select(a.add(&a), SelectError::Cycle);
        a.add(&b).unwrap();
        b.add(&c).unwrap();
        assert_select(c.add(&a), SelectError::Cycle);
        assert_select(b.add(&a), SelectError::Cycle);
        assert_eq!(
            (a.source_count(), b.source_count(), c.source_count()),
            (1, 1, 0)
        );
    });
}

#[test]
fn s033_two_threads_cannot_close_a_cycle_together() {
    for _ in 0..200 {
        let [a, b] = [Select::<u32>::new(), Select::new()];
        let [theirs, mine] = [(b.clone(), a.clone()), (a.clone(), b.clone())];
        let thread = std::thread::spawn(move || theirs.0.add(&theirs.1).is_ok());
        let added = mine.0.add(&mine.1).is_ok();
        assert!(added != thread.join().unwrap(), "exactly one of them");
        a.close();
        b.close();
    }
}

#[test]
fn s042_errors_say_what_is_wrong() {
    let texts = [
        (
            SelectError::NoSources,
            "cannot get(), Select instance is empty",
        ),
        (
            SelectError::Owned,
            "cannot add: Receiver is already owned by another Select",
        ),
        (
            SelectError::Cycle,
            "adding this Select instance would create a Select cycle",
        ),
        (
            SelectError::NotMember,
            "instance is not a member of this Select",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(Error::from(error).to_string(), text);
    }
}
