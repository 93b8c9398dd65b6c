//! Directories and files that others prepared. None of them is ever run.

use offshoot_bed::{Builder, Machine, User};

use crate::driver::{NO_SCRIPTS, Payload, bob, boot, start, with_bob};

const HOME: &str = "/home/bob/.cache/offshoot";
const FIRST: &str = "/var/tmp/offshoot-1000";
const SECOND: &str = "/tmp/offshoot-1000";

/// A machine on which eve has a program with the child's size. When anybody runs it, it says so.
/// Bob's home is no good, so that what anybody can reach is looked at.
fn with_eve(script: &str) -> Builder {
    let size = Payload::stub().plain.len();
    let hash = Payload::stub().name();
    with_bob(bob()).user(User::new("eve")).run(&format!(
        "H={hash}; mkdir -m 1777 /srv/victims; mkdir -m 755 /srv/evil
         printf '#!/bin/sh\\ntouch /srv/victims/$(id -un)\\nexit 0\\n' >/srv/evil/$H
         truncate -s {size} /srv/evil/$H
         chmod 755 /srv/evil/$H; chown -R eve /srv/evil
         as() {{ setpriv --reuid=$1 --regid=$1 --clear-groups -- /bin/sh -ec \"H=$H; $2\"; }}
         {script}"
    ))
}

const NO_CACHE: &str = "rm -rf /home/bob/.cache; ln -s /nowhere /home/bob/.cache;";

#[track_caller]
fn nobody_ran_it(machine: &Machine) {
    assert_eq!(machine.sh("ls -A /srv/victims"), "", "somebody ran it");
}

/// That the child goes to `directory` whatever eve did, is the right one, and is found again.
#[track_caller]
fn survives(script: &str, directory: &str) -> Machine {
    let machine = start(&with_eve(script));
    // It is no use if it would not run.
    machine.sh(&format!(
        "/srv/evil/{}; rm /srv/victims/root",
        Payload::stub().name()
    ));
    for booted in [
        boot(&machine).sent_child(directory),
        boot(&machine).cached_child(),
    ] {
        let exe = booted.exe().to_owned();
        assert!(exe.starts_with(directory), "{exe}");
        let hash = machine.sh(&format!("sha256sum {exe} | cut -d' ' -f1"));
        assert_eq!(hash, Payload::stub().name());
        let listing = machine.sh(&format!("stat -c '%F %a %U' {exe}"));
        assert_eq!(listing, "regular file 700 bob");
        booted.ends_well();
    }
    nobody_ran_it(&machine);
    machine
}

#[test]
fn t15_a_squatted_directory_is_not_entered() {
    let machine = survives(
        &format!("{NO_CACHE} as eve 'mkdir -m 777 {FIRST}; cp /srv/evil/$H {FIRST}'"),
        SECOND,
    );
    assert_eq!(machine.sh(&format!("ls -A {FIRST} | wc -l")), "1");
}

#[test]
fn t15_a_closed_squatted_directory_is_not_entered() {
    survives(&format!("{NO_CACHE} as eve 'mkdir -m 700 {FIRST}'"), SECOND);
    survives(&format!("{NO_CACHE} as eve ': >{FIRST}'"), SECOND);
}

#[test]
fn t15_a_link_to_a_directory_of_others_is_not_followed() {
    survives(
        &format!("{NO_CACHE} as eve 'ln -s /srv/evil {FIRST}'"),
        SECOND,
    );
}

#[test]
fn t15_a_link_into_the_victims_own_directory_is_not_followed() {
    let machine = survives(
        &format!(
            "{NO_CACHE} mkdir -m 700 /home/bob/.ssh; chown bob /home/bob/.ssh
             as eve 'ln -s /home/bob/.ssh {FIRST}'"
        ),
        SECOND,
    );
    assert_eq!(machine.sh("ls -A /home/bob/.ssh"), "");
}

#[test]
fn t15_all_places_squatted_is_an_error() {
    let machine = start(&with_eve(&format!(
        "{NO_CACHE} as eve 'for d in /var/tmp /tmp /dev/shm; do
           mkdir -m 755 $d/offshoot-1000; cp /srv/evil/$H $d/offshoot-1000; done'; {NO_SCRIPTS}"
    )));
    let booted = boot(&machine);
    assert_eq!(booted.uploads, []);
    assert_eq!(booted.refused().len(), 5);
    nobody_ran_it(&machine);
}

#[test]
fn t15_a_home_cache_that_leads_elsewhere_is_not_used() {
    survives(
        &format!("mkdir -p /home/bob/.cache; ln -s /srv/evil {HOME}"),
        FIRST,
    );
    survives(
        "rm -rf /home/bob/.cache; chmod 777 /srv/evil; ln -s /srv/evil /home/bob/.cache
              as eve 'mkdir -m 777 /srv/evil/offshoot; cp /srv/evil/$H /srv/evil/offshoot'",
        FIRST,
    );
}

/// Something in bob's own directory that he did not put there, from a time when it was open.
#[track_caller]
fn survives_in_own(script: &str) {
    survives(
        &format!(
            "mkdir -p {HOME}; chown -R bob: /home/bob/.cache; chmod 777 {HOME}
             as eve 'cd {HOME}; {script}'; chmod 700 {HOME}"
        ),
        HOME,
    );
}

#[test]
fn t15_a_file_of_others_in_ones_own_directory_is_replaced() {
    survives_in_own("cp /srv/evil/$H .; chmod 777 $H");
    survives_in_own("cp /srv/evil/$H .; chmod 700 $H");
}

#[test]
fn t15_a_link_in_ones_own_directory_is_replaced() {
    survives_in_own("ln -s /srv/evil/$H $H");
}

#[test]
fn t15_a_file_that_others_could_write_is_replaced() {
    for mode in ["777", "722", "770", "755", "4700"] {
        survives(
            &format!(
                "mkdir -p {HOME}; cp /srv/evil/$H {HOME}; chown -R bob: /home/bob/.cache
                 chmod 700 {HOME}; chmod {mode} {HOME}/$H"
            ),
            HOME,
        );
    }
}

#[test]
fn t15_a_directory_that_others_could_write_is_not_used() {
    for mode in ["777", "770", "755", "701"] {
        survives(
            &format!(
                "mkdir -p {HOME}; cp /srv/evil/$H {HOME}; chown -R bob: /home/bob/.cache
                 chmod 700 {HOME}/$H; chmod {mode} {HOME}"
            ),
            FIRST,
        );
    }
}
