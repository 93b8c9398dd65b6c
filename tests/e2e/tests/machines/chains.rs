//! Chains of every kind, and what is left of them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::with_router;
use offshoot::{CheckHostKeys, Context, Router};
use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{Client, Door, is_empty, no_litter, over_both, start, uid, with_bob, works};

const SUDOERS: &str = "bob ALL=(ALL:ALL) NOPASSWD: ALL";

async fn local(router: &Router, via: &Context) -> Context {
    router.local().via(via).await.unwrap()
}

#[test]
fn b013_a_chain_of_ten_of_every_kind_works() {
    let machine = start(
        &with_bob()
            .sudoers(SUDOERS)
            .doas("permit nopass bob as root"),
    );
    let door = Door::to(&machine);
    with_router(async |router| {
        let mut chain = vec![door.ssh(&router, "bob").await.unwrap()];
        for step in 1..10 {
            let via = chain.last().unwrap();
            let next = match step % 5 {
                1 => local(&router, via).await,
                2 => router.sudo().via(via).await.unwrap(),
                3 => router.su().username("bob").via(via).await.unwrap(),
                4 => router.doas().via(via).await.unwrap(),
                _ => router.sudo().username("bob").via(via).await.unwrap(),
            };
            chain.push(next);
        }
        let uids = [1000, 1000, 0, 1000, 0, 1000, 1000, 0, 1000, 0];
        for (context, want) in chain.iter().zip(uids) {
            works(context).await;
            assert_eq!(uid(context).await, want, "{}", context.name());
        }
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn b013_ssh_via_ssh_runs_the_client_there() {
    let bastion = start(&with_bob());
    let inner = start(
        &Machine::builder()
            .sshd(SshdOptions::default())
            .user(User::new("amy").password("amys-own")),
    );
    let (_, address) = bastion.cable(&inner);
    let door = Door::to(&bastion);
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").await.unwrap();
        let ssh = || {
            router
                .ssh(address.to_string())
                .ssh_path("ssh")
                .username("amy")
                .check_host_keys(CheckHostKeys::Accept)
                .via(&bob)
        };
        for _ in ["cold", "warm"] {
            let amy = ssh().password("amys-own").await.unwrap();
            assert_eq!(amy.name(), format!("{}.ssh.{address}", bob.name()));
            works(&amy).await;
        }
        // Names in it may be hashed.
        let known = bastion.sh("wc -l </home/bob/.ssh/known_hosts");
        assert_ne!(known, "0", "a new key is learnt there");
        let error = ssh().password("wrong").await.unwrap_err().to_string();
        let want = format!(
            "error occurred in {}: ssh password is incorrect",
            bob.name()
        );
        assert!(error.starts_with(&want), "{error}");
    });
    is_empty(&bastion);
    is_empty(&inner);
}

/// Not the password of other tests, whose machines are made at the same time.
const SECRET: &str = "b4ttery-st4ple";

#[test]
fn t14_no_secret_is_in_arguments_or_environments() {
    over_both(no_secret);
}

fn no_secret(client: Client) {
    let builder = Machine::builder().sshd(SshdOptions::default());
    let builder = builder
        .user(User::new("bob"))
        .sudoers("bob ALL=(ALL:ALL) ALL");
    let machine = start(&builder);
    // The machine's own first process would have it in its arguments otherwise.
    machine.sh(&format!("echo bob:{SECRET} | chpasswd"));
    let door = Door::by(client, &machine);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let scan = || {
        let mut scans = 0;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                for file in ["cmdline", "environ"] {
                    let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
                    let found = bytes
                        .windows(SECRET.len())
                        .any(|window| window == SECRET.as_bytes());
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(!found, "{}: {file}: {text}", entry.path().display());
                }
            }
            scans += 1;
        }
        scans
    };
    std::thread::scope(|scope| {
        let scanner = scope.spawn(scan);
        with_router(async |router| {
            let bob = door.knock(&router, "bob").password(SECRET).await.unwrap();
            let root = router.sudo().password(SECRET).via(&bob).await.unwrap();
            works(&root).await;
            // Not as one word: this very command would be found.
            let log = machine
                .sh("p=b4ttery; echo $p-st4ple | grep -r -f - /var/log /tmp /home /root || :");
            assert_eq!(log, "");
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(scanner.join().unwrap() > 3);
    });
}

#[test]
fn f3_a_controller_that_is_killed_takes_the_whole_tree_along() {
    let machine = start(
        &with_bob()
            .sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL")
            .sudoers("Defaults use_pty"),
    );
    let door = Door::to(&machine);
    let mut controller = Command::new(env!("CARGO_BIN_EXE_far"))
        .arg(machine.ssh_addr().port().to_string())
        .arg(machine.identity())
        .arg(door.known_hosts())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = controller.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let list = machine.sh("ps -eo user=,comm= | grep offshoot | sort");
    assert_eq!(list.matches("root").count(), 2, "{list}");
    controller.kill().unwrap();
    controller.wait().unwrap();
    is_empty(&machine);
}

#[test]
fn b011_a_stage_that_hangs_is_named() {
    let bob = User::new("bob").file(".bashrc", "sleep 60\n");
    let machine = start(&Machine::builder().sshd(SshdOptions::default()).user(bob));
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            let made = door
                .ssh(&router, "bob")
                .connect_timeout(Duration::from_secs(2));
            let error = made.await.unwrap_err().to_string();
            assert!(error.contains("timed out"), "{error}");
            // A program does not tell when it was let in.
            let stage = match client {
                Client::Inside => "(it was starting the command)",
                Client::Program => "(it was connecting)",
            };
            assert!(error.contains(stage), "{error}");
        });
    });
    is_empty(&machine);
}
