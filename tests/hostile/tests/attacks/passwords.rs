//! Users and servers that try to be given the password of another.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use e2e::with_router;
use offshoot::{CheckHostKeys, Context, Error, Keep, Router, Ssh};
use offshoot_bed::{Builder, Machine, SshdOptions, User};

/// Bob's password, which mallory wants.
const PASSWORD: &str = "corr3ct-h0rse";

/// Waits until the tool that has started this shell is gone.
const UNTIL_ALONE: &str = "until case $(cat /proc/$PPID/stat 2>/dev/null) in '' | *') Z '*) ;; \
    *) false;; esac; do sleep 0.02; done";

/// Waits until the attack is over.
const OVER: &str = "timeout 20 sh -c 'until [ -e /tmp/loot/over ]; do sleep 0.02; done'";

/// A machine with bob, who has a password, and mallory, whose login shell runs `attack`.
fn machine(attack: &str) -> Builder {
    Machine::builder()
        .sshd(SshdOptions::default())
        .user(User::new("bob").password(PASSWORD))
        .user(
            User::new("mallory")
                .shell("/home/mallory/shell")
                .file("shell", &format!("#!/bin/bash\n{attack}\n")),
        )
        .run("chmod 755 /home/mallory /home/mallory/shell; mkdir -m 777 /tmp/loot")
}

fn bob(router: &Router, machine: &Machine) -> Ssh {
    router
        .ssh("127.0.0.1")
        .port(machine.ssh_addr().port())
        .username("bob")
        .identity_file(machine.identity().to_str().unwrap())
        .check_host_keys(CheckHostKeys::Ignore)
}

/// Becomes mallory with bob's password, and shows that mallory did not get it.
fn keeps_it(builder: &Builder, become_mallory: impl AsyncFnOnce(&Router, &Context) -> Hop) {
    let machine = builder.start().unwrap_or_else(|error| panic!("{error}"));
    with_router(async |router| {
        let bob = bob(&router, &machine).await.unwrap();
        let made = become_mallory(&router, &bob).await;
        let error = made.err().map(|error| error.to_string());
        assert!(
            error.as_deref().is_none_or(|text| !text.contains(PASSWORD)),
            "{error:?}"
        );
        machine.sh(OVER);
        let loot = machine.sh("cat /tmp/loot/*");
        assert!(!loot.contains(PASSWORD), "{loot}; {error:?}");
        assert!(loot.contains("asked"), "the attack was made: {loot}");
        let error = error.expect("the hop is refused");
        assert!(error.contains("password was withheld"), "{error}");
    });
}

type Hop = Result<Context, Error>;

/// A process that is left behind: it prints a prompt where the tool does, and reads where the tool
/// would.
fn left_behind(wait: &str) -> String {
    format!(
        "exec 3<&0\n({wait}; echo asked >/tmp/loot/asked; printf 'Password: ' >&2; \
         IFS= read -r -t 5 word <&3; echo \"$word\" >/tmp/loot/word; : >/tmp/loot/over) &\nexit 1"
    )
}

/// A process that asks on the terminal, with the echo off.
fn asks_on_terminal(prompt: &str) -> String {
    format!(
        "trap '' HUP; exec 4<>/dev/tty; stty -echo <&4; echo asked >/tmp/loot/asked; printf %s \"{prompt}\" >&4\n\
         IFS= read -r -t 5 word <&4; echo \"$word\" >/tmp/loot/word; : >/tmp/loot/over; exit 1"
    )
}

#[test]
fn su_from_root_hands_nothing_to_what_the_other_users_shell_leaves_behind() {
    let builder = machine(&left_behind(UNTIL_ALONE)).sudoers("bob ALL=(ALL) NOPASSWD: ALL");
    keeps_it(&builder, async |router, bob| {
        let root = router.sudo().via(bob).await.unwrap();
        let su = router.su().username("mallory").password(PASSWORD);
        su.via(&root).await
    });
}

#[test]
fn a_su_that_lets_one_in_unasked_hands_nothing_to_what_is_left_behind() {
    for wait in [UNTIL_ALONE, ":"] {
        let builder = machine(&left_behind(wait))
            .run("sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/su");
        keeps_it(&builder, async |router, bob| {
            let su = router.su().username("mallory").password(PASSWORD);
            su.via(bob).await
        });
    }
}

