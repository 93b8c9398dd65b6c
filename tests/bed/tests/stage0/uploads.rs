//! Uploads that are cut, damaged, or many at once.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use offshoot_bed::{Home, Machine, Trouble, Weather};
use offshoot_proto::bootstrap::{BootstrapError, Encoding, Keep, Refusal, Verify};
use offshoot_proto::control::ConnectStage;

use crate::driver::{
    NO_EXEC, Payload, Tool, bob, boot, boot_with, eventually, over_ssh, start, with_bob,
};

const HOME: &str = "/home/bob/.cache/offshoot";

/// All files that could be of ours, wherever.
fn files(machine: &Machine) -> String {
    machine.sh("find /home/bob/.cache /tmp /var/tmp /dev/shm -type f 2>/dev/null | sort || :")
}

fn path() -> String {
    format!("{HOME}/{}", Payload::stub().name())
}

#[test]
fn f51_a_connection_cut_anywhere_leaves_nothing_half_written() {
    let machine = start(&with_bob(bob()));
    let payload = Payload::stub();
    // What ssh itself sends to get as far as that.
    let prelude = {
        let line = machine.ssh_through(Weather::default());
        let mut ssh = machine.ssh_to(line.addr(), "bob");
        assert!(ssh.arg("true").output().unwrap().status.success());
        line.bytes_up()
    };
    let size = payload.gzip.len() as u64;
    let cuts = (0..10).map(|tenth| prelude + size * tenth / 10);
    for cut in cuts.chain([prelude / 2, prelude + size - 1]) {
        let weather = Weather {
            up: Trouble::CutAfter(cut),
            ..Weather::default()
        };
        let line = machine.ssh_through(weather);
        let stage0 = payload.stage0();
        let ssh = machine.ssh_to(line.addr(), "bob");
        let error = boot_with(over_ssh(ssh, &stage0), &stage0, payload).error();
        assert!(
            matches!(error, BootstrapError::ClosedEarly { .. }),
            "cut at {cut}: {error}"
        );
        eventually("the half-written file is removed", || {
            files(&machine).is_empty()
        });
    }
    boot(&machine).sent_child(HOME).ends_well();
    assert_eq!(files(&machine), path());
}

#[test]
fn f51_what_was_cut_or_damaged_on_its_way_into_memory_is_not_run() {
    // The end is not part of the program, which would run without it.
    let mut plain = Payload::stub().plain.clone();
    plain.resize(plain.len() + 4096, 0);
    let payload = Payload::new(plain);
    for hidden in ["perl", "python3"] {
        let machine = start(
            &with_bob(bob().home(Home::NoExec))
                .run(NO_EXEC)
                .run(&format!("rm -f /usr/bin/{hidden}*")),
        );
        let stage0 = payload.stage0();
        let whole = boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, &payload);
        whole.sent_child("memory").ends_well();
        let (_, cut) = payload.plain.split_last().unwrap();
        let damaged = [cut, &[1]].concat();
        for sent in [cut, &damaged] {
            let argv = stage0.argv();
            let mut process = machine
                .command_as("bob", &argv.each_ref().map(String::as_str))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            process.stdin.take().unwrap().write_all(sent).unwrap();
            let said = process.wait_with_output().unwrap().stdout;
            let said = String::from_utf8_lossy(&said);
            assert!(said.ends_with(":cat:memory\n"), "{said}");
        }
    }
}

#[test]
fn f51_a_connection_cut_on_the_way_back_leaves_a_whole_child_or_none() {
    let machine = start(&with_bob(bob()));
    let payload = Payload::stub();
    for cut in [2500, 3500, 4000, 4100, 4200, 4500] {
        let weather = Weather {
            down: Trouble::CutAfter(cut),
            ..Weather::default()
        };
        let line = machine.ssh_through(weather);
        let stage0 = payload.stage0();
        let ssh = machine.ssh_to(line.addr(), "bob");
        let booted = boot_with(over_ssh(ssh, &stage0), &stage0, payload);
        drop(booted);
        drop(line);
        eventually("what is left is whole, or nothing", || {
            let left = files(&machine);
            left.is_empty() || left == path()
        });
    }
    boot(&machine).child().ends_well();
}

