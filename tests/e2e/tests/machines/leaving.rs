//! Connections that nobody waits for any more, that go on alone, and many of them at once, by each
//! client.

use std::time::{Duration, Instant};

use e2e::{plugin, with_router};
use offshoot::{Context, Error, Grant, Router};
use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{Client, Door, is_empty, no_litter, over_both, start, with_bob, works};

/// Whether this shell condition holds on the machine.
fn holds(machine: &Machine, condition: &str) -> bool {
    machine.sh(&format!("if {condition}; then echo yes; else echo no; fi")) == "yes"
}

/// Waits until it does.
#[track_caller]
fn wait_until(machine: &Machine, condition: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds(machine, condition) {
        assert!(Instant::now() < deadline, "not so: {condition}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn d7_a_connection_that_nobody_waits_for_ends_wherever_it_has_come_to() {
    // One user's keys are looked up for ever, the other's shell does not get to the command.
    let options = SshdOptions::default().last(
        "Match User ann\n  AuthorizedKeysFile none\n  AuthorizedKeysCommand /bin/sleep 4711\n  \
         AuthorizedKeysCommandUser nobody",
    );
    let builder = Machine::builder()
        .sshd(options)
        .user(User::new("ann"))
        .user(User::new("bob").file(".bashrc", "sleep 4712\n"));
    let machine = start(&builder);
    over_both(|client| {
        let door = Door::by(client, &machine);
        for (user, mark) in [("ann", "sleep 4711"), ("bob", "sleep 4712")] {
            with_router(async |router| {
                let opening = tokio::spawn(door.ssh(&router, user).into_future());
                let there = format!("pgrep -f '^[^ ]*{mark}' >/dev/null");
                while !holds(&machine, &there) {
                    assert!(!opening.is_finished(), "{:?}", opening.await);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opening.abort();
                assert!(opening.await.unwrap_err().is_cancelled());
                machine.sh("pkill -x sleep");
            });
            wait_until(&machine, &format!("! pgrep -f '^sshd: {user}' >/dev/null"));
        }
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn b045_a_detached_context_goes_on_without_its_connection() {
    let machine = start(&with_bob());
    // A program would stay as long as the context does; of the client inside, nothing is left here.
    let door = Door::by(Client::Inside, &machine);
    with_router(async |router| {
        let plugin = plugin().grant(Grant::Write("/home/bob".into()));
        let bob = door.ssh(&router, "bob").await.unwrap();
        let sum: u64 = bob
            .call_named(&plugin, "add", &(1_u64, 2_u64))
            .await
            .unwrap();
        assert_eq!(sum, 3);
        let arguments = ("/home/bob/done", 1500_u64);
        let job = bob.call_named_async::<()>(&plugin, "write_later", &arguments);
        let job = job.await.unwrap();
        bob.detach().await.unwrap();
        router.shutdown().await;
        assert!(job.get().await.is_err(), "nobody waits for it any more");
    });
    assert!(
        !holds(&machine, "[ -e /home/bob/done ]"),
        "it is still at it"
    );
    wait_until(&machine, "[ -s /home/bob/done ]");
    is_empty(&machine);
}

#[test]
fn f50_many_at_once_do_not_drive_a_server_away() {
    // As servers are set up if nobody says otherwise: the eleventh who has not shown who it is may
    // be turned away.
    let options = SshdOptions::default().line("MaxStartups 10:30:100");
    let machine = start(&Machine::builder().sshd(options).user(User::new("bob")));
    let door = Door::by(Client::Inside, &machine);
    with_router(async |router| {
        let opening: Vec<_> = (0..24)
            .map(|_| tokio::spawn(door.ssh(&router, "bob").into_future()))
            .collect();
        let mut contexts: Vec<Context> = Vec::new();
        for one in opening {
            let made: Result<Context, Error> = one.await.unwrap();
            contexts.push(made.unwrap());
        }
        for context in &contexts {
            works(context).await;
        }
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn b022_whoever_waits_for_the_end_of_a_context_waits_for_its_session_too() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        // What this runtime has not done by the end of a call, it does not do before the next.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let router = runtime.block_on(async {
            let router = Router::new().unwrap();
            let bob = door.ssh(&router, "bob").await.unwrap();
            bob.shutdown_wait().await;
            router
        });
        wait_until(&machine, "! pgrep -f '^sshd: bob' >/dev/null");
        runtime.block_on(router.shutdown());
    });
    is_empty(&machine);
}
