//! How the child gets to a machine, whatever the machine is like, and what is left of it there.

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::{ConnectError, Context, Keep, Refusal, Router, Verify};
use offshoot_bed::{Home, Machine, SshdOptions, Trouble, User, Weather};

use crate::world::{Door, is_empty, no_litter, refused, start, uid, with_bob, works};

const SUDOERS: &str = "bob ALL=(ALL:ALL) NOPASSWD: ALL";

/// Files of ours on a machine.
fn files(machine: &Machine) -> String {
    machine.sh("find /home /root /tmp /var/tmp /dev/shm -path '*offshoot*' -type f | sort")
}

#[test]
fn f54_a_child_that_is_not_to_be_kept_leaves_no_file_at_all() {
    let machine = start(
        &with_bob()
            .sudoers(SUDOERS)
            .doas("permit nopass bob as root"),
    );
    let door = Door::to(&machine);
    with_router(async |router| {
        for _ in 0..2 {
            let bob = door.ssh(&router, "bob").keep(Keep::Nothing).await.unwrap();
            works(&bob).await;
            assert_eq!(files(&machine), "", "nothing is there while it runs");
            // It is a parent like any other.
            let below = router.local().via(&bob).await.unwrap();
            let root = router.sudo().keep(Keep::Nothing).via(&below).await.unwrap();
            let doas = router.doas().keep(Keep::Nothing).via(&bob).await.unwrap();
            let su = router.su().username("bob").keep(Keep::Nothing).via(&root);
            let su = su.await.unwrap();
            for (context, user) in [(&below, 1000), (&root, 0), (&doas, 0), (&su, 1000)] {
                works(context).await;
                assert_eq!(uid(context).await, user);
            }
            assert_eq!(files(&machine), "");
        }
    });
    is_empty(&machine);
    assert_eq!(files(&machine), "");
}

#[test]
fn f53_a_damaged_child_is_found_and_replaced_by_who_asks_for_that() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    with_router(async |router| {
        drop(door.ssh(&router, "bob").await.unwrap());
    });
    is_empty(&machine);
    let file = files(&machine);
    assert_eq!(file.lines().count(), 1, "{file}");
    let hash = &file[file.len() - 64..];
    let is_whole = || machine.sh(&format!("sha256sum <{file}")).starts_with(hash);
    assert!(is_whole(), "its name is its hash");
    machine.sh(&format!(
        "printf x | dd of={file} bs=1 seek=1000 conv=notrunc status=none"
    ));
    assert!(!is_whole());
    with_router(async |router| {
        let bob = door.ssh(&router, "bob").verify(Verify::Always);
        works(&bob.await.unwrap()).await;
    });
    is_empty(&machine);
    assert!(is_whole());
    no_litter(&machine);
}

#[test]
fn f33_homes_of_every_kind_will_do() {
    let homes = [
        ("full", Home::Full),
        ("readonly", Home::ReadOnly),
        ("noexec", Home::NoExec),
        ("missing", Home::Missing),
        ("small", Home::Small(300)),
    ];
    let mut builder = with_bob();
    for (name, home) in homes {
        builder = builder.user(User::new(name).home(home));
    }
    let machine = start(&builder);
    let door = Door::to(&machine);
    with_router(async |router| {
        for (name, _) in homes {
            for _ in ["cold", "warm"] {
                let made = door.ssh(&router, name).await;
                let context = made.unwrap_or_else(|error| panic!("{name}: {error}"));
                works(&context).await;
            }
        }
    });
    is_empty(&machine);
    no_litter(&machine);
}

/// Has nothing on a machine be run but what is installed.
const NOTHING_RUNS: &str = "for d in /tmp /var/tmp /dev/shm; do mount -o remount,noexec $d; done";

