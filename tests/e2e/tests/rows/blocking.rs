//! Programs without a runtime of their own, and waiting where one must not.

use std::time::{Duration, Instant};

use e2e::with_lone_router;
use offshoot::{Broker, Router, Select, block_on};

use crate::{assert_timeout, assert_usage, pair};

#[test]
fn a_plain_thread_gets_a_broker_and_all_that_waits_ends_in_time() {
    let _alone = e2e::alone();
    let router = Router::new().unwrap();
    let (receiver, sender) = pair::<u32>(&router);
    let select = Select::with([&receiver]).unwrap().oneshot(false);
    let short = Duration::from_millis(10);
    let began = Instant::now();
    assert_timeout(receiver.get_blocking_timeout(short));
    assert_timeout(receiver.get_blocking_timeout(Duration::ZERO));
    assert_timeout(select.get_blocking_timeout(short));
    assert_timeout(block_on(receiver.get_timeout(short)).unwrap());
    assert_timeout(block_on(select.get_timeout(short)).unwrap());
    assert!(began.elapsed() >= 4 * short && began.elapsed() < Duration::from_secs(5));
    sender.put_blocking(&1).unwrap();
    let event = select.get_blocking_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(event.value.unwrap(), 1);
    router.shutdown_blocking().unwrap();
    router.shutdown_blocking().expect("once more is no more");
}

#[test]
fn timers_run_although_the_broker_that_was_made_last_has_ended() {
    let _alone = e2e::alone();
    let first = Broker::new().unwrap();
    let second = Broker::new().unwrap();
    second.shutdown();
    second.join();
    block_on(async { tokio::time::sleep(Duration::from_millis(1)).await }).unwrap();
    first.shutdown();
}

#[test]
fn a_receiver_of_another_threads_runtime_can_be_waited_for_in_a_plain_one() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let theirs = receiver.clone();
        let thread = std::thread::spawn(move || {
            let value = theirs.get_blocking();
            let none = theirs.get_blocking_timeout(Duration::from_millis(5));
            (value, none)
        });
        sender.put(&1).await.unwrap();
        while !thread.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (value, none) = thread.join().unwrap();
        assert_eq!(value.unwrap(), 1);
        assert_timeout(none);
    });
}

#[test]
fn waiting_in_a_runtime_is_an_error_and_no_deadlock() {
    with_lone_router(async |router| {
        let (receiver, sender) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        assert_usage(block_on(async {}));
        assert_usage(receiver.get_blocking());
        assert_usage(receiver.get_blocking_timeout(Duration::from_millis(1)));
        assert_usage(sender.put_blocking(&1));
        assert_usage(select.get_blocking());
        assert_usage(router.shutdown_blocking());
        let error = receiver.get_blocking().unwrap_err().to_string();
        assert!(error.contains("await it"), "{error}");
    });
}

#[test]
fn a_router_that_is_dropped_in_the_brokers_own_thread_is_no_deadlock() {
    let _alone = e2e::alone();
    let before = e2e::Leftovers::now();
    let router = Router::new().unwrap();
    let broker = Broker::new().unwrap();
    let other = Router::builder().broker(&broker).build().unwrap();
    broker.defer(move || drop((router, other)));
    broker.defer_sync(|| ()).unwrap();
    broker.shutdown();
    broker.join();
    drop(broker);
    before.assert_nothing_new();
}
