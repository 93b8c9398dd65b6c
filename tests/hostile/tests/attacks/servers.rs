//! Servers that are not who they should be.

use std::path::PathBuf;

use e2e::with_router;
use offshoot::{CheckHostKeys, ConnectError, Context, Error, HostKeyError, Router, Ssh};
use offshoot_bed::{Machine, SshdOptions, User};
use tempfile::TempDir;

/// What the server in between is after.
const PASSWORD: &str = "corr3ct-h0rse";

/// A server that takes a password, and asks for it too. To the user it is another one: his files
/// know another key, or know this one as revoked.
struct Impostor {
    machine: Machine,
    folder: TempDir,
}

impl Impostor {
    fn new() -> Self {
        let options = SshdOptions::default().line("KbdInteractiveAuthentication yes");
        let bob = User::new("bob").password(PASSWORD);
        let machine = Machine::builder().sshd(options).user(bob).start();
        let impostor = Self {
            machine: machine.unwrap_or_else(|error| panic!("{error}")),
            folder: TempDir::new().unwrap(),
        };
        impostor.configure("");
        impostor
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn known_hosts(&self) -> PathBuf {
        self.path("known_hosts")
    }

    fn knows(&self, lines: &str) {
        std::fs::write(self.known_hosts(), lines).unwrap();
    }

    fn configure(&self, lines: &str) {
        let text = format!(
            "{lines}\nHost *\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n \
             IdentityAgent none\n",
            self.known_hosts().display()
        );
        std::fs::write(self.path("config"), text).unwrap();
    }

    /// States of `known_hosts` in which the server may be anybody.
    fn states(&self) -> [(String, &'static str); 2] {
        let own = self.machine.known_hosts_line();
        let other = self
            .machine
            .sh("ssh-keygen -q -t ed25519 -N '' -C '' -f /run/bed/other; cat /run/bed/other.pub");
        let changed = own.replace(self.machine.host_key(), other.trim());
        [(changed, "changed"), (format!("@revoked {own}"), "revoked")]
    }

    fn ssh(&self, router: &Router, program: Option<&str>, host: &str) -> Ssh {
        let ssh = router
            .ssh(host)
            .username("bob")
            .port(self.machine.ssh_addr().port())
            .config_file(self.path("config").to_str().unwrap());
        match program {
            None => ssh,
            Some(program) => ssh.ssh_path(program),
        }
    }

    /// Fails if anything like a password was tried there.
    #[track_caller]
    fn heard_no_password(&self) {
        let log = self.machine.sh("cat /var/log/sshd.log");
        for word in ["password for", "keyboard-interactive", PASSWORD] {
            assert!(!log.contains(word), "{word}: {log}");
        }
    }
}

const CLIENTS: [Option<&str>; 2] = [None, Some("ssh")];

#[track_caller]
fn refused(made: Result<Context, Error>) -> ConnectError {
    let mut error = match made {
        Err(Error::Connect(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(context) => panic!("{} is up", context.name()),
    };
    while let ConnectError::Via { error: inner, .. } = error {
        error = *inner;
    }
    error
}

fn is(error: &ConnectError, why: &str) -> bool {
    match error {
        ConnectError::HostKey(HostKeyError::Changed(_)) => why == "changed",
        ConnectError::HostKey(HostKeyError::Revoked(_)) => why == "revoked",
        _ => false,
    }
}

#[test]
fn a_host_whose_key_has_changed_or_is_revoked_gets_no_password_from_who_checks_no_keys() {
    let impostor = Impostor::new();
    let identity = impostor.machine.identity();
    let identity = identity.to_str().unwrap();
    with_router(async |router| {
        for (lines, why) in impostor.states() {
            for program in CLIENTS {
                for configured in [true, false] {
                    impostor.knows(&lines);
                    impostor.configure(match configured {
                        true => "StrictHostKeyChecking no",
                        false => "",
                    });
                    let ssh = || {
                        let ssh = impostor.ssh(&router, program, "127.0.0.1");
                        match configured {
                            true => ssh,
                            false => ssh.check_host_keys(CheckHostKeys::Ignore),
                        }
                    };
                    let error = refused(ssh().password(PASSWORD).await);
                    let case = format!("{why}, {program:?}, {configured}");
                    assert!(is(&error, why), "{case}: {error:?}");
                    impostor.heard_no_password();
                    // A key shows nothing that the server could use.
                    let made = ssh().identity_file(identity).await;
                    drop(made.unwrap_or_else(|error| panic!("{case}: {error}")));
                    let after = std::fs::read_to_string(impostor.known_hosts()).unwrap();
                    assert_eq!(after, lines, "{case}");
                }
            }
        }
    });
}

#[test]
fn a_host_behind_a_jump_host_is_judged_as_any_other() {
    let impostor = Impostor::new();
    let identity = impostor.machine.identity();
    // The jump host is known and takes the key; behind it, somebody else answers.
    let addr = impostor.machine.ssh_addr();
    let jump = format!(
        "Host jump\n HostName 127.0.0.1\n Port {}\n User bob\n IdentityFile {}\n \
         HostKeyAlias jump\n",
        addr.port(),
        identity.display()
    );
    let jump_key = format!("jump {}\n", impostor.machine.host_key());
    with_router(async |router| {
        for (lines, why) in impostor.states() {
            let lines = lines.replace(&format!("[127.0.0.1]:{}", addr.port()), "127.0.0.1");
            for program in CLIENTS {
                // As revoked the key is for no host.
                impostor.knows(&(lines.replace("@revoked ", "@revoked 127.0.0.1,") + &jump_key));
                impostor.configure(&format!(
                    "{jump}Host 127.0.0.1\n StrictHostKeyChecking no\n"
                ));
                let ssh = impostor
                    .ssh(&router, program, "127.0.0.1")
                    .port(22)
                    .jump("jump");
                let error = refused(ssh.password(PASSWORD).await);
                assert!(is(&error, why), "{why}, {program:?}: {error:?}");
                impostor.heard_no_password();
            }
        }
    });
}

#[test]
fn a_waiver_of_host_keys_is_for_the_host_and_not_for_those_on_the_way() {
    let impostor = Impostor::new();
    let addr = impostor.machine.ssh_addr();
    with_router(async |router| {
        for (lines, why) in impostor.states() {
            for program in CLIENTS {
                for check in [CheckHostKeys::Ignore, CheckHostKeys::Accept] {
                    impostor.knows(&lines);
                    let ssh = impostor.ssh(&router, program, "127.0.0.1");
                    let made = ssh
                        .port(22)
                        .jump(format!("bob@{addr}"))
                        .check_host_keys(check);
                    let error = refused(made.password(PASSWORD).await);
                    assert!(is(&error, why), "{why}, {program:?}, {check:?}: {error:?}");
                    impostor.heard_no_password();
                }
            }
        }
    });
}