#[test]
fn f34_no_place_for_the_child_is_told_with_each_that_was_tried() {
    let machine = start(
        &Machine::builder()
            .sshd(SshdOptions::default())
            .user(User::new("bob").home(Home::NoExec))
            .run(NOTHING_RUNS)
            .run("rm -f /usr/bin/perl* /usr/bin/python3*"),
    );
    let door = Door::to(&machine);
    with_router(async |router| {
        let error = refused(door.ssh(&router, "bob").await);
        let ConnectError::NoDirectory(tried) = &error else {
            panic!("{error:?}");
        };
        let tried: Vec<_> = tried.iter().map(|it| (&*it.path, it.why)).collect();
        assert_eq!(
            tried[..4],
            [
                ("/home/bob/.cache/offshoot", Refusal::NoExec),
                ("/var/tmp/offshoot-1000", Refusal::NoExec),
                ("/tmp/offshoot-1000", Refusal::NoExec),
                ("/dev/shm/offshoot-1000", Refusal::NoExec),
            ]
        );
        let text = error.to_string();
        assert!(
            text.contains("`/dev/shm/offshoot-1000`: mounted noexec"),
            "{text}"
        );
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn f34_where_no_file_may_run_the_child_runs_from_memory() {
    for (shown, hidden) in [("perl", "python3"), ("python3", "perl")] {
        let machine = start(
            &Machine::builder()
                .sshd(SshdOptions::default())
                .user(User::new("bob").home(Home::NoExec))
                .sudoers(SUDOERS)
                .run(NOTHING_RUNS)
                .run("mount -t tmpfs -o mode=700,noexec root /root")
                .run(&format!("rm -f /usr/bin/{hidden}*")),
        );
        let door = Door::to(&machine);
        for keep in [Keep::Cache, Keep::Nothing] {
            with_router(async |router| {
                let bob = door.ssh(&router, "bob").keep(keep).await;
                let bob = bob.unwrap_or_else(|error| panic!("{shown}: {error}"));
                works(&bob).await;
                let exe = machine.sh("readlink /proc/$(pgrep -x offshoot-child)/exe");
                assert!(exe.starts_with("/memfd:"), "{exe}");
                let below = router.local().via(&bob).await.unwrap();
                let root = router.sudo().keep(keep).via(&below).await.unwrap();
                assert_eq!(uid(&root).await, 0);
                let login = router.sudo().login(true).keep(keep).via(&bob);
                works(&login.await.unwrap()).await;
            });
            is_empty(&machine);
        }
        assert_eq!(files(&machine), "");
    }
}

#[test]
fn f51_a_connection_that_is_cut_at_any_point_leaves_nothing_that_is_run() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    with_router(async |router| {
        for bytes in [500, 3_000, 5_000, 8_000, 20_000, 100_000, 400_000, 700_000] {
            let line = machine.ssh_through(Weather {
                up: Trouble::CutAfter(bytes),
                ..Weather::default()
            });
            door.trust(line.addr());
            let made = door.ssh(&router, "bob").port(line.addr().port()).await;
            let error = refused(made);
            assert!(
                matches!(
                    error,
                    ConnectError::ClosedEarly { .. } | ConnectError::Network(_)
                ),
                "{bytes}: {error:?}"
            );
            is_empty(&machine);
            let whole = machine.sh("find /home/bob -path '*offshoot/[0-9a-f]*' -type f");
            assert_eq!(whole, "", "{bytes}: nothing half-written has the name");
        }
        works(&door.ssh(&router, "bob").await.unwrap()).await;
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn f52_eight_uploads_at_once_all_succeed_and_leave_one_file() {
    let machine = start(&with_bob());
    let door = Door::to(&machine);
    with_router(async |router| {
        let made = (0..8).map(|_| async { door.ssh(&router, "bob").await });
        for context in futures_util::future::join_all(made).await {
            works(&context.unwrap()).await;
        }
    });
    is_empty(&machine);
    assert_eq!(files(&machine).lines().count(), 1);
    no_litter(&machine);
}

#[test]
fn t15_a_squatted_cache_is_never_run_and_never_repaired() {
    let machine = start(
        &Machine::builder()
            .sshd(SshdOptions::default())
            .user(User::new("bob"))
            .user(User::new("eve"))
            .user(User::new("homeless").home(Home::Missing))
            .sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL"),
    );
    let door = Door::to(&machine);
    with_router(async |router| {
        drop(door.ssh(&router, "bob").await.unwrap());
    });
    is_empty(&machine);
    // Where the child would be is a program of eve's, of the same name and size, in every way that
    // a directory can be prepared.
    machine.sh(
        "f=$(echo /home/bob/.cache/offshoot/*); n=${f##*/} s=$(stat -c %s $f)
         printf '#!/bin/sh\\ntouch /tmp/pwned\\nexit 1\\n' >/tmp/evil; truncate -s $s /tmp/evil
         chmod 700 /tmp/evil
         id=$(id -u homeless)
         mkdir -m 700 /var/tmp/offshoot-$id /home/eve/trap
         for d in /var/tmp/offshoot-$id /home/eve/trap; do cp -p /tmp/evil $d/$n; done
         chown -R eve: /var/tmp/offshoot-$id /home/eve/trap
         ln -s /home/eve/trap /tmp/offshoot-$id
         mkdir -m 777 /dev/shm/offshoot-$id; cp -p /tmp/evil /dev/shm/offshoot-$id/$n
         chown homeless: /dev/shm/offshoot-$id /dev/shm/offshoot-$id/$n; chmod 777 /dev/shm/offshoot-$id
         cp -p /tmp/evil $f; chown bob: $f; chmod 700 $f",
    );
    with_router(async |router| {
        let homeless = door.ssh(&router, "homeless").await.unwrap();
        works(&homeless).await;
        let exe = machine.sh("readlink /proc/$(pgrep -u homeless -x offshoot-child)/exe");
        assert!(exe.starts_with("/memfd:"), "no directory was left: {exe}");
        // What is in bob's own cache is his own to break. Root does not run it.
        machine.sh("mv /home/bob/.cache/offshoot /home/bob/own");
        let bob = door.ssh(&router, "bob").await.unwrap();
        machine.sh("rm -r /home/bob/.cache/offshoot; mv /home/bob/own /home/bob/.cache/offshoot");
        let kept = router.sudo().preserve_env(true).via(&bob).await.unwrap();
        assert_eq!(uid(&kept).await, 0);
        assert_eq!(machine.sh("ls /tmp/pwned 2>/dev/null || :"), "");
    });
    is_empty(&machine);
}

/// Bytes that left a machine by its cable.
fn sent(machine: &Machine) -> u64 {
    let bytes = machine.sh("awk '$1 ~ /^cable/ {print $10}' /proc/net/dev");
    bytes.parse().unwrap()
}

#[test]
fn b076_the_child_and_a_plugin_cross_each_hop_once() {
    let bastion = start(&with_bob().sudoers(SUDOERS));
    let inner = start(
        &Machine::builder()
            .sshd(SshdOptions::default())
            .user(User::new("amy").password("amys-own"))
            .sudoers("amy ALL=(ALL:ALL) NOPASSWD: ALL"),
    );
    let (_, address) = bastion.cable(&inner);
    let line = bastion.ssh_through(Weather::default());
    let door = Door::to(&bastion);
    door.trust(line.addr());
    with_router(async |router| {
        let small = 200_000;
        let bob = door.ssh(&router, "bob").port(line.addr().port());
        let bob = bob.await.unwrap();
        let child = line.bytes_up();
        assert!(child > small, "it was sent: {child}");
        bob.call::<guest::add>((1, 2)).await.unwrap();
        let image = line.bytes_up() - child;
        let first_hop = line.bytes_up();
        let amy = |router: &Router, via: &Context| {
            router
                .ssh(address.to_string())
                .ssh_path("ssh")
                .username("amy")
                .password("amys-own")
                .check_host_keys(offshoot::CheckHostKeys::Accept)
                .via(via)
        };
        let far = amy(&router, &bob).await.unwrap();
        let second_hop = sent(&bastion);
        assert!(second_hop > small, "it was sent: {second_hop}");
        let root = router.sudo().via(&far).await.unwrap();
        let below = router.local().via(&root).await.unwrap();
        let again = amy(&router, &bob).await.unwrap();
        for context in [&far, &root, &below, &again] {
            context.call::<guest::add>((1, 2)).await.unwrap();
        }
        // The plugin was compiled once, and the same image serves them all.
        let grown = line.bytes_up() - first_hop;
        assert!(grown < small, "{grown} more over the first hop");
        // Over the second one, the two connections of amy's each have a copy of the image.
        let grown = sent(&bastion) - second_hop;
        assert!(
            grown < 2 * image + small,
            "{grown} more over the second hop, for images of {image}"
        );
    });
    is_empty(&bastion);
    is_empty(&inner);
}