#[test]
fn a_doas_that_lets_one_in_unasked_hands_nothing_to_a_prompt_like_its_own() {
    // What doas starts reads nothing of mallory's, so that it is told to.
    let attack = "exec 4<>/dev/tty; stty -echo <&4; trap '' HUP\n(";
    let attack = format!(
        "{attack}{UNTIL_ALONE}; echo asked >/tmp/loot/asked; \
         printf 'doas (bob@machine) password: ' >&4; IFS= read -r -t 5 word <&4; \
         echo \"$word\" >/tmp/loot/word; : >/tmp/loot/over) &\nexit 1"
    );
    let builder = machine(&attack).doas("permit nopass bob as mallory").run(
        "mv /bin/sh /bin/sh.real; printf '#!/bin/bash\\nif [ \"$(id -un)\" = mallory ]; then \
             exec /home/mallory/shell; fi; exec /bin/sh.real \"$@\"\\n' >/bin/sh.new; \
             chmod 755 /bin/sh.new; mv /bin/sh.new /bin/sh",
    );
    keeps_it(&builder, async |router, bob| {
        let doas = router.doas().username("mallory").password(PASSWORD);
        doas.via(bob).await
    });
}

#[test]
fn no_process_listing_shows_what_sudo_asks_with() {
    let attack = asks_on_terminal(
        "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -ao 'offshoot-[0-9a-f]*:' \
         | tee /tmp/loot/prompt | head -1)",
    );
    let builder = machine(&attack)
        .sudoers("bob ALL=(mallory) NOPASSWD: ALL")
        .sudoers("Defaults !use_pty");
    let machine = builder.start().unwrap_or_else(|error| panic!("{error}"));
    with_router(async |router| {
        let bob = bob(&router, &machine).await.unwrap();
        let sudo = router.sudo().username("mallory").login(true);
        let error = sudo.password(PASSWORD).via(&bob).await.unwrap_err();
        let loot = machine.sh(&format!("{OVER}; cat /tmp/loot/*"));
        assert_eq!(loot.trim(), "asked", "{error}");
    });
}

#[test]
fn a_prompt_that_was_told_to_the_other_user_is_worth_nothing_to_him() {
    let builder = machine(&asks_on_terminal("$SUDO_PROMPT"))
        .sudoers("bob ALL=(mallory) NOPASSWD: ALL")
        .sudoers("Defaults !use_pty, env_keep += SUDO_PROMPT");
    keeps_it(&builder, async |router, bob| {
        let sudo = router.sudo().username("mallory").login(true);
        sudo.password(PASSWORD).via(bob).await
    });
}

