//! `Broker`: its thread, what it runs, and how it ends.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Leftovers, alone, plugin};
use e2e_plugin as guest;
use offshoot::{Broker, Handler, Router, block_on};

use crate::{assert_closed, assert_usage};

/// Names of the threads of this process.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
    names.flatten().map(|name| name.trim().to_owned()).collect()
}

#[test]
fn s140_a_broker_is_one_thread_from_its_making_to_its_end() {
    let _alone = alone();
    let brokers = || {
        threads()
            .iter()
            .filter(|name| *name == "offshoot-broker")
            .count()
    };
    let before = Leftovers::now();
    let broker = Broker::new().unwrap();
    let began = Instant::now();
    while brokers() != 1 {
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    let clone = broker.clone();
    drop(broker);
    assert_eq!(brokers(), 1, "a clone is the same one");
    clone.shutdown();
    clone.join();
    drop(clone);
    while brokers() != 0 {
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // Dropping the last clone ends it as well.
    drop(Broker::new().unwrap());
    while brokers() != 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    before.assert_nothing_new();
}

#[test]
fn s140_two_routers_can_share_one_broker_and_plain_threads_call() {
    let _alone = alone();
    let plugin = plugin();
    let broker = Broker::new().unwrap();
    let routers: Vec<Router> = (0..2)
        .map(|_| Router::builder().broker(&broker).build().unwrap())
        .collect();
    let before = Leftovers::now();
    assert!(!broker.keep_alive());
    for router in &routers {
        router.add_plugin(plugin.clone());
    }
    let contexts: Vec<_> = routers
        .iter()
        .map(|router| block_on(router.local().into_future()).unwrap().unwrap())
        .collect();
    assert!(broker.keep_alive());
    let threads: Vec<_> = (0..4_u64)
        .map(|number| {
            let context = contexts[number as usize % 2].clone();
            thread::spawn(move || {
                for round in 0..50 {
                    let sum = context.call_blocking::<guest::add>((number, round));
                    assert_eq!(sum.unwrap(), number + round);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    broker.shutdown();
    broker.join();
    assert!(!broker.keep_alive());
    assert!(contexts[0].call_blocking::<guest::add>((1, 1)).is_err());
    drop((contexts, routers));
    before.assert_nothing_new();
}

#[test]
fn s141_the_grace_of_a_shutdown_can_be_told_and_changed() {
    let _alone = alone();
    let broker = Broker::new().unwrap();
    assert_eq!(broker.shutdown_timeout(), Duration::from_secs(5));
    broker.set_shutdown_timeout(Duration::from_millis(100));
    assert_eq!(broker.shutdown_timeout(), Duration::from_millis(100));
}

#[test]
fn s144_shutting_down_is_for_any_thread_and_any_number_of_times() {
    let _alone = alone();
    let broker = Broker::new().unwrap();
    let router = Router::builder().broker(&broker).build().unwrap();
    let receiver = router.receiver::<u32>().unwrap();
    let waits = thread::spawn(move || receiver.get_blocking());
    thread::sleep(Duration::from_millis(10));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let broker = broker.clone();
            thread::spawn(move || {
                broker.shutdown();
                broker.join();
            })
        })
        .collect();
    // Also its own.
    let own = broker.clone();
    broker.defer(move || {
        own.shutdown();
        own.join();
    });
    for thread in threads {
        thread.join().unwrap();
    }
    broker.join();
    broker.shutdown();
    broker.join();
    assert_closed(waits.join().unwrap());
    assert!(
        router.receiver::<u32>().is_err(),
        "it was shut down with it"
    );
    assert!(block_on(router.local().into_future()).unwrap().is_err());
}

#[test]
fn s146_deferred_functions_run_in_order_in_the_brokers_thread() {
    let _alone = alone();
    let broker = Broker::new().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..100 {
        let (order, own) = (order.clone(), broker.clone());
        broker.defer(move || {
            order.lock().unwrap().push(2 * number);
            let log = order.clone();
            // Here it runs at once.
            own.defer(move || log.lock().unwrap().push(2 * number + 1));
        });
    }
    let name = broker.defer_sync(|| thread::current().name().map(str::to_owned));
    assert_eq!(name.unwrap().as_deref(), Some("offshoot-broker"));
    assert!(order.lock().unwrap().iter().copied().eq(0..200));
    let own = broker.clone();
    let nested = broker.defer_sync(move || own.defer_sync(|| 7).unwrap());
    assert_eq!(nested.unwrap(), 7, "it does not wait for itself");
}

#[test]
fn s146_a_deferred_function_that_panics_ends_the_broker() {
    let _alone = alone();
    let broker = Broker::new().unwrap();
    broker.defer(|| panic!("on purpose"));
    broker.join();
    assert_usage(broker.defer_sync(|| 1));
    broker.defer(|| unreachable!("nobody runs it"));
}

#[test]
fn b050_defer_sync_gives_what_the_function_gives() {
    let _alone = alone();
    let broker = Broker::new().unwrap();
    assert_eq!(broker.defer_sync(|| "value".to_owned()).unwrap(), "value");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { assert_usage(broker.defer_sync(|| 1)) });
}

#[test]
fn b050_a_handler_hears_of_the_shutdown() {
    let _alone = alone();
    let broker = Broker::new().unwrap();
    let router = Router::builder().broker(&broker).build().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    let handler = Handler::new(move |message| {
        log.lock()
            .unwrap()
            .extend(message.reason().map(str::to_owned));
    });
    router.add_handler(handler).unwrap();
    broker.shutdown();
    broker.join();
    assert_eq!(*heard.lock().unwrap(), ["the router was shut down"]);
}
