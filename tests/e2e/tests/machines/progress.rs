//! What is reported on the way to a context.

use std::sync::{Arc, Mutex};

use e2e::with_router;
use offshoot::ConnectEvent;

use crate::world::{Door, is_empty, no_litter, start, with_bob, works};

/// The events of one connection.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<ConnectEvent>>>);

impl Events {
    pub(crate) fn callback(&self) -> impl Fn(ConnectEvent) + Send + Sync + use<> {
        let events = self.clone();
        move |event| events.0.lock().unwrap().push(event)
    }

    /// Their names in order, with an upload as one that begins with no byte and ends with all.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let events = self.0.lock().unwrap();
        let mut names = Vec::new();
        let mut uploaded = None;
        for event in events.iter() {
            names.push(match event {
                ConnectEvent::Resolved { .. } => "resolved",
                ConnectEvent::Connected { .. } => "connected",
                ConnectEvent::HostKeyTrusted { .. } => "trusted",
                ConnectEvent::Authenticated => "authenticated",
                ConnectEvent::Probing => "probing",
                ConnectEvent::Uploading {
                    directory,
                    sent,
                    total,
                } => {
                    assert!(directory.starts_with('/'), "{directory}");
                    let before = uploaded.replace((*sent, *total));
                    let is_next = |(before, all)| before < *sent && all == *total;
                    assert!(before.map_or(*sent == 0, is_next), "{events:?}");
                    "uploading"
                }
                ConnectEvent::Started => "started",
                ConnectEvent::Hello => "hello",
                other => panic!("{other:?}"),
            });
        }
        assert!(uploaded.is_none_or(|(sent, total)| sent == total));
        names.dedup();
        names
    }
}

/// What our own client reports, and a program does not.
pub(crate) const SESSION: [&str; 3] = ["resolved", "connected", "trusted"];
pub(crate) const COLD: [&str; 5] = ["authenticated", "probing", "uploading", "started", "hello"];
const WARM: [&str; 4] = ["authenticated", "probing", "started", "hello"];

#[test]
fn the_events_of_a_machine_come_in_order_whether_the_child_is_there_or_not() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    with_router(async |router| {
        for rest in [&COLD[..], &WARM[..]] {
            let events = Events::default();
            let bob = door.ssh(&router, "bob").on_progress(events.callback());
            works(&bob.await.unwrap()).await;
            assert_eq!(events.names(), [&SESSION[..], rest].concat());
        }
        let events = Events::default();
        let bob = door.ssh(&router, "bob").ssh_path("ssh");
        works(&bob.on_progress(events.callback()).await.unwrap()).await;
        assert_eq!(events.names(), WARM, "a program reports no more");
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn the_events_of_contexts_behind_a_machine_come_in_order() {
    let machine = start(&with_bob().sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL"));
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        for want in [&COLD[..], &WARM[..]] {
            let events = Events::default();
            let root = router.sudo().via(&bob).on_progress(events.callback());
            works(&root.await.unwrap()).await;
            assert_eq!(events.names(), want);
        }
        // One more hop, whose events come through another context.
        let below = router.local().via(&bob).await.unwrap();
        let events = Events::default();
        let last = router.local().via(&below).on_progress(events.callback());
        works(&last.await.unwrap()).await;
        assert_eq!(events.names(), ["started", "hello"]);
        // A context that cannot be made has come so far.
        let events = Events::default();
        let nobody = router.su().username("no-such-user").via(&bob);
        assert!(nobody.on_progress(events.callback()).await.is_err());
        assert_eq!(events.names(), [""; 0]);
    });
    is_empty(&machine);
    no_litter(&machine);
}