#[test]
fn f51_a_client_that_is_killed_leaves_nothing() {
    let machine = start(&with_bob(bob()));
    let stage0 = Payload::stub().stage0();
    let mut tool = Tool::start(over_ssh(machine.ssh("bob"), &stage0));
    let answer = tool.read().expect("an answer");
    assert!(String::from_utf8_lossy(&answer).contains(":need:1:gzip:"));
    tool.write(Payload::stub().gzip[..100_000].to_vec());
    eventually("the upload starts", || {
        files(&machine).contains(stage0.nonce())
    });
    drop(tool);
    eventually("it is removed", || files(&machine).is_empty());
    boot(&machine).sent_child(HOME).ends_well();
}

#[test]
fn f51_a_hang_up_leaves_nothing() {
    for keep in [Keep::Cache, Keep::Nothing] {
        for signal in ["HUP", "TERM", "INT"] {
            let machine = start(&with_bob(bob()));
            let stage0 = Payload::stub().stage0().keep(keep);
            let mut tool = Tool::start(over_ssh(machine.ssh("bob"), &stage0));
            tool.read().expect("an answer");
            tool.write(Payload::stub().gzip[..100_000].to_vec());
            let nonce = stage0.nonce();
            eventually("the upload starts", || files(&machine).contains(nonce));
            // The shell leads a group of its own, which is what a terminal hangs up.
            machine.sh(&format!(
                "/usr/bin/kill -{signal} -- -$(pgrep -o -u bob -f {nonce})"
            ));
            eventually("it is removed", || {
                machine
                    .sh(&format!(
                        "find /home/bob /tmp /var/tmp /dev/shm -name '*{nonce}*'"
                    ))
                    .is_empty()
            });
        }
    }
}

#[test]
fn f51_an_upload_that_stalls_runs_nothing_and_goes_on() {
    let machine = start(&with_bob(bob()));
    let payload = Payload::stub();
    let line = machine.ssh_through(Weather::default());
    let stage0 = payload.stage0();
    let ssh = over_ssh(machine.ssh_to(line.addr(), "bob"), &stage0);
    let booted = thread::scope(|scope| {
        let boot = scope.spawn(|| boot_with(ssh, &stage0, payload));
        eventually("the upload starts", || line.bytes_up() > 50_000);
        line.freeze();
        thread::sleep(Duration::from_millis(300));
        let left = files(&machine);
        assert!(left.is_empty() || left.ends_with(stage0.nonce()) || left == path());
        line.thaw();
        boot.join().unwrap()
    });
    booted.sent_child(HOME).ends_well();
}

