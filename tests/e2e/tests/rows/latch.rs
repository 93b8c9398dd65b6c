//! `Latch`.

use std::time::Duration;

use e2e::with_lone_router;
use offshoot::{Error, Latch, LatchError};

use crate::assert_timeout;

#[track_caller]
fn assert_latch_closed<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::Latch(LatchError { .. }))),
        "{result:?}"
    );
}

#[test]
fn b032_values_come_in_order_and_waits_end_in_time() {
    with_lone_router(async |_| {
        let latch = Latch::new();
        assert_timeout(latch.get_timeout(Duration::ZERO).await);
        assert_timeout(latch.get_timeout(Duration::from_millis(5)).await);
        latch.put(1).unwrap();
        latch.put(2).unwrap();
        assert_eq!(latch.len(), 2);
        assert_eq!(latch.get().await.unwrap(), 1);
        assert_eq!(latch.get_timeout(Duration::ZERO).await.unwrap(), 2);
        assert!(latch.try_get().is_none() && latch.is_empty());
    });
}

#[test]
fn b032_a_closed_latch_ends_for_everyone_even_with_values_left() {
    with_lone_router(async |_| {
        let latch = Latch::new();
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let latch: Latch<u32> = latch.clone();
                tokio::spawn(async move { latch.get().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        latch.close();
        latch.close();
        for waiting in waiting {
            assert_latch_closed(waiting.await.unwrap());
        }
        let full = Latch::new();
        full.put(1).unwrap();
        full.close();
        assert_latch_closed(full.get().await);
        assert_latch_closed(full.get_timeout(Duration::ZERO).await);
        assert_latch_closed(full.put(2));
        assert!(full.is_closed());
    });
}

#[test]
fn b032_any_thread_can_wait_and_each_value_goes_to_one() {
    let latch = Latch::new();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let latch: Latch<u32> = latch.clone();
            std::thread::spawn(move || match number % 2 {
                0 => latch.get_blocking(),
                _ => latch.get_blocking_timeout(Duration::from_secs(60)),
            })
        })
        .collect();
    for number in 0..4 {
        latch.put(number).unwrap();
    }
    let mut values: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap().unwrap())
        .collect();
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2, 3]);
    assert_timeout(latch.get_blocking_timeout(Duration::from_millis(5)));
}

#[test]
fn b032_a_wait_that_is_given_up_takes_nothing() {
    with_lone_router(async |_| {
        let latch = Latch::new();
        for number in 0..50 {
            let given_up = {
                let latch: Latch<u32> = latch.clone();
                tokio::spawn(async move { latch.get().await })
            };
            tokio::task::yield_now().await;
            given_up.abort();
            let _ = given_up.await;
            latch.put(number).unwrap();
            assert_eq!(latch.get().await.unwrap(), number);
        }
    });
}