/// What the command prints for a path behind bob, of which the last hop asks for a password.
fn doctor(machine: &Machine, hops: &str, passwords: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let (port, identity) = (machine.ssh_addr().port(), machine.identity());
    let text = format!(
        "Host *\n  HostName 127.0.0.1\n  Port {port}\n  User bob\n  IdentityFile {}\n  \
         IdentitiesOnly yes\n  IdentityAgent none\n  StrictHostKeyChecking accept-new\n  \
         UserKnownHostsFile {}\n",
        identity.display(),
        directory.path().join("known").display(),
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hostile-offshoot"))
        .args(["doctor", &format!("ssh:web1/{hops}"), "--ssh-config"])
        .arg(config)
        .args(passwords)
        .output()
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn a_password_of_one_hop_goes_to_no_other() {
    let builder = Machine::builder()
        .sshd(SshdOptions::default())
        .user(User::new("bob").password(PASSWORD))
        .user(User::new("mallory").password("own"))
        .sudoers("bob ALL=(mallory) NOPASSWD: ALL")
        .sudoers("mallory ALL=(ALL) ALL");
    let machine = builder.start().unwrap_or_else(|error| panic!("{error}"));
    let command = format!("echo {PASSWORD}");
    let bobs = ["--become-pass-command", &command];
    let told = doctor(&machine, "sudo:mallory/sudo", &bobs);
    assert!(told.contains("sudo password is required"), "{told}");
    // The one that is named has its own.
    let named = [&bobs[..], &["--pass-for", "sudo=command:echo own"]].concat();
    let told = doctor(&machine, "sudo:mallory/sudo", &named);
    assert!(!told.contains("FAILED"), "{told}");
}

/// Gives the passphrase of an identity to a client that asks for it with `prompt`, and returns what
/// the client got.
fn told_by_askpass(identity: &str, prompt: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let client = format!(
        "#!/bin/bash\n\"$SSH_ASKPASS\" '{}' >{}\nexit 255\n",
        prompt.replace('\'', "'\\''"),
        file("loot")
    );
    std::fs::write(file("client"), client).unwrap();
    std::fs::set_permissions(file("client"), Permissions::from_mode(0o755)).unwrap();
    let error = with_router(async |router| {
        let ssh = router.ssh("web1").ssh_path(file("client"));
        let made = ssh.identity_file(identity).passphrase(PASSWORD).await;
        made.map(|context| context.name().to_owned()).unwrap_err()
    });
    let error = error.to_string();
    assert!(!error.contains(PASSWORD), "{error}");
    std::fs::read_to_string(file("loot")).unwrap_or_else(|_| panic!("{error}"))
}

#[test]
fn a_servers_question_is_not_answered_with_a_passphrase() {
    let directory = tempfile::tempdir().unwrap();
    let identity = directory.path().join("id");
    std::fs::write(&identity, "").unwrap();
    let identity = identity.to_str().unwrap();
    let own = format!("Enter passphrase for key '{identity}': ");
    assert_eq!(told_by_askpass(identity, &own), format!("{PASSWORD}\n"));
    for prompt in [
        // As the client shows a question of the server's.
        format!("(bob@web1) {own}"),
        format!("Your key is old.\n{own}"),
        "Enter passphrase for key '/home/bob/.ssh/other': ".to_owned(),
        format!("Enter passphrase for {identity}: "),
    ] {
        assert_eq!(told_by_askpass(identity, &prompt), "", "{prompt}");
    }
}

#[test]
fn no_descriptor_of_a_program_is_inherited_by_what_it_starts() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "").unwrap();
    let file = std::fs::File::open(&secret).unwrap();
    // Unlike all that Rust opens, it is not closed when a program is started.
    let inherited = rustix::io::dup(&file).unwrap();
    let flags = rustix::io::fcntl_getfd(&inherited).unwrap();
    assert!(!flags.contains(rustix::io::FdFlags::CLOEXEC));
    let me = std::process::id();
    let has_it = |pid: &str| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut targets = files.flatten().map(|it| std::fs::read_link(it.path()));
        targets.any(|target| target.is_ok_and(|target| target == secret))
    };
    assert!(has_it("self"));
    with_router(async |router| {
        let _local = router.local().await.unwrap();
        // From root, without a question.
        let other = router.su().username("root").keep(Keep::Nothing);
        let _other = other.await.unwrap();
        let children = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = children.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
        let below: Vec<String> = pids
            .filter(|pid| is_below(*pid, me))
            .map(|pid| pid.to_string())
            .collect();
        assert!(below.len() >= 2, "{below:?}");
        for pid in below {
            assert!(!has_it(&pid), "{pid}");
        }
    });
    drop(inherited);
}

fn is_below(mut pid: u32, ancestor: u32) -> bool {
    while pid > 1 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        pid = fields
            .split(' ')
            .nth(1)
            .and_then(|it| it.parse().ok())
            .unwrap_or(0);
        if pid == ancestor {
            return true;
        }
    }
    false
}

/// The command with a password from a descriptor; what it starts for another one looks around.
fn with_descriptor(look: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let script = "exec \"$0\" doctor local --become-pass-fd 7 --pass-command \"$1\" 7<\"$2\"";
    let output = Command::new("/bin/bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_hostile-offshoot"), look])
        .arg(&secret)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_descriptor_of_a_password_is_inherited_by_no_command() {
    let shown = with_descriptor("cat <&7 >&2; echo looked >&2; echo x");
    assert!(shown.contains("looked"), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn a_command_with_a_password_leaves_no_core() {
    let shown = with_descriptor("grep core /proc/$PPID/limits >&2; echo x");
    let words: Vec<&str> = shown.split_whitespace().collect();
    let limit = words.iter().position(|word| *word == "size").unwrap() + 1;
    assert!(matches!(words[limit], "0" | "1"), "{shown}");
}
