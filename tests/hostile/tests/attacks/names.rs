//! Names of hosts and users that mean something to a shell, to a tool or to `known_hosts`.
//!
//! ssh's configuration hands them to a shell, by `%n` and `%r` of a `ProxyCommand`. Each attempt
//! has that shell make a file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::with_router;
use offshoot::{ConnectError, Error, Router, Ssh};
use tempfile::TempDir;

/// A folder with a configuration whose shell would be given any name, and the file that no
/// attempt may make.
struct Trap {
    folder: TempDir,
}

impl Trap {
    fn new() -> Self {
        let trap = Self {
            folder: TempDir::new().unwrap(),
        };
        let lines = "Host *\n ProxyCommand true %n %r %h; exit 1\n StrictHostKeyChecking yes\n";
        std::fs::write(trap.config(), lines).unwrap();
        trap
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("config")
    }

    /// What the shell would make.
    fn mark(&self) -> PathBuf {
        self.path("mark")
    }

    /// The word that has a shell make it, from anywhere.
    fn word(&self) -> String {
        format!("$(>{})", self.mark().display())
    }

    /// The same for a program that runs in the folder, without the separator of hops.
    const SHORT: &str = "$(>mark)";

    #[track_caller]
    fn is_untouched(&self, attempt: &str) {
        assert!(!self.mark().exists(), "a shell ran the name: {attempt}");
    }

    /// The command, in the folder.
    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostile-offshoot"));
        command
            .current_dir(&self.folder)
            .env("HOME", self.folder.path())
            .args(arguments)
            .args(["--ssh-config", "config"]);
        command.output().unwrap()
    }
}

/// The innermost error of an attempt, as text.
#[track_caller]
fn refused(made: Result<offshoot::Context, Error>) -> String {
    let mut error = match made {
        Err(Error::Connect(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(context) => panic!("{} is up", context.name()),
    };
    while let ConnectError::Via { error: inner, .. } = error {
        error = *inner;
    }
    error.to_string()
}

/// Each way for a name to get into a request, with each client.
fn requests(router: &Router, word: &str) -> Vec<(String, Ssh)> {
    let mut all = Vec::new();
    for program in [None, Some("ssh")] {
        let made = [
            ("host", router.ssh(word)),
            ("user", router.ssh("127.0.0.1").username(word)),
            ("jump host", router.ssh("127.0.0.1").jump(word)),
            (
                "user on a jump host",
                router.ssh("127.0.0.1").jump(format!("{word}@127.0.0.1")),
            ),
            (
                "second jump host",
                router.ssh("127.0.0.1").jump(format!("127.0.0.1,{word}")),
            ),
        ];
        all.extend(made.map(|(what, ssh)| match program {
            None => (what.to_owned(), ssh),
            Some(program) => (format!("{what}, by {program}"), ssh.ssh_path(program)),
        }));
    }
    all
}

fn with_config(ssh: Ssh, config: &Path) -> Ssh {
    ssh.config_file(config.to_str().unwrap())
}

#[test]
fn no_name_of_a_request_reaches_a_shell() {
    let trap = Trap::new();
    with_router(async |router| {
        for (what, ssh) in requests(&router, &trap.word()) {
            let error = refused(with_config(ssh, &trap.config()).await);
            trap.is_untouched(&what);
            assert!(error.contains("cannot be part of a"), "{what}: {error}");
        }
    });
}

#[test]
fn a_child_that_is_asked_to_connect_checks_the_names_itself() {
    let trap = Trap::new();
    with_router(async |router| {
        let child = router.local().await.unwrap();
        for (what, ssh) in requests(&router, &trap.word()) {
            let error = refused(with_config(ssh, &trap.config()).via(&child).await);
            trap.is_untouched(&what);
            assert!(error.contains("cannot be part of a"), "{what}: {error}");
        }
    });
}

#[test]
fn no_name_of_the_command_line_reaches_a_shell() {
    let trap = Trap::new();
    let word = Trap::SHORT;
    let plugin = e2e::plugin_file();
    let plugin = plugin.to_str().unwrap();
    for target in [format!("ssh:{word}"), format!("ssh:{word}@127.0.0.1")] {
        for client in [&[][..], &["--ssh-path", "ssh"]] {
            let call = [
                "call",
                "--plugin",
                plugin,
                &target,
                "e2e_plugin::add",
                "1",
                "2",
            ];
            for arguments in [&call[..], &["doctor", &target]] {
                let output = trap.command(&[arguments, client].concat());
                trap.is_untouched(&format!("{arguments:?} {client:?}"));
                assert_eq!(output.status.code(), Some(2), "{output:?}");
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(errors.contains("cannot be part of a"), "{errors}");
            }
        }
    }
}

#[test]
fn no_name_of_an_inventory_reaches_a_shell() {
    let trap = Trap::new();
    let word = Trap::SHORT;
    let plugin = e2e::plugin_file();
    let plugin = plugin.to_str().unwrap();
    for line in [
        format!("web1 ansible_host={word}"),
        format!("web1 ansible_host=127.0.0.1 ansible_user={word}"),
        format!("web1 ansible_host=127.0.0.1 ansible_ssh_user={word}"),
        word.to_owned(),
    ] {
        std::fs::write(trap.path("hosts.ini"), format!("{line}\n")).unwrap();
        for client in [&[][..], &["--ssh-path", "ssh"]] {
            let call = [
                "call",
                "--plugin",
                plugin,
                "--inventory",
                "hosts.ini",
                "all",
                "e2e_plugin::add",
                "1",
                "2",
            ];
            let output = trap.command(&[&call[..], client].concat());
            trap.is_untouched(&format!("{line} {client:?}"));
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(errors.contains("cannot be part of a"), "{line}: {errors}");
        }
    }
}

#[test]
fn a_name_that_ssh_config_expands_is_checked_again() {
    let trap = Trap::new();
    let word = trap.word();
    for lines in [
        format!("Host web1\n HostName {word}%h\n"),
        format!("Host web1\n User \"{word}\"\n"),
    ] {
        let rest = "Host *\n ProxyCommand true %h %r; exit 1\n";
        std::fs::write(trap.config(), lines.clone() + rest).unwrap();
        with_router(async |router| {
            let error = refused(with_config(router.ssh("web1"), &trap.config()).await);
            trap.is_untouched(&lines);
            assert!(error.contains("cannot be part of a"), "{error}");
        });
    }
}

#[test]
fn no_host_is_written_to_known_hosts_as_a_pattern() {
    let trap = Trap::new();
    with_router(async |router| {
        for word in [
            "*", "web?", "a,b", "!web", "[web]:22", "@revoked", "#web", "we\u{7}b",
        ] {
            for program in [None, Some("ssh")] {
                let ssh = with_config(router.ssh(word), &trap.config());
                let ssh = match program {
                    None => ssh,
                    Some(program) => ssh.ssh_path(program),
                };
                let error = refused(ssh.await);
                assert!(error.contains("cannot be part of a host's name"), "{error}");
            }
        }
    });
}