#[test]
fn f52_eight_uploads_at_once_all_succeed() {
    let machine = start(&with_bob(bob()));
    let children = thread::scope(|scope| {
        let boots: Vec<_> = (0..8).map(|_| scope.spawn(|| boot(&machine))).collect();
        let ended = boots.into_iter().map(|boot| boot.join().unwrap().child());
        ended.collect::<Vec<_>>()
    });
    for child in children {
        assert!(child.exe().starts_with(&path()), "{}", child.exe());
        child.ends_well();
    }
    assert_eq!(files(&machine), path());
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f53_a_truncated_child_is_sent_again() {
    let machine = start(&with_bob(bob()));
    boot(&machine).sent_child(HOME).ends_well();
    machine.sh(&format!("truncate -s -1 {}", path()));
    boot(&machine).sent_child(HOME).ends_well();
    machine.sh(&format!(": >{}", path()));
    boot(&machine).sent_child(HOME).ends_well();
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f53_bit_rot_is_found_by_whoever_always_looks() {
    let machine = start(&with_bob(bob()));
    let payload = Payload::stub();
    let boot = || {
        let stage0 = payload.stage0().verify(Verify::Always);
        boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, payload)
    };
    boot().sent_child(HOME).ends_well();
    boot().cached_child().ends_well();
    machine.sh(&format!(
        "printf x | dd of={} bs=1 seek=100000 conv=notrunc 2>/dev/null",
        path()
    ));
    boot().sent_child(HOME).ends_well();
    boot().cached_child().ends_well();
}

#[test]
fn f53_a_running_child_does_not_mind_being_replaced() {
    let machine = start(&with_bob(bob()));
    let running = boot(&machine).child();
    machine.sh(&format!("rm {}", path()));
    boot(&machine).sent_child(HOME).ends_well();
    running.ends_well();
}

#[test]
fn t15_a_damaged_child_is_refused_everywhere() {
    let good = Payload::stub();
    let damaged = |plain: &dyn Fn(&mut Vec<u8>), gzip: &dyn Fn(&mut Vec<u8>)| {
        let mut payload = good.clone();
        plain(&mut payload.plain);
        gzip(&mut payload.gzip);
        payload
    };
    let flip = |bytes: &mut Vec<u8>| {
        let at = bytes.len() / 3;
        bytes[at] ^= 0x40;
    };
    let machine = start(&with_bob(bob()));
    for payload in [
        damaged(&flip, &flip),
        damaged(&flip, &|bytes| *bytes = vec![0; bytes.len()]),
    ] {
        // It was promised as what it should be.
        let stage0 = good.stage0();
        let booted = boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, &payload);
        let encodings: Vec<Encoding> = booted.uploads.iter().map(|(_, how)| *how).collect();
        assert_eq!(
            encodings,
            [
                Encoding::Gzip,
                Encoding::Plain,
                Encoding::Plain,
                Encoding::Plain
            ]
        );
        let faults: Vec<Refusal> = booted.refused().into_iter().map(|(_, why)| why).collect();
        assert!(matches!(faults[0], Refusal::Short | Refusal::Hash));
        assert_eq!(faults[1..], [Refusal::Hash; 3]);
        assert_eq!(files(&machine), "", "nothing of it is left");
    }
    boot(&machine).sent_child(HOME).ends_well();
}

#[test]
fn f51_what_was_left_long_ago_is_swept_and_the_rest_is_not() {
    // A temporary file is called after its nonce, a child after its hash.
    let [old, new] = ["0a", "1b"].map(|digits| format!(".{}", digits.repeat(16)));
    let [unused, used] = ["2c", "3d"].map(|digits| digits.repeat(32));
    let machine = start(&with_bob(bob()).run(&format!(
        "mkdir -p {HOME}; cd {HOME}
         touch -d '2 hours ago' {old} .other; touch {new}
         touch -d '40 days ago' {unused}; touch {used}; touch -d '40 days ago' 'odd
name'; mkdir -p sub; touch -d '2 hours ago' ../.other
         chmod 700 .; chown -R bob: /home/bob/.cache; cd /"
    )));
    boot(&machine).sent_child(HOME).ends_well();
    let left = machine.sh(&format!("ls -A {HOME} /home/bob/.cache"));
    let left: Vec<&str> = left.lines().filter(|line| !line.contains(HOME)).collect();
    let name = Payload::stub().name();
    let mut want = vec![
        ".other",
        "odd",
        "name",
        &new,
        &name,
        "sub",
        &used,
        "",
        "/home/bob/.cache:",
        ".other",
        "offshoot",
    ];
    want.sort_unstable();
    let mut sorted = left.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, want);
}

#[test]
fn f51_how_far_it_came_is_told() {
    let machine = start(&with_bob(bob()));
    let payload = Payload::stub();
    let weather = Weather {
        up: Trouble::CutAfter(100_000),
        ..Weather::default()
    };
    let line = machine.ssh_through(weather);
    let stage0 = payload.stage0();
    let ssh = machine.ssh_to(line.addr(), "bob");
    let BootstrapError::ClosedEarly { stage, .. } =
        boot_with(over_ssh(ssh, &stage0), &stage0, payload).error()
    else {
        panic!("it does not say that it closed");
    };
    assert_eq!(stage, ConnectStage::Upload);
}
