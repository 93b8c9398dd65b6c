//! Ways of others to have the command work in a place, or with a program, that is not its own.

use offshoot_bed::{Home, Machine, User};

use crate::driver::{Booted, NO_EXEC, Payload, bob, boot, boot_with, start, with_bob};

const HOME: &str = "/home/bob/.cache/offshoot";

/// A program that tells who ran it, under each of the names that the command uses.
const TRAP: &str = "mkdir -m 1777 /srv/victims; mkdir /srv/trap
    for p in uname ls id mkdir chmod head gzip cat wc find mv rm env sha256sum perl python3; do
      printf '#!/bin/sh\\n: >/srv/victims/%s\\n' $p >/srv/trap/$p
    done; chmod 755 /srv/trap/*";

/// That a command of the machine's root becomes a child; `edit` changes the script.
fn boot_as_root(machine: &Machine, edit: impl Fn(&str) -> String) -> Booted {
    let payload = Payload::stub();
    let stage0 = payload.stage0();
    let [shell, option, script] = stage0.argv();
    let command = machine.command(&["env", "HOME=/root", shell.as_str(), &option, &edit(&script)]);
    boot_with(command, &stage0, payload)
}

/// The script, with somebody else's program run right before a directory is entered: the moment
/// in which a race is won.
fn with_a_swap(script: &str) -> String {
    let (before, function) = script.split_once("k(){ ").unwrap();
    let (checks, entering) = function.split_once("cd ").unwrap();
    format!("{before}k(){{ {checks}/srv/swap \"$1\";cd {entering}")
}

#[test]
fn t15_a_directory_that_is_swapped_for_a_link_is_not_worked_in() {
    let machine = start(&Machine::builder().run(
        "rm -rf /root/.cache; ln -s /nowhere /root/.cache; chmod 700 /root
         mkdir -p /root/deep; echo mine >/root/.profile; echo mine >/root/deep/.kept
         touch -d '3 months ago' /root/.profile /root/deep/.kept
         printf '#!/bin/sh\\n[ $1 = /var/tmp/offshoot-0 ]&&[ -d $1 ]&&rm -r $1&&ln -s /root $1' >/srv/swap
         chmod 755 /srv/swap",
    ));
    let files = || machine.sh("find /root -type f | sort");
    let before = files();
    boot_as_root(&machine, with_a_swap)
        .sent_child("/tmp/offshoot-0")
        .ends_well();
    assert_eq!(files(), before);
}

#[test]
fn t15_only_files_of_our_names_are_swept_and_only_right_there() {
    let machine = start(&with_bob(bob()));
    boot(&machine).sent_child(HOME).ends_well();
    let nonce = "0123456789abcdef".repeat(2);
    let hash = nonce.repeat(2);
    machine.sh(&format!(
        "cd {HOME}; rm *; mkdir -p sub/.{nonce} {hash}
         touch .profile notes .{nonce} sub/.{nonce}/.{nonce} sub/{hash} {hash}/{hash} {hash}0
         find . -type f -exec touch -d '3 months ago' {{}} +; chown -R bob: ."
    ));
    boot(&machine).sent_child(HOME).ends_well();
    let left = machine.sh(&format!("cd {HOME}; find . -type f | sort"));
    let kept = format!(
        "./.profile\n./{hash}/{hash}\n./{hash}0\n./notes\n./sub/.{nonce}/.{nonce}\n./sub/{hash}"
    );
    let mut kept: Vec<&str> = kept.lines().collect();
    let child = format!("./{}", Payload::stub().name());
    kept.push(&child);
    kept.sort_unstable();
    assert_eq!(left.lines().collect::<Vec<_>>(), kept);
}

#[test]
fn t15_the_systems_own_tools_come_before_those_in_the_callers_path() {
    let machine = start(
        &with_bob(bob())
            .sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL")
            .sudoers("Defaults !secure_path, env_keep += PATH, !env_reset")
            .run(TRAP)
            // What the system does not have is not taken from there, either.
            .run("rm -f /usr/bin/gzip"),
    );
    let payload = Payload::stub();
    let stage0 = payload.stage0();
    let [shell, option, script] = stage0.argv();
    let path = "PATH=/srv/trap:/usr/bin:/bin";
    let argv = [
        "/usr/bin/env",
        path,
        "/usr/bin/sudo",
        "-n",
        &shell,
        &option,
        &script,
    ];
    let child = boot_with(machine.command_as("bob", &argv), &stage0, payload).child();
    assert_eq!(child.report["uid"], "0");
    child.ends_well();
    assert_eq!(machine.sh("ls -A /srv/victims"), "");
}

#[test]
fn t15_functions_that_the_caller_exported_are_not_called() {
    let names = "cat cd chmod command echo env find gzip head id ls mkdir mv rm umask uname wc";
    let exports: String = names
        .split(' ')
        .map(|name| {
            format!(
                "eval 'function {name} {{ builtin echo >/srv/victims/{name}; }}'; \
                 builtin export -f {name}\n"
            )
        })
        .collect();
    let machine = start(
        &with_bob(bob().file(".bashrc", &exports))
            .run("mkdir -m 1777 /srv/victims; ln -sf /bin/bash /usr/bin/sh"),
    );
    boot(&machine).sent_child(HOME).ends_well();
    boot(&machine).cached_child().ends_well();
    assert_eq!(machine.sh("ls -A /srv/victims"), "");
}

#[test]
fn t15_perl_and_python_load_nothing_that_the_caller_names() {
    for hidden in ["perl", "python3"] {
        let machine = start(
            &with_bob(bob().home(Home::NoExec))
                .user(User::new("eve"))
                .run(&format!(
                    "mkdir -m 1777 /srv/victims; mkdir -p /srv/trap/Digest; cd /srv/trap
                 echo 'open(F,q(>/srv/victims/perl));1;' | tee evil.pm strict.pm Digest/SHA.pm
                 echo 'open(\"/srv/victims/python\",\"w\")' |
                   tee os.py hashlib.py sitecustomize.py usercustomize.py
                 {NO_EXEC}; rm -f /usr/bin/{hidden}*"
                )),
        );
        machine.write(
            "/home/bob/.bashrc",
            b"cd /srv/trap; export PERL5OPT=-Mevil PERL5LIB=/srv/trap PERLLIB=/srv/trap \
              PYTHONPATH=/srv/trap PYTHONSTARTUP=/srv/trap/os.py PYTHONHOME=/srv/trap \
              OPENSSL_CONF=/srv/trap/evil.pm PATH=/srv/trap:$PATH\n",
            "644",
        );
        let child = boot(&machine).sent_child("memory");
        assert!(child.exe().starts_with("/memfd:"), "{}", child.exe());
        assert_eq!(child.report["cwd"], "/srv/trap");
        assert!(child.report["path"].starts_with("/srv/trap:"));
        child.ends_well();
        assert_eq!(machine.sh("ls -A /srv/victims"), "");
    }
}

#[test]
fn t15_nothing_is_made_in_the_home_of_another() {
    let machine = start(&with_bob(bob()).run("mkdir -m 700 /srv/mine; mkdir -m 777 /srv/theirs"));
    let edit =
        |script: &str| format!("HOME=/home/bob XDG_CACHE_HOME=/srv/mine;cd /srv/theirs;{script}");
    boot_as_root(&machine, edit)
        .sent_child("/var/tmp/offshoot-0")
        .ends_well();
    let relative = |script: &str| format!("HOME=. XDG_CACHE_HOME=.;cd /srv/mine;{script}");
    boot_as_root(&machine, relative).cached_child().ends_well();
    let made = "find /home/bob -user root; ls -A /srv/mine /srv/theirs | grep -v :; :";
    assert_eq!(machine.sh(made).trim(), "");
}
