//! `Select`: iterating, gathering, and handing out work.

use std::collections::BTreeSet;

use e2e::{with_lone_router, with_router};
use e2e_plugin as guest;
use futures_util::{StreamExt, pin_mut};
use offshoot::{Receiver, Select};

use crate::pair;

#[test]
fn s029_iterating_ends_when_no_source_is_left() {
    with_lone_router(async |router| {
        assert!(Select::<u32>::new().next().await.is_none());
        let pairs: Vec<_> = (0..4).map(|_| pair::<u32>(&router)).collect();
        let select = Select::with(pairs.iter().map(|(receiver, _)| receiver)).unwrap();
        for (number, (_, sender)) in pairs.iter().enumerate() {
            sender.put(&(number as u32)).await.unwrap();
        }
        let values = select.stream().map(|event| event.value.unwrap());
        assert_eq!(values.collect::<Vec<_>>().await, [0, 1, 2, 3]);
    });
}

#[test]
fn s029_sources_that_stay_are_taken_out_by_the_consumer() {
    with_lone_router(async |router| {
        let pairs: Vec<_> = (0..3).map(|_| pair::<Option<u32>>(&router)).collect();
        let select = Select::with(pairs.iter().map(|(receiver, _)| receiver));
        let select = select.unwrap().oneshot(false);
        for (_, sender) in &pairs {
            sender.put(&Some(1)).await.unwrap();
            sender.put(&None).await.unwrap();
        }
        let mut sum = 0;
        while let Some(event) = select.next().await {
            match event.value.unwrap() {
                Some(value) => sum += value,
                None => select.remove(&event.source).unwrap(),
            }
        }
        assert_eq!(sum, 3);
    });
}

#[test]
fn s029_a_plain_thread_iterates_with_for() {
    let router = offshoot::Router::new().unwrap();
    let pairs: Vec<_> = (0..4).map(|_| pair::<u32>(&router)).collect();
    let select = Select::with(pairs.iter().map(|(receiver, _)| receiver)).unwrap();
    for (number, (_, sender)) in pairs.iter().enumerate() {
        sender.put_blocking(&(number as u32)).unwrap();
    }
    let mut values = Vec::new();
    for event in &select {
        values.push(event.unwrap().value.unwrap());
    }
    assert_eq!(values, [0, 1, 2, 3]);
    router.shutdown_blocking().unwrap();
}

#[test]
fn s029_iterating_in_a_runtime_is_an_error_and_not_the_end() {
    with_lone_router(async |router| {
        let (receiver, _) = pair::<u32>(&router);
        let select = Select::with([&receiver]).unwrap();
        let items: Vec<_> = select.iter().collect();
        assert_eq!(items.len(), 1);
        assert!(matches!(items[0], Err(offshoot::Error::Usage(_))));
        let items: Vec<_> = receiver.iter().collect();
        assert_eq!(items.len(), 1);
        assert!(matches!(items[0], Err(offshoot::Error::Usage(_))));
    });
}

#[test]
fn s030_a_scheduler_hands_out_work_as_results_come() {
    with_router(async |router| {
        let contexts = [router.local().await.unwrap(), router.local().await.unwrap()];
        let mut jobs = (0..40_u64).collect::<Vec<_>>();
        let select: Select<u64> = Select::new().oneshot(false);
        let mut sums = BTreeSet::new();
        for context in &contexts {
            let job = jobs.pop().unwrap();
            select
                .add(context.call_async::<guest::add>((job, 1000)).await.unwrap())
                .unwrap();
        }
        while let Some(event) = select.next().await {
            let mut events = vec![event];
            events.extend(select.drain());
            for event in events {
                let context = event.context().unwrap().clone();
                sums.insert(event.value.unwrap());
                if let Some(job) = jobs.pop() {
                    let call = context.call_async::<guest::add>((job, 1000));
                    select.add(call.await.unwrap()).unwrap();
                }
            }
            // What can give no more is out by itself, although sources stay here.
            assert!(select.source_count() <= contexts.len());
        }
        assert_eq!(sums, (1000..1040).collect());
    });
}

#[test]
fn b031_all_gathers_values_or_gives_the_first_error() {
    with_lone_router(async |router| {
        let pairs: Vec<_> = (0..3).map(|_| pair::<u32>(&router)).collect();
        for (number, (_, sender)) in pairs.iter().enumerate().rev() {
            sender.put(&(number as u32)).await.unwrap();
        }
        let receivers = pairs.iter().map(|(receiver, _)| receiver);
        assert_eq!(Select::all(receivers).await.unwrap(), [0, 1, 2]);
        assert!(
            Select::<u32>::all([] as [Receiver<u32>; 0])
                .await
                .unwrap()
                .is_empty()
        );
        let receivers = pairs.iter().map(|(receiver, _)| receiver);
        let all = Select::all(receivers);
        pin_mut!(all);
        pairs[0].1.put(&1).await.unwrap();
        pairs[1].0.close();
        assert!(all.await.is_err());
        Select::with(pairs.iter().map(|(receiver, _)| receiver)).expect("all are free again");
    });
}
