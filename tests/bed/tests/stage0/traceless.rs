//! Children that leave no file.

use offshoot_bed::{Home, Machine, User};
use offshoot_proto::bootstrap::{Encoding, Keep, Refusal};

use crate::driver::{
    Booted, NO_EXEC, NO_SCRIPTS, Payload, Tool, bob, boot_with, eventually, over_ssh, start,
    with_bob,
};

fn boot(machine: &Machine) -> Booted {
    let payload = Payload::stub();
    let stage0 = payload.stage0().keep(Keep::Nothing);
    boot_with(over_ssh(machine.ssh("bob"), &stage0), &stage0, payload)
}

/// Everything that changed where bob can write, but for what login itself leaves.
fn traces(machine: &Machine) -> String {
    machine.sh("find /home/bob /tmp /var/tmp /dev/shm -mindepth 1 -newer /etc/started | sort")
}

fn started(user: User) -> Machine {
    start(&with_bob(user).run("touch /etc/started; sleep 0.01"))
}

fn root_of(directory: &str) -> &str {
    directory.rsplit_once('/').unwrap().0
}

#[test]
fn f54_no_file_is_left_while_the_child_runs_nor_after() {
    let machine = started(bob());
    for _ in 0..2 {
        let booted = boot(&machine);
        let [(directory, Encoding::Gzip)] = &booted.uploads[..] else {
            panic!("{:?}", booted.uploads);
        };
        assert_eq!(root_of(directory), "/dev/shm");
        let child = booted.child();
        assert!(child.exe().ends_with(" (deleted)"), "{}", child.exe());
        assert_eq!(child.report["cwd"], "/home/bob");
        assert_eq!(child.report["umask"], "0022");
        assert_eq!(traces(&machine), "", "nothing is there while it runs");
        child.ends_well();
        assert_eq!(traces(&machine), "");
    }
}

#[test]
fn f54_no_file_is_left_in_places_that_will_not_do() {
    let machine = start(&with_bob(bob()).run(
        "mount -o remount,noexec /dev/shm; mount -t tmpfs -o size=200k,mode=1777 x /tmp
         touch /etc/started; sleep 0.01",
    ));
    let booted = boot(&machine);
    let places: Vec<&str> = booted.uploads.iter().map(|(to, _)| root_of(to)).collect();
    assert_eq!(places, ["/tmp", "/var/tmp"]);
    let child = booted.child();
    let left =
        || machine.sh("find /home/bob /tmp /var/tmp /dev/shm -mindepth 1 -name '*offshoot*'");
    assert_eq!(left(), "");
    child.ends_well();
    assert_eq!(left(), "");
}

#[test]
fn f54_a_home_will_do_where_nothing_else_does() {
    let machine = started(bob());
    machine.sh(NO_EXEC);
    let booted = boot(&machine);
    let places: Vec<&str> = booted.uploads.iter().map(|(to, _)| root_of(to)).collect();
    assert_eq!(places, ["/home/bob"]);
    booted.child().ends_well();
    assert_eq!(machine.sh("find /home/bob -name '*offshoot*'"), "");
}

#[test]
fn f34_nowhere_to_run_from_is_told_and_leaves_nothing() {
    let machine = start(
        &with_bob(bob().home(Home::NoExec))
            .run(NO_EXEC)
            .run(NO_SCRIPTS),
    );
    let booted = boot(&machine);
    assert_eq!(booted.uploads, []);
    let faults: Vec<Refusal> = booted.refused().into_iter().map(|(_, why)| why).collect();
    assert_eq!(faults[..4], [Refusal::NoExec; 4]);
    assert_eq!(faults[4..], [Refusal::Memory]);
    let left = machine.sh("find /home/bob /tmp /var/tmp /dev/shm -name '*offshoot*'");
    assert_eq!(left, "");
}

#[test]
fn f51_a_client_that_is_killed_leaves_no_trace() {
    let machine = started(bob());
    let stage0 = Payload::stub().stage0().keep(Keep::Nothing);
    let mut tool = Tool::start(over_ssh(machine.ssh("bob"), &stage0));
    tool.read().expect("an answer");
    tool.write(Payload::stub().gzip[..100_000].to_vec());
    eventually("the upload starts", || {
        traces(&machine).contains(stage0.nonce())
    });
    drop(tool);
    eventually("it is removed", || {
        machine
            .sh("find /home/bob /tmp /var/tmp /dev/shm -name '*offshoot*'")
            .is_empty()
    });
}
