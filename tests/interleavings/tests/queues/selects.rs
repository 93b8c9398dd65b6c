//! `Select`.

use super::{block_on, in_every_schedule, spawn};
use interleavings::error::{Error, SelectError};
use interleavings::latch::Latch;
use interleavings::messages::Receiver;
use interleavings::select::Select;

/// Starts a thread that waits for one value.
fn consumer(select: &Select<u64>) -> shuttle::thread::JoinHandle<Result<u64, Error>> {
    let select = select.clone();
    spawn(move || block_on(select.get()).and_then(|event| event.value))
}

/// Waits for all, and gives what they got, sorted, those with an error first.
fn outcomes(consumers: Vec<shuttle::thread::JoinHandle<Result<u64, Error>>>) -> Vec<Option<u64>> {
    let mut outcomes: Vec<Option<u64>> = consumers
        .into_iter()
        .map(|consumer| match consumer.join().unwrap() {
            Ok(value) => Some(value),
            Err(error) => {
                assert_eq!(error, SelectError::NoSources.into());
                None
            }
        })
        .collect();
    outcomes.sort_unstable();
    outcomes
}

#[test]
fn l1_each_of_two_consumers_ends_with_a_value_or_without_sources() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let select = Select::with([&receiver]).unwrap();
        let consumers = vec![consumer(&select), consumer(&select)];
        receiver.put(1, None);
        assert_eq!(outcomes(consumers), [None, Some(1)]);
    });
}

#[test]
fn l1_a_source_that_another_exhausts_ends_the_wait() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let select = Select::with([&receiver]).unwrap().oneshot(false);
        let consumers = vec![consumer(&select), consumer(&select)];
        let direct = receiver.clone();
        let direct = spawn(move || direct.try_get().is_some_and(|value| value.is_ok()));
        receiver.put(1, Some("the last"));
        let taken = direct.join().unwrap();
        let want = if taken { [None, None] } else { [None, Some(1)] };
        assert_eq!(outcomes(consumers), want);
    });
}

#[test]
fn two_values_of_two_sources_reach_two_consumers() {
    in_every_schedule(|| {
        let (one, latch) = (Receiver::listen(), Latch::new());
        let select = Select::new();
        select.add(&one).unwrap();
        select.add(&latch).unwrap();
        let consumers = vec![consumer(&select), consumer(&select)];
        let putter = spawn(move || latch.put(2).unwrap());
        one.put(1, None);
        assert_eq!(outcomes(consumers), [Some(1), Some(2)]);
        putter.join().unwrap();
        assert!(!select.has_sources());
    });
}

#[test]
fn removing_the_last_source_ends_the_wait() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let select = Select::with([&receiver]).unwrap();
        let consumers = vec![consumer(&select), consumer(&select)];
        select.remove(&receiver).unwrap();
        assert_eq!(outcomes(consumers), [None, None]);
    });
}

#[test]
fn closing_ends_every_wait() {
    in_every_schedule(|| {
        let receiver = Receiver::<u64>::listen();
        let select = Select::with([&receiver]).unwrap();
        let waiting = select.clone();
        let waiting = spawn(move || block_on(waiting.get()).is_err());
        select.close();
        assert!(waiting.join().unwrap());
        receiver.put(1, None);
    });
}

#[test]
fn values_that_come_while_a_source_is_added_are_seen_once() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let putting = receiver.clone();
        let putting = spawn(move || {
            putting.put(1, None);
            putting.put(2, None);
        });
        let select = Select::new().oneshot(false);
        select.add(&receiver).unwrap();
        let get = || block_on(select.get()).unwrap().value.unwrap();
        assert_eq!([get(), get()], [1, 2]);
        putting.join().unwrap();
        assert!(select.try_get().unwrap().is_none());
    });
}

#[test]
fn a_source_that_is_dropped_while_a_value_comes_leaves_nothing() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let select = Select::with([&receiver]).unwrap();
        let putting = receiver.clone();
        let putting = spawn(move || putting.put(1, None));
        drop(select);
        putting.join().unwrap();
        let other = Select::with([&receiver]).expect("it is free again");
        assert_eq!(block_on(other.get()).unwrap().value.unwrap(), 1);
    });
}

#[test]
fn l15_a_select_in_another_ends_the_wait_as_its_sources_would() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let inner = Select::with([&receiver]).unwrap();
        let outer = Select::with([&inner]).unwrap();
        let consumers = vec![consumer(&outer), consumer(&inner)];
        receiver.put(1, None);
        assert_eq!(outcomes(consumers), [None, Some(1)]);
    });
}

#[test]
fn l15_a_select_in_another_that_is_closed_ends_the_wait() {
    in_every_schedule(|| {
        let receiver = Receiver::listen();
        let inner = Select::with([&receiver]).unwrap();
        let outer = Select::with([&inner]).unwrap();
        let consumers = vec![consumer(&outer)];
        inner.close();
        assert_eq!(outcomes(consumers), [None]);
    });
}
