//! The same command through `sudo`, `doas` and `su`.

use std::process::Command;

use offshoot_bed::{Builder, LOGIN_SHELLS, Machine, User};

use crate::driver::{Booted, Payload, bob, boot, boot_with, start, with_bob};

const ROOT_HOME: &str = "/root/.cache/offshoot";
const BOB_HOME: &str = "/home/bob/.cache/offshoot";

fn with_sudo(defaults: &str) -> Builder {
    with_bob(bob())
        .sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL")
        .sudoers(defaults)
}

/// Boots through a tool that starts programs itself, as bob.
fn boot_by(machine: &Machine, tool: &[&str]) -> Booted {
    let payload = Payload::stub();
    let stage0 = payload.stage0();
    let script = stage0.argv();
    let mut argv = tool.to_vec();
    argv.extend(script.iter().map(String::as_str));
    boot_with(machine.command_as("bob", &argv), &stage0, payload)
}

#[test]
fn f45_sudo_starts_a_child_cold_and_warm_however_it_is_set_up() {
    for defaults in [
        "Defaults lecture=always",
        "Defaults use_pty",
        "Defaults log_output",
        "Defaults log_input, log_output, use_pty",
        "Defaults env_reset, umask=0077, umask_override",
        "Defaults closefrom=3",
    ] {
        let machine = start(&with_sudo(defaults));
        let child = boot_by(&machine, &["sudo", "-n"]).sent_child(ROOT_HOME);
        assert_eq!(child.report["uid"], "0", "{defaults}");
        child.ends_well();
        boot_by(&machine, &["sudo", "-n"])
            .cached_child()
            .ends_well();
    }
}

#[test]
fn t15_root_never_runs_a_file_of_the_user_who_became_root() {
    for defaults in [
        "Defaults env_keep += \"HOME XDG_CACHE_HOME PATH\", !secure_path, !set_home, !always_set_home",
        "Defaults !env_reset",
    ] {
        let machine = start(&with_sudo(defaults));
        boot(&machine).sent_child(BOB_HOME).ends_well();
        let sudo = ["env", "XDG_CACHE_HOME=/home/bob/.cache", "sudo", "-n"];
        for _ in ["as it is", "with a cache that is open to all"] {
            let booted = boot_by(&machine, &sudo);
            let child = booted.child();
            assert_eq!(child.report["uid"], "0");
            assert!(
                ["/root/", "/var/tmp/offshoot-0/"]
                    .iter()
                    .any(|own| child.exe().starts_with(own)),
                "{defaults}: {}",
                child.exe()
            );
            child.ends_well();
            machine.sh(&format!("chmod 777 {BOB_HOME} {BOB_HOME}/*"));
        }
        // And it leaves nothing there that bob could not remove.
        let roots = machine.sh("find /home/bob -user root");
        assert_eq!(roots, "", "{defaults}");
        let owner =
            machine.sh("stat -c %U /root/.cache/offshoot /var/tmp/offshoot-0 2>/dev/null || :");
        assert_eq!(owner, "root");
    }
}

#[test]
fn t15_root_never_runs_from_a_directory_that_a_user_squats() {
    let name = Payload::stub().name();
    let size = Payload::stub().plain.len();
    let machine = start(
        &with_sudo("Defaults env_keep += HOME, !set_home, !always_set_home").run(&format!(
            "mkdir -m 1777 /srv/victims
             mkdir -m 700 /var/tmp/offshoot-0
             printf '#!/bin/sh\\ntouch /srv/victims/$(id -un)\\n' >/var/tmp/offshoot-0/{name}
             truncate -s {size} /var/tmp/offshoot-0/{name}
             chmod 700 /var/tmp/offshoot-0/{name}; chown -R bob: /var/tmp/offshoot-0"
        )),
    );
    let sudo = ["env", "HOME=/home/bob", "sudo", "-n"];
    boot_by(&machine, &sudo)
        .sent_child("/tmp/offshoot-0")
        .ends_well();
    boot_by(&machine, &sudo).cached_child().ends_well();
    assert_eq!(machine.sh("ls -A /srv/victims"), "");
}

#[test]
fn t15_root_never_runs_a_file_that_a_user_owns() {
    let payload = Payload::stub();
    for mode in ["700", "600"] {
        let machine = start(&with_sudo("Defaults set_home").run(&format!(
            "mkdir -m 1777 /srv/victims
             mkdir -p -m 700 {ROOT_HOME}; chmod 700 {ROOT_HOME}
             printf '#!/bin/sh\\ntouch /srv/victims/$(id -un)\\n' >{ROOT_HOME}/{0}
             truncate -s {1} {ROOT_HOME}/{0}
             chown bob: {ROOT_HOME}/{0}; chmod {mode} {ROOT_HOME}/{0}",
            payload.name(),
            payload.plain.len()
        )));
        boot_by(&machine, &["sudo", "-n"])
            .sent_child(ROOT_HOME)
            .ends_well();
        boot_by(&machine, &["sudo", "-n"])
            .cached_child()
            .ends_well();
        assert_eq!(machine.sh("ls -A /srv/victims"), "");
    }
}

#[test]
fn t15_a_program_of_the_users_own_is_not_found_in_the_current_directory() {
    // An empty path means the current directory.
    let machine = start(
        &with_sudo("Defaults !secure_path, env_keep += PATH, !env_reset").run(
            "mkdir -m 1777 /srv/victims; mkdir /srv/trap; cd /srv/trap
             for p in uname ls id mkdir chmod head gzip cat sha256sum; do
               printf '#!/bin/sh\\ntouch /srv/victims/$(/usr/bin/id -un)\\n' >$p
             done; chmod 755 *; cd /",
        ),
    );
    let script = "cd /srv/trap && exec /usr/bin/env PATH= /usr/bin/sudo -n \"$@\"";
    let booted = boot_by(&machine, &["sh", "-c", script, "sh"]);
    booted.child().ends_well();
    assert_eq!(machine.sh("ls -A /srv/victims"), "");
}

#[test]
fn f47_doas_starts_a_child() {
    let machine = start(&with_bob(bob()).doas("permit nopass bob as root"));
    for warm in [false, true] {
        let booted = boot_by(&machine, &["doas", "-n"]);
        assert_eq!(booted.uploads.is_empty(), warm);
        let child = booted.child();
        assert_eq!(child.report["uid"], "0");
        child.ends_well();
    }
}

#[test]
fn f47_su_starts_a_child_under_every_login_shell() {
    let mut builder = Machine::builder();
    for (name, path) in LOGIN_SHELLS {
        builder = builder.user(User::new(name).shell(path));
    }
    let machine = start(&builder);
    let su = |name: &str| -> Booted {
        let payload = Payload::stub();
        let stage0 = payload.stage0();
        let command: Command = machine.command(&["su", name, "-c", &stage0.command()]);
        boot_with(command, &stage0, payload)
    };
    for (name, _) in LOGIN_SHELLS {
        su(name)
            .sent_child(&format!("/home/{name}/.cache/offshoot"))
            .ends_well();
        su(name).cached_child().ends_well();
    }
}

#[test]
fn f46_what_sudo_says_is_kept() {
    let machine = start(&with_bob(bob()));
    let booted = boot_by(&machine, &["sudo", "-n"]);
    assert!(
        booted.errors.contains("password is required"),
        "{}",
        booted.errors
    );
    assert_eq!(booted.uploads, []);
    booted.error();
}
