//! Who gets in, and with what: agents, keys, passphrases, passwords and questions, by each client.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::with_router;
use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{
    Client, Door, PASSWORD, is_empty, kind, over_both, refused, start, with_bob, works,
};

/// An agent of this test's own.
struct Agent {
    process: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(door: &Door<'_>) -> Self {
        let socket = door.path("agent");
        let _ = std::fs::remove_file(&socket);
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { process, socket };
        let deadline = Instant::now() + Duration::from_secs(5);
        while !agent.socket.exists() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        agent
    }

    fn add(&self, key: &Path) {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(added.success());
    }

    fn line(&self) -> String {
        format!("IdentityAgent {}\n", self.socket.display())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a key that lets nobody in.
fn late(door: &Door<'_>, name: &str, passphrase: &str) -> std::path::PathBuf {
    let file = door.path(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    file
}

/// A copy of the machine's test key for the door, with this passphrase.
fn locked_key(door: &Door<'_>, passphrase: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = door.path("locked");
    std::fs::copy(door.machine.identity(), &file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let changed = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", passphrase, "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(changed.success());
    file
}

#[test]
fn b001_an_agent_lets_one_in() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        let agent = Agent::start(&door);
        agent.add(&machine.identity());
        door.configure(&agent.line());
        with_router(async |router| {
            let ssh = || door.knock(&router, "bob").identities_only(false);
            works(&ssh().await.unwrap()).await;
            // Its keys are left alone if only configured ones are wanted.
            let error = refused(ssh().identities_only(true).await);
            assert_eq!(kind(&error), "Password Required", "{error}");
            // An agent that is gone is none.
            drop(agent);
            let error = refused(ssh().await);
            assert_eq!(kind(&error), "Password Required", "{error}");
        });
    });
    is_empty(&machine);
}

#[test]
fn s097_an_identity_that_is_given_is_the_only_one_that_is_shown() {
    let options = SshdOptions::default().line("MaxAuthTries 2");
    let machine = start(&Machine::builder().sshd(options).user(User::new("bob")));
    over_both(|client| {
        let door = Door::by(client, &machine);
        let agent = Agent::start(&door);
        for name in ["a", "b", "c"] {
            agent.add(&late(&door, name, ""));
        }
        door.configure(&agent.line());
        with_router(async |router| {
            works(&door.ssh(&router, "bob").await.unwrap()).await;
        });
    });
    is_empty(&machine);
}

#[test]
fn s097_an_agent_may_hold_the_key_of_an_identity_that_is_locked_here() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        let agent = Agent::start(&door);
        agent.add(&machine.identity());
        door.configure(&agent.line());
        let locked = locked_key(&door, "opensesame");
        with_router(async |router| {
            let ssh = door
                .knock(&router, "bob")
                .identity_file(locked.to_str().unwrap());
            works(&ssh.await.unwrap()).await;
        });
    });
}

#[test]
fn s097_an_identity_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let options = SshdOptions::default().line("PasswordAuthentication no");
    let machine = start(&Machine::builder().sshd(options).user(User::new("bob")));
    over_both(|client| {
        let door = Door::by(client, &machine);
        let file = door.path("open");
        std::fs::copy(machine.identity(), &file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        with_router(async |router| {
            let ssh = door
                .knock(&router, "bob")
                .identity_file(file.to_str().unwrap());
            let error = refused(ssh.await);
            assert_eq!(kind(&error), "Access Identity", "{error}");
            assert!(error.to_string().contains("open"), "{error}");
        });
    });
}

#[test]
fn f41_a_wrong_password_is_sent_once_whoever_asks() {
    for line in [
        "KbdInteractiveAuthentication no",
        "KbdInteractiveAuthentication yes",
    ] {
        let options = SshdOptions::default().line(line);
        let bob = User::new("bob").password(PASSWORD);
        let machine = start(&Machine::builder().sshd(options).user(bob));
        over_both(|client| wrong_once(client, &machine));
    }
}

fn wrong_once(client: Client, machine: &Machine) {
    machine.sh(": >/var/log/sshd.log");
    let door = Door::by(client, machine);
    with_router(async |router| {
        let error = refused(door.knock(&router, "bob").password("wrong").await);
        assert_eq!(kind(&error), "Password Incorrect", "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    });
    let tried = "grep -c -E 'Failed password|PAM: Authentication failure' /var/log/sshd.log || :";
    assert_eq!(machine.sh(tried), "1");
}

#[test]
fn f43_a_password_that_is_wanted_is_missed_at_once() {
    let options = SshdOptions::default().line("KbdInteractiveAuthentication yes");
    let bob = User::new("bob").password(PASSWORD);
    let machine = start(&Machine::builder().sshd(options).user(bob));
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            let began = Instant::now();
            let error = refused(door.knock(&router, "bob").await);
            assert_eq!(kind(&error), "Password Required", "{error}");
            assert!(began.elapsed() < Duration::from_secs(5), "it fails at once");
        });
    });
}

#[test]
fn f41_no_such_user_is_as_much_as_a_server_says() {
    let machine = start(&with_bob());
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            let error = refused(door.ssh(&router, "nobody-here").await);
            assert_eq!(kind(&error), "Password Required", "{error}");
            let made = door.ssh(&router, "nobody-here").password("guess").await;
            let error = refused(made);
            assert_eq!(kind(&error), "Password Incorrect", "{error}");
        });
    });
}

#[test]
fn s096_a_question_that_no_password_answers_is_quoted() {
    let options = SshdOptions::default()
        .line("KbdInteractiveAuthentication yes")
        .line("PasswordAuthentication no");
    let builder = Machine::builder()
        .sshd(options)
        .user(User::new("bob").password(PASSWORD));
    let machine = start(&builder);
    // What PAM asks is a module's word. This one wants a new password at once.
    machine.sh("chage -d 0 bob");
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            let error = refused(door.knock(&router, "bob").password(PASSWORD).await);
            assert_eq!(kind(&error), "Password UnknownPrompt", "{error}");
        });
    });
    is_empty(&machine);
}

#[test]
fn f46_an_account_that_is_closed_lets_nobody_in() {
    let amy = User::new("amy").password(PASSWORD).without_key();
    let machine = start(&with_bob().user(amy));
    machine.sh("usermod -e 1 bob; usermod -L amy");
    over_both(|client| {
        let door = Door::by(client, &machine);
        with_router(async |router| {
            // What the server says to that is a banner, which a program is told not to print: it
            // could be taken for anything.
            let (by_key, by_password) = match client {
                Client::Inside => ("Access AccountExpired", "Access AccountExpired"),
                Client::Program => ("Network Dropped", "Password Incorrect"),
            };
            let error = refused(door.ssh(&router, "bob").await);
            assert_eq!(kind(&error), by_key, "{error}");
            let error = refused(door.knock(&router, "bob").password(PASSWORD).await);
            assert_eq!(kind(&error), by_password, "{error}");
            // Of one that is locked, servers say nothing.
            let error = refused(door.knock(&router, "amy").password(PASSWORD).await);
            assert_eq!(kind(&error), "Password Incorrect", "{error}");
        });
    });
    is_empty(&machine);
}
