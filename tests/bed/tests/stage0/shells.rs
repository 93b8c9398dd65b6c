//! Login shells of every kind, and what their start-up files do.

use offshoot_bed::{LOGIN_SHELLS, Machine, SshdOptions, User};
use offshoot_proto::bootstrap::{BootstrapError, Encoding, Keep};
use offshoot_proto::control::ConnectStage;

use crate::driver::{Payload, bob, boot, boot_as, boot_with, over_ssh, start, with_bob};

const CACHED: &str = ".cache/offshoot";

/// A machine with a user for each login shell, made by `user` from its name.
fn every_shell(user: impl Fn(&str, User) -> User) -> Machine {
    let mut builder = Machine::builder().sshd(SshdOptions::default());
    for (name, path) in LOGIN_SHELLS {
        builder = builder.user(user(name, User::new(name).shell(path)));
    }
    start(&builder)
}

#[test]
fn f39_every_login_shell_starts_a_child_cold_and_warm() {
    let machine = every_shell(|_, user| user);
    for (name, _) in LOGIN_SHELLS {
        let home = format!("/home/{name}");
        let cold = boot_as(&machine, name);
        assert_eq!(
            cold.uploads,
            [(format!("{home}/{CACHED}"), Encoding::Gzip)],
            "{name}"
        );
        let child = cold.child();
        let exe = format!("{home}/{CACHED}/{}", Payload::stub().name());
        assert_eq!(child.exe(), exe);
        // What a program finds around it is what it would have found without us.
        assert_eq!(child.report["directory"], home);
        assert_eq!(child.report["home"], home);
        let path = machine
            .ssh(name)
            .arg("/usr/bin/printenv PATH")
            .output()
            .unwrap();
        let path = String::from_utf8(path.stdout).unwrap();
        assert_eq!(child.report["path"], path.trim(), "{name}");
        assert_eq!(child.report["umask"], "0022");
        assert!(child.ends_well().contains("the stub's own error stream"));
        let warm = boot_as(&machine, name).cached_child();
        assert_eq!(warm.exe(), exe);
        assert!(warm.ends_well().contains("the stub's own error stream"));
    }
}

#[test]
fn the_command_as_it_is_written_does_what_is_sent() {
    let machine = start(&with_bob(bob()));
    for shell in [
        "/bin/bash --posix",
        "/bin/dash",
        "/bin/busybox sh",
        "/bin/mksh",
        "/bin/zsh --emulate sh",
    ] {
        for keep in [Keep::Cache, Keep::Nothing] {
            let payload = Payload::stub();
            let stage0 = payload.stage0().keep(keep);
            let [_, option, sent] = stage0.argv();
            let [written, sent] = [stage0.source(), sent].map(|text| {
                let mut argv: Vec<&str> = shell.split(' ').collect();
                argv.extend([&*option, &*text]);
                let mut booted = boot_with(machine.command_as("bob", &argv), &stage0, payload);
                let uploads = std::mem::take(&mut booted.uploads);
                booted.child().ends_well();
                machine.sh("rm -rf /home/bob/.cache");
                uploads.len()
            });
            assert_eq!([written, sent], [1, 1], "{shell}");
        }
    }
}

#[test]
fn f39_every_kind_of_bin_sh_understands_the_command() {
    for shell in [
        "/bin/bash",
        "/bin/dash",
        "/bin/busybox",
        "/bin/mksh",
        "/bin/zsh",
    ] {
        let machine = start(&with_bob(bob()).run(&format!("ln -sf {shell} /usr/bin/sh")));
        boot(&machine)
            .sent_child("/home/bob/.cache/offshoot")
            .ends_well();
        boot(&machine).cached_child().ends_well();
    }
}

#[test]
fn f39_dropbear_is_as_good_a_server() {
    let machine = start(&Machine::builder().dropbear().user(bob()));
    let boot = || {
        let payload = Payload::stub();
        let stage0 = payload.stage0();
        boot_with(
            over_ssh(machine.ssh_to_dropbear("bob"), &stage0),
            &stage0,
            payload,
        )
    };
    boot().sent_child("/home/bob/.cache/offshoot").ends_well();
    boot().cached_child().ends_well();
}

