//! Machines and accounts that lack what others have.

use offshoot_bed::{Machine, SshdOptions};
use offshoot_proto::bootstrap::{BootstrapError, Encoding, Refusal, Verify};

use crate::driver::{NO_SCRIPTS, Payload, bob, boot, boot_with, over_ssh, start, with_bob};

const HOME: &str = "/home/bob/.cache/offshoot";

const NO_HASH: &str = "rm -f /usr/bin/sha256sum /usr/bin/shasum /usr/bin/openssl";

#[test]
fn f36_without_gzip_the_child_comes_plain() {
    let machine = start(&with_bob(bob()).run("rm /usr/bin/gzip"));
    let booted = boot(&machine);
    assert_eq!(booted.uploads, [(HOME.to_owned(), Encoding::Plain)]);
    booted.child().ends_well();
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f36_a_broken_gzip_costs_one_directory() {
    let machine = start(&with_bob(bob()).run("cp /bin/false /usr/bin/gzip"));
    let booted = boot(&machine);
    let encodings: Vec<Encoding> = booted.uploads.iter().map(|(_, how)| *how).collect();
    assert_eq!(encodings, [Encoding::Gzip, Encoding::Plain]);
    booted.child().ends_well();
}

#[test]
fn f36_without_a_hash_program_size_and_a_trial_run_must_do() {
    for verify in [Verify::Quick, Verify::Always] {
        let machine = start(&with_bob(bob()).run(NO_HASH));
        let payload = Payload::stub();
        let boot = || {
            let stage0 = payload.stage0().verify(verify);
            boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, payload)
        };
        boot().sent_child(HOME).ends_well();
        boot().cached_child().ends_well();
    }
}

#[test]
fn f36_any_hash_program_will_do() {
    for keep in ["sha256sum", "shasum", "openssl"] {
        let others = NO_HASH.replace(&format!("/usr/bin/{keep}"), "");
        let machine = start(&with_bob(bob()).run(&others));
        if machine.sh(&format!("command -v {keep} || :")).is_empty() {
            continue;
        }
        let good = Payload::stub();
        let mut damaged = good.clone();
        let middle = damaged.plain.len() / 2;
        damaged.plain[middle] ^= 1;
        let damaged = Payload {
            sha256: good.sha256,
            ..Payload::new(damaged.plain)
        };
        let stage0 = damaged.stage0();
        let booted = boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, &damaged);
        let faults: Vec<Refusal> = booted.refused().into_iter().map(|(_, why)| why).collect();
        assert_eq!(faults, [Refusal::Hash; 4], "{keep}");
        boot(&machine).sent_child(HOME).ends_well();
    }
}

#[test]
fn f36_busybox_is_enough() {
    let machine = start(&with_bob(bob().shell("/usr/local/bin/ash")).run(
        "ln -sf /bin/busybox /usr/bin/sh
         for p in uname ls id mkdir rmdir chmod rm mv head gzip cat wc find sha256sum; do
           ln -sf /bin/busybox /usr/bin/$p
         done",
    ));
    boot(&machine).sent_child(HOME).ends_well();
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f36_a_missing_head_is_named_and_nothing_is_sent() {
    let machine = start(&with_bob(bob()).run("rm /usr/bin/head").run(NO_SCRIPTS));
    let booted = boot(&machine);
    assert_eq!(booted.uploads, []);
    let error = booted.error().to_string();
    assert!(error.contains("the machine has no `head -c`"), "{error}");
}

#[test]
fn f37_another_kind_of_machine_is_named() {
    let machine = start(&with_bob(bob()).run(
        "printf '#!/bin/sh\\necho Linux armv7l\\n' >/usr/bin/uname.new
         chmod 755 /usr/bin/uname.new; mv /usr/bin/uname.new /usr/bin/uname",
    ));
    let booted = boot(&machine);
    assert_eq!(booted.uploads, []);
    let uname = "Linux armv7l".to_owned();
    assert_eq!(
        booted.error(),
        BootstrapError::UnsupportedPlatform { uname }
    );
}

#[test]
fn f37_a_child_for_another_machine_is_not_started() {
    let machine = start(&with_bob(bob()));
    // The processor's number in its header.
    let mut plain = Payload::stub().plain.clone();
    plain[18] = 0xf3;
    let payload = Payload::new(plain);
    let stage0 = payload.stage0();
    let booted = boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, &payload);
    let faults: Vec<Refusal> = booted.refused().into_iter().map(|(_, why)| why).collect();
    assert_eq!(faults, [Refusal::Run; 4]);
}

#[test]
fn f70_odd_environments_are_survived_and_passed_on() {
    for (lines, name, want) in [
        ("export PATH=", "path", ""),
        ("export PATH=/nowhere", "path", "/nowhere"),
        ("umask 000", "umask", "0000"),
        ("umask 077", "umask", "0077"),
        (
            "export TERM=xyz LANG=zz LC_ALL=tr_TR.UTF-8 TZ=Mars",
            "uid",
            "1000",
        ),
        (
            "export CDPATH=/tmp:/ IFS=e ENV=/etc/passwd POSIXLY_CORRECT=1",
            "uid",
            "1000",
        ),
        (
            "alias ls=false cd=false; ls() { false; }; export -f ls",
            "uid",
            "1000",
        ),
        ("ulimit -n 16; ulimit -f 20000; ulimit -u 30", "uid", "1000"),
        ("set -eux; export SHELLOPTS", "uid", "1000"),
        ("cd /tmp; export PWD=/etc", "uid", "1000"),
        (
            "export GZIP=-9 LS_COLORS=x QUOTING_STYLE=c TIME_STYLE=+x",
            "uid",
            "1000",
        ),
    ] {
        let machine = start(&with_bob(bob().file(".bashrc", &format!("{lines}\n"))));
        for _ in ["cold", "warm"] {
            let child = boot(&machine).child();
            assert_eq!(child.report[name], want, "{lines}");
            child.ends_well();
        }
        let modes = machine.sh("cd /home/bob/.cache/offshoot && stat -c %a . *");
        assert_eq!(modes, "700\n700", "{lines}");
    }
}

#[test]
fn f70_an_environment_from_the_server_is_survived() {
    let options = SshdOptions::default().line("SetEnv PATH=/nowhere HOME=relative TMPDIR=/x");
    let machine = start(&Machine::builder().sshd(options).user(bob()));
    boot(&machine).child().ends_well();
    boot(&machine).cached_child().ends_well();
}
