//! Peers that stop, and networks that drop everything: both ends notice in time.

use std::time::{Duration, Instant};

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::{Context, Error};
use offshoot_bed::{Machine, Weather};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Client, Door, is_empty, over_both, start, with_bob, works};

/// How long silence may last in tests that need not wait for longer.
const SHORT: Duration = Duration::from_secs(2);

/// How long that may take to be noticed on a busy machine.
const NOTICED: Duration = Duration::from_secs(20);

/// Waits for a call that cannot come back, and gives the reason.
async fn lost(context: &Context) -> String {
    let call = context.call::<guest::sleep>((120_000,));
    let ended = tokio::time::timeout(NOTICED + NOTICED, call).await;
    match ended.expect("it is noticed") {
        Err(Error::Channel(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The process of a context, there.
fn child_of(machine: &Machine, user: &str) -> String {
    machine.sh(&format!("pgrep -u {user} -x offshoot-child"))
}

#[test]
fn f6_a_machine_that_stops_is_lost_after_15_seconds_by_default() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        works(&bob).await;
        machine.sh(&format!("kill -STOP {}", child_of(&machine, "bob")));
        let began = Instant::now();
        let reason = lost(&bob).await;
        assert!(reason.contains("no sign of life for 15 s"), "{reason}");
        let took = began.elapsed();
        assert!(took > Duration::from_secs(10) && took < NOTICED, "{took:?}");
    });
    is_empty(&machine);
}

#[test]
fn f6_a_network_that_drops_everything_is_noticed_at_both_ends() {
    let machine = start(&with_bob().sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL"));
    over_both(|client| drops_everything(&machine, client));
}

fn drops_everything(machine: &Machine, client: Client) {
    let door = Door::by(client, machine);
    let line = machine.ssh_through(Weather::default());
    door.trust(line.addr());
    with_router(async |router| {
        let bob = door
            .ssh(&router, "bob")
            .port(line.addr().port())
            .lost_after(SHORT)
            .await
            .unwrap();
        let root = router.sudo().via(&bob).await.unwrap();
        works(&root).await;
        line.freeze();
        let reason = lost(&root).await;
        assert!(reason.contains("no sign of life for 2 s"), "{reason}");
        // It is still frozen: the other end has noticed it by itself.
        is_empty(machine);
        drop(line);
    });
}

#[test]
fn f6_a_client_that_stops_is_noticed_at_both_ends() {
    let machine = start(&with_bob());
    let door = Door::by(Client::Program, &machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").lost_after(SHORT).await.unwrap();
        works(&bob).await;
        for client in e2e::children() {
            let name = std::fs::read_to_string(format!("/proc/{client}/comm")).unwrap();
            if name == "ssh\n" {
                let client = Pid::from_raw(client).unwrap();
                kill_process(client, Signal::STOP).unwrap();
            }
        }
        let reason = lost(&bob).await;
        assert!(reason.contains("no sign of life for 2 s"), "{reason}");
        is_empty(&machine);
    });
}

#[test]
fn f6_only_the_context_that_stops_is_lost() {
    let machine = start(&with_bob().sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL"));
    let door = Door::to(&machine);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let root = router.sudo().lost_after(SHORT).via(&bob).await.unwrap();
        works(&root).await;
        machine.sh(&format!("kill -STOP {}", child_of(&machine, "root")));
        let reason = lost(&root).await;
        assert!(reason.contains("no sign of life for 2 s"), "{reason}");
        works(&bob).await;
    });
    is_empty(&machine);
}

#[test]
fn f7_a_busy_plugin_is_no_silence() {
    let machine = start(&with_bob().sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL"));
    let door = Door::to(&machine);
    with_router(async |router| {
        let patience = Duration::from_secs(1);
        let bob = door.ssh(&router, "bob").lost_after(patience).await.unwrap();
        let root = router.sudo().lost_after(patience).via(&bob).await.unwrap();
        for context in [&bob, &root] {
            let rounds = context.call::<guest::busy>((3000,)).await.unwrap();
            assert!(rounds > 0);
        }
        // Nor is a link on which nothing is said.
        tokio::time::sleep(3 * patience).await;
        works(&root).await;
    });
    is_empty(&machine);
}

#[test]
fn f7_much_on_its_way_over_a_slow_line_is_no_silence() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    let line = machine.ssh_through(Weather {
        delay: Duration::from_millis(400),
        ..Weather::default()
    });
    door.trust(line.addr());
    with_router(async |router| {
        let bob = door
            .ssh(&router, "bob")
            .port(line.addr().port())
            .lost_after(SHORT)
            .await
            .unwrap();
        // Many times what may be under way at once.
        let bytes = vec![1; 8 << 20];
        let back = bob.call::<guest::echo>((bytes.clone(),)).await.unwrap();
        assert!(back == bytes);
    });
    is_empty(&machine);
}

#[test]
fn f6_who_wants_no_watch_gets_none() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    let line = machine.ssh_through(Weather::default());
    door.trust(line.addr());
    with_router(async |router| {
        let bob = door
            .ssh(&router, "bob")
            .port(line.addr().port())
            .lost_after(Duration::ZERO)
            .await
            .unwrap();
        works(&bob).await;
        let before = line.bytes_up();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(line.bytes_up(), before, "nothing is said");
        works(&bob).await;
    });
    is_empty(&machine);
}
