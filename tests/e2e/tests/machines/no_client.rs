//! Through machines that have no ssh client: ours is sent there.

use std::time::{Duration, Instant};

use e2e::with_router;
use offshoot::{CheckHostKeys, ConnectError, Context, Error, PasswordError, Router, Ssh};
use offshoot_bed::{Machine, SshdOptions, User};

use crate::progress::{COLD, Events, SESSION};
use crate::world::{Door, is_empty, no_litter, refused, start, with_bob, works};

/// The password of amy, who is on the machine behind.
const AMYS: &str = "amys-own";

/// A machine to go through, without a client, and one behind it.
struct Two {
    bastion: Machine,
    inner: Machine,
    address: String,
}

fn two() -> Two {
    let bastion = start(&with_bob().sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL"));
    bastion.sh("rm /usr/bin/ssh");
    let inner = start(
        &Machine::builder()
            .sshd(SshdOptions::default())
            .user(User::new("amy").password(AMYS)),
    );
    let (_, address) = bastion.cable(&inner);
    Two {
        bastion,
        inner,
        address: address.to_string(),
    }
}

impl Two {
    fn knock(&self, router: &Router, via: &Context) -> Ssh {
        router
            .ssh(&*self.address)
            .username("amy")
            .check_host_keys(CheckHostKeys::Accept)
            .via(via)
    }

    fn are_empty(&self) {
        is_empty(&self.bastion);
        is_empty(&self.inner);
        no_litter(&self.bastion);
    }
}

#[test]
fn the_events_of_a_client_that_was_brought_come_in_order() {
    let two = two();
    let door = Door::to(&two.bastion);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let events = Events::default();
        let amy = two.knock(&router, &bob).password(AMYS);
        works(&amy.on_progress(events.callback()).await.unwrap()).await;
        assert_eq!(events.names(), [&SESSION[..], &COLD[..]].concat());
    });
    two.are_empty();
}

#[test]
fn b013_ssh_via_a_machine_without_a_client_is_done_by_ours() {
    let two = two();
    let door = Door::to(&two.bastion);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        for _ in ["cold", "warm"] {
            let amy = two.knock(&router, &bob).password(AMYS).await.unwrap();
            let name = format!("{}.ssh.{}", bob.name(), two.address);
            assert_eq!(amy.name(), name);
            works(&amy).await;
            // The program's arguments and environment tell nothing.
            let told = two.bastion.sh(
                "p=$(pgrep -x offshoot-ssh); test -n \"$p\" && for p in $p; do \
                 cat /proc/$p/cmdline /proc/$p/environ | tr '\\0' '\\n'; done",
            );
            assert!(!told.contains(AMYS), "{told}");
        }
        let known = two.bastion.sh("wc -l </home/bob/.ssh/known_hosts");
        assert_eq!(known, "1", "the key is learnt there, by whoever asked");
        // The configuration there counts, as for a client that is installed.
        let lines = "Host behind\n HostName behind.example\n User amy\n StrictHostKeyChecking no\n";
        let line = format!("{} behind.example", two.address);
        two.bastion.sh(&format!("echo {line} >>/etc/hosts"));
        two.bastion
            .write("/home/bob/.ssh/config", lines.as_bytes(), "644");
        let amy = router.ssh("behind").password(AMYS).via(&bob).await;
        works(&amy.unwrap()).await;
        // Of a context further down too, to which the copy that is there already is passed on.
        let root = router.sudo().via(&bob).await.unwrap();
        let amy = two.knock(&router, &root).password(AMYS).await.unwrap();
        works(&amy).await;
    });
    two.are_empty();
}

#[test]
fn b013_its_errors_are_those_of_any_client() {
    let two = two();
    let door = Door::to(&two.bastion);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let made = two.knock(&router, &bob).password("wrong").await;
        let Err(Error::Connect(ConnectError::Via { via, .. })) = &made else {
            panic!("it names no hop");
        };
        assert_eq!(via, bob.name());
        let error = refused(made);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Incorrect(_))),
            "{error:?}"
        );
        let error = refused(two.knock(&router, &bob).await);
        assert!(
            matches!(error, ConnectError::Password(PasswordError::Required(_))),
            "{error:?}"
        );
        let error = refused(two.knock(&router, &bob).port(1).await);
        assert!(matches!(error, ConnectError::Network(_)), "{error:?}");
        // Nobody answers there, in a network that drops everything.
        let silent = router.ssh("10.255.255.1").via(&bob);
        let began = Instant::now();
        let error = refused(silent.connect_timeout(Duration::from_secs(2)).await);
        assert!(
            matches!(
                error,
                ConnectError::Network(_) | ConnectError::Timeout { .. }
            ),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(20));
        // What only a program has is not left out in silence, and there is another way.
        let error = refused(two.knock(&router, &bob).ssh_args(["-4"]).await);
        assert!(
            matches!(&error, ConnectError::ToolMissing { tool, .. } if tool == "ssh"),
            "{error:?}"
        );
        assert!(error.to_string().contains("`jump`"), "{error}");
    });
    two.are_empty();
}

#[test]
fn b013_it_ends_with_whoever_started_it_and_with_the_server() {
    let two = two();
    let door = Door::to(&two.bastion);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let amy = two.knock(&router, &bob).password(AMYS).await.unwrap();
        works(&amy).await;
        // The server goes away.
        two.inner.sh("pkill -9 -u amy");
        gone(&two.bastion).await;
        let amy = two.knock(&router, &bob).password(AMYS).await.unwrap();
        works(&amy).await;
        two.bastion.sh("pkill -9 -u bob -f ^offshoot:");
        gone(&two.bastion).await;
    });
    two.are_empty();
}

/// Waits until no client runs there.
async fn gone(machine: &Machine) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !machine.sh("pgrep -x offshoot-ssh || :").is_empty() {
        assert!(Instant::now() < deadline, "{}", machine.sh("ps -ef"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
