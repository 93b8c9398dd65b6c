//! Many calls at once.

use std::time::Duration;

use e2e::{Flavour, assert_nothing_held, with_router, with_router_on};
use e2e_plugin as guest;
use futures_util::future::join_all;
use offshoot::Select;

const CALLS: u64 = 10_000;

#[test]
fn s105_ten_thousand_calls_under_way_all_end_in_order() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let mut calls = Vec::new();
        for number in 0..CALLS {
            calls.push(context.call_async::<guest::add>((number, 1)).await.unwrap());
        }
        for (number, call) in calls.iter().enumerate() {
            assert_eq!(call.get().await.unwrap(), number as u64 + 1);
        }
        assert_nothing_held(&router).await;
    });
}

#[test]
fn s105_ten_thousand_calls_of_many_tasks_end() {
    with_router_on(Flavour::MultiThread, async |router| {
        let context = router.local().await.unwrap();
        let calls = (0..CALLS).map(|number| {
            let context = context.clone();
            tokio::spawn(async move { context.call::<guest::add>((number, 1)).await.unwrap() })
        });
        for (number, sum) in join_all(calls).await.into_iter().enumerate() {
            assert_eq!(sum.unwrap(), number as u64 + 1);
        }
        assert_nothing_held(&router).await;
    });
}

#[test]
fn s105_half_of_ten_thousand_calls_are_taken_back_and_leave_nothing() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        // They wait behind this one, however long it takes to make them.
        let first = context.call_async::<guest::sleep>((600_000,)).await;
        let mut calls = Vec::new();
        for number in 0..CALLS {
            calls.push(
                context
                    .call_async::<guest::remember>((number as u32,))
                    .await,
            );
        }
        let select = Select::new();
        let mut kept = 0;
        for (number, call) in calls.into_iter().enumerate() {
            // Dropping the other half cancels it.
            if number >= CALLS as usize - 100 || number % 2 == 0 && number < 200 {
                select.add(call.unwrap()).unwrap();
                kept += 1;
            }
        }
        drop(first);
        let mut longest = 0;
        for _ in 0..kept {
            let event = select.get_timeout(Duration::from_secs(60)).await.unwrap();
            longest = longest.max(event.value.unwrap().len());
        }
        assert_eq!(longest, kept, "those that were taken back did not run");
        assert_nothing_held(&router).await;
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}