/// The file that each shell reads although it is not interactive, and how it prints there.
const CHATTER: &[(&str, &str, &str)] = &[
    ("bash", ".bashrc", "printf"),
    ("zsh", ".zshenv", "printf"),
    ("tcsh", ".tcshrc", "printf"),
    ("fish", ".config/fish/config.fish", "printf"),
];

#[test]
fn f39_noise_before_the_marker_does_not_matter() {
    for (noise, printed) in [
        ("Welcome!\\n", "Welcome!\n"),
        ("no newline", "no newline"),
        ("OFFSHOOT ", "OFFSHOOT "),
        ("a:need:0:cat:/tmp\\nb", "a:need:0:cat:/tmp\nb"),
    ] {
        let machine = every_shell(|name, user| {
            let chatter = CHATTER.iter().find(|(shell, ..)| *shell == name);
            match chatter {
                Some((_, file, print)) => user.file(file, &format!("{print} \"{noise}\"\n")),
                None => user,
            }
        });
        for (name, ..) in CHATTER {
            for _ in ["cold", "warm"] {
                let child = boot_as(&machine, name).child();
                let text = String::from_utf8_lossy(&child.noise).into_owned();
                assert_eq!(text, printed, "{name}");
                child.ends_well();
            }
        }
    }
}

#[test]
fn f39_a_login_script_that_reads_its_input_finds_none() {
    for script in [
        "read -t 0.2 x; echo \"got <$x>\"",
        "timeout 0.2 cat; echo 'got <>'",
    ] {
        let machine = start(&with_bob(bob().file(".bashrc", script)));
        for _ in ["cold", "warm"] {
            let child = boot(&machine).child();
            assert_eq!(child.noise, b"got <>\n");
            child.ends_well();
        }
    }
}

#[test]
fn f49_banners_and_words_like_password_do_not_matter() {
    let options = SshdOptions::default()
        .line("Banner /etc/banner")
        .line("PrintMotd yes");
    let machine = start(
        &Machine::builder()
            .sshd(options)
            .user(bob().file(".bashrc", "echo 'Password: '"))
            .run("echo 'Enter password:' >/etc/banner; cp /etc/banner /etc/motd"),
    );
    boot(&machine).child().ends_well();
    boot(&machine).cached_child().ends_well();
}

#[track_caller]
fn refuses(machine: &Machine, words: &str) {
    let booted = boot(machine);
    assert_eq!(booted.uploads, [], "nothing is sent to nobody");
    let errors = booted.errors.clone();
    let BootstrapError::ClosedEarly { stage, printed } = booted.error() else {
        panic!("it does not say that it closed");
    };
    assert_eq!(stage, ConnectStage::Command);
    let all = format!("{printed} {errors}");
    assert!(all.contains(words), "{all}");
}

#[test]
fn f38_nologin_is_quoted() {
    refuses(
        &start(&with_bob(bob().shell("/usr/sbin/nologin"))),
        "This account is currently not available.",
    );
}

#[test]
fn f38_a_shell_that_only_fails_printed_nothing() {
    let machine = start(&with_bob(bob().shell("/bin/false")));
    refuses(&machine, "");
    let text = boot(&machine).error().to_string();
    assert!(text.ends_with("; it printed nothing"), "{text}");
}

#[test]
fn f38_a_forced_command_is_quoted() {
    for forced in [
        "/bin/echo only backups here",
        "/bin/sh -c 'echo only backups here; exit 3'",
    ] {
        let options = SshdOptions::default()
            .last("Match User bob")
            .last(&format!("ForceCommand {forced}"));
        let machine = start(&Machine::builder().sshd(options).user(bob()));
        refuses(&machine, "only backups here");
    }
}

#[test]
fn f38_a_forced_command_that_shows_ours_fakes_no_answer() {
    let options = SshdOptions::default()
        .last("Match User bob")
        .last("ForceCommand echo \"no: $SSH_ORIGINAL_COMMAND\"");
    let machine = start(&Machine::builder().sshd(options).user(bob()));
    refuses(&machine, "no: exec /bin/sh -c");
}

#[test]
fn f38_a_restricted_shell_is_quoted() {
    let machine = start(&with_bob(bob().shell("/bin/rbash")));
    refuses(&machine, "restricted");
}
