//! What an instance leaves in its own tables.

use std::task::Waker;

use offshoot_proto::Node;
use offshoot_proto::control::PluginLimits;

use super::*;
use crate::context;

/// Runs `test` with the driver of a context, and an instance's view of it.
fn with_instance(test: impl AsyncFnOnce(&Arc<Driver>, &Shared, &dyn PluginRouter)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let handle = tokio::runtime::Handle::current();
        let driver = context::start(Node::controller(1), 0, Some(handle));
        let shared = Arc::new(Shared {
            driver: driver.weak(),
            bind: bind("own"),
            number: 1,
            state: Mutex::default(),
            arrivals: Arc::default(),
        });
        let router = InstanceRouter {
            shared: shared.clone(),
        };
        test(&driver, &shared, &router).await;
        driver.close().await;
    });
}

fn bind(plugin: &str) -> Arc<Bind> {
    Arc::new(Bind {
        key: [1; 16],
        plugin: plugin.to_owned(),
        image: [2; 32],
        grants: Vec::new(),
        limits: PluginLimits::default(),
    })
}

async fn listen(shared: &Shared, driver: &Arc<Driver>) -> u64 {
    let listen = Request::Listen(router::Listen {
        handle: None,
        persist: true,
        respondent: None,
    });
    match shared.answer(driver, listen).await {
        Ok(Response::Receiver { handle }) => handle,
        other => panic!("{other:?}"),
    }
}

#[test]
fn l3_an_instance_sends_to_any_number_of_receivers_one_after_the_other() {
    with_instance(async |_, shared, router| {
        let mut cx = Context::from_waker(Waker::noop());
        for handle in 1000..1000 + (1 << 16) + 1 {
            let sent = router.poll_send(&mut cx, 0, handle, b"x");
            assert!(matches!(sent, Poll::Ready(Ok(()))), "{handle}: {sent:?}");
        }
        assert!(lock(&shared.state).streams.len() <= STREAMS_OPEN_MAX);
    });
}

#[test]
fn l3_a_sender_that_says_that_it_is_done_leaves_nothing() {
    with_instance(async |driver, shared, router| {
        let handle = listen(shared, driver).await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(router.poll_send(&mut cx, 0, handle, b"x").is_ready());
        assert_eq!(lock(&shared.state).streams.len(), 1);
        let done = Request::SendDead { context: 0, handle };
        shared.answer(driver, done).await.unwrap();
        assert_eq!(lock(&shared.state).streams.len(), 0);
    });
}

#[test]
fn l4_a_receiver_that_is_closed_with_messages_in_it_leaves_nothing() {
    with_instance(async |driver, shared, _| {
        let handle = listen(shared, driver).await;
        for _ in 0..3 {
            let body = Content::Data(Bytes::from_static(b"x"));
            shared.post(driver, 0, handle, 0, body).unwrap();
        }
        let queued = || shared.arrivals.order().receivers.len();
        assert_eq!(queued(), 3);
        let close = Request::Close { receiver: handle };
        shared.answer(driver, close).await.unwrap();
        assert_eq!(queued(), 0);
    });
}

#[test]
fn x9_the_name_of_an_instances_own_plugin_stands_for_what_it_runs_with() {
    with_instance(async |driver, shared, _| {
        let found = shared.bind_of(driver, "own").unwrap();
        assert!(Arc::ptr_eq(&found, &shared.bind));
        let missing = shared.bind_of(driver, "other");
        assert!(
            matches!(missing, Err(RequestError::Plugin(_))),
            "{missing:?}"
        );
    });
}
