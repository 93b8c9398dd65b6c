//! Children that lie while they are made, and parents that lie about those that they make.

use std::sync::{Arc, Mutex};

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::{ConnectError, Error};

use crate::{disguise, start};

fn start_error(attack: &str) -> String {
    with_router(async |router| {
        let disguise = disguise(attack);
        let sibling = router.local().await.unwrap();
        let error = start(&router, None, Some(&disguise)).await.unwrap_err();
        assert!(
            matches!(error, Error::Connect(ConnectError::Handshake { .. })),
            "{error:?}"
        );
        assert_eq!(sibling.call::<guest::add>((1, 2)).await.unwrap(), 3);
        error.to_string()
    })
}

#[test]
fn a_hello_that_is_none_is_refused() {
    let error = start_error("a letter in place of its hello");
    assert!(error.contains("it did not say what it can run"), "{error}");
    let error = start_error("ends inside its hello");
    assert!(error.contains("exited with return code 0"), "{error}");
}

#[test]
fn a_hello_may_come_byte_by_byte() {
    with_router(async |router| {
        let disguise = disguise("byte by byte");
        start(&router, None, Some(&disguise)).await.unwrap();
    });
}

#[test]
fn an_absurd_hello_makes_a_context_that_runs_nothing() {
    with_router(async |router| {
        let sibling = router.local().await.unwrap();
        let disguise = disguise("an absurd hello");
        let evil = start(&router, None, Some(&disguise)).await.unwrap();
        let error = evil
            .call::<guest::add>((1, 2))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is not a target that this build compiles for"),
            "{error}"
        );
        assert!(error.len() < 500, "{} bytes", error.len());
        assert!(!error.contains('\x1b'), "{error:?}");
        assert_eq!(sibling.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn a_parent_cannot_choose_what_its_child_is_called() {
    with_router(async |router| {
        let sibling = router.local().name("sibling").await.unwrap();
        for name in [None, Some("mine")] {
            let disguise = disguise("another name");
            let evil = start(&router, None, Some(&disguise)).await.unwrap();
            let mut below = router.local().via(&evil);
            if let Some(name) = name {
                below = below.name(name);
            }
            let error = below.await.unwrap_err().to_string();
            assert!(
                error.contains("calls the new context another name"),
                "{error}"
            );
        }
        assert_eq!(sibling.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn progress_without_end_ends_the_connection_and_commands_no_terminal() {
    with_router(async |router| {
        let disguise = disguise("progress without end");
        let evil = start(&router, None, Some(&disguise)).await.unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let below = router.local().via(&evil).on_progress({
            let events = events.clone();
            move |event| events.lock().unwrap().push(event.to_string())
        });
        let error = below.await.unwrap_err().to_string();
        assert!(error.contains("reported more than 100 events"), "{error}");
        let events = events.lock().unwrap();
        assert_eq!(events.len(), 101);
        assert!(events.iter().all(|event| event == "resolved [2Jweb1 web2"));
    });
}

#[test]
fn t11_why_a_parent_made_no_child_is_short_and_commands_no_terminal() {
    with_router(async |router| {
        let disguise = disguise("a failure in colour");
        let evil = start(&router, None, Some(&disguise)).await.unwrap();
        let error = router.local().via(&evil).await.unwrap_err().to_string();
        assert!(
            error.starts_with("error occurred in evil: [31mno"),
            "{error:?}"
        );
        assert!(error.len() < 10_000, "{} bytes", error.len());
    });
}
