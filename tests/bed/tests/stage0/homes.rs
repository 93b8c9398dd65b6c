//! Homes that cannot hold a child.

use offshoot_bed::Home;
use offshoot_proto::bootstrap::{Encoding, Refusal};

use crate::driver::{NO_EXEC, NO_SCRIPTS, bob, boot, start, with_bob};

const HOME: &str = "/home/bob/.cache/offshoot";
const NEXT: &str = "/var/tmp/offshoot-1000";

/// That a child is sent past a bad home, and found again.
#[track_caller]
fn goes_next_door(home: Home) {
    let machine = start(&with_bob(bob().home(home)));
    let child = boot(&machine).sent_child(NEXT);
    assert!(child.exe().starts_with(NEXT), "{}", child.exe());
    child.ends_well();
    assert_eq!(machine.sh(&format!("stat -c %a:%U {NEXT}")), "700:bob");
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f33_a_read_only_home_is_passed_by() {
    goes_next_door(Home::ReadOnly);
}

#[test]
fn f33_a_noexec_home_is_passed_by() {
    goes_next_door(Home::NoExec);
}

#[test]
fn f33_a_missing_home_is_passed_by() {
    goes_next_door(Home::Missing);
}

#[test]
fn f32_a_full_home_is_passed_by() {
    goes_next_door(Home::Full);
}

#[test]
fn f32_a_home_that_fills_up_is_left_clean() {
    let machine = start(&with_bob(bob().home(Home::Small(256))));
    let booted = boot(&machine);
    let want = [
        (HOME.to_owned(), Encoding::Gzip),
        (NEXT.to_owned(), Encoding::Plain),
    ];
    assert_eq!(booted.uploads, want);
    booted.child().ends_well();
    assert_eq!(machine.sh(&format!("ls -A {HOME}")), "");
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f33_an_unset_home_is_passed_by() {
    let machine = start(&with_bob(bob().file(".bashrc", "unset HOME")));
    let child = boot(&machine).sent_child(NEXT);
    assert_eq!(child.report["home"], "unset");
    child.ends_well();
    boot(&machine).cached_child().ends_well();
}

#[test]
fn f33_a_cache_home_is_honoured_if_it_is_ours() {
    let machine = start(
        &with_bob(bob().file(".bashrc", "export XDG_CACHE_HOME=/srv/$CACHE\n"))
            .user(offshoot_bed::User::new("eve"))
            .run("mkdir -m 777 /srv/theirs; mkdir /srv/mine; chown bob /srv/mine"),
    );
    let at = |cache: &str| {
        machine.write(
            "/home/bob/.bashrc",
            format!("export XDG_CACHE_HOME=/srv/{cache}\n").as_bytes(),
            "644",
        );
        boot(&machine)
    };
    at("mine").sent_child("/srv/mine/offshoot").ends_well();
    at("theirs").sent_child(HOME).ends_well();
    assert_eq!(machine.sh("ls -A /srv/theirs"), "");
}

#[test]
fn f33_a_home_with_an_odd_name_is_a_home() {
    for name in [
        "it is",
        "a;b&c|d",
        "$HOME`id`",
        "*",
        "-n",
        "it'\\''s",
        "\"",
        "x:y",
        "é",
    ] {
        let setup = format!("h='/srv/{name}'; mkdir -p -- \"$h\"; export HOME=\"$h\"\n");
        let machine = start(&with_bob(bob().file(".bashrc", &setup)).run("chmod 1777 /srv"));
        let name = name.replace("'\\''", "'");
        let cache = format!("/srv/{name}/.cache/offshoot");
        let child = boot(&machine).sent_child(&cache);
        assert!(child.exe().starts_with(&cache), "{}", child.exe());
        child.ends_well();
        boot(&machine).cached_child().ends_well();
    }
}

#[test]
fn f34_where_no_file_may_run_memory_will_do() {
    for hidden in ["perl", "python3"] {
        let machine = start(
            &with_bob(bob().home(Home::NoExec))
                .run(NO_EXEC)
                .run(&format!("rm -f /usr/bin/{hidden}*")),
        );
        let booted = boot(&machine);
        assert_eq!(booted.uploads, [("memory".to_owned(), Encoding::Plain)]);
        let child = booted.child();
        assert!(child.exe().starts_with("/memfd:"), "{}", child.exe());
        assert_eq!(child.report["cwd"], "/home/bob");
        assert_eq!(child.report["umask"], "0022");
        child.ends_well();
        let left = machine.sh("find /home/bob /tmp /var/tmp /dev/shm -type f -path '*offshoot*'");
        assert_eq!(left, "");
    }
}

#[test]
fn f34_each_directory_that_runs_nothing_is_named() {
    let machine = start(
        &with_bob(bob().home(Home::NoExec))
            .run(NO_EXEC)
            .run(NO_SCRIPTS),
    );
    let booted = boot(&machine);
    assert_eq!(booted.uploads, [], "nothing is sent where it cannot run");
    let all = [HOME, NEXT, "/tmp/offshoot-1000", "/dev/shm/offshoot-1000"];
    let mut want: Vec<_> = all.map(|path| (path.to_owned(), Refusal::NoExec)).into();
    want.push(("memory".to_owned(), Refusal::Memory));
    assert_eq!(booted.refused(), want);
    let left = machine.sh("find /home/bob /tmp /var/tmp /dev/shm -type f -path '*offshoot*'");
    assert_eq!(left, "");
}

#[test]
fn f34_each_directory_is_named_with_its_own_fault() {
    let machine = start(
        &with_bob(bob().home(Home::Missing))
            .run(
                "mount -o remount,ro /tmp; mount -o remount,noexec /var/tmp
         mount -t tmpfs -o size=200k,mode=1777 x /dev/shm",
            )
            .run(NO_SCRIPTS),
    );
    let refused = boot(&machine).refused();
    let want = [
        ("/home/bob", Refusal::Home),
        (NEXT, Refusal::NoExec),
        ("/tmp/offshoot-1000", Refusal::Directory),
        ("/dev/shm/offshoot-1000", Refusal::Short),
        ("memory", Refusal::Memory),
    ];
    assert_eq!(refused, want.map(|(path, why)| (path.to_owned(), why)));
}

#[test]
fn f33_a_cache_that_became_noexec_is_passed_by() {
    let machine = start(&with_bob(bob().home(Home::Small(20_000))));
    boot(&machine).sent_child(HOME).ends_well();
    machine.sh("mount -o remount,noexec /home/bob");
    boot(&machine).sent_child(NEXT).ends_well();
}
