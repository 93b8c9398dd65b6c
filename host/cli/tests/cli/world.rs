//! A machine of the test bed, and a user's configuration that leads to it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use offshoot_bed::{Builder, Machine, SshdOptions, User};

use crate::{Ended, offshoot, path, sample, scratch, terminal};

pub(crate) const PASSWORD: &str = "corr3ct-h0rse";

fn with_bob() -> Builder {
    Machine::builder()
        .sshd(SshdOptions::default())
        .user(User::new("bob").password(PASSWORD))
        .sudoers("bob ALL=(ALL:ALL) ALL")
        .user(User::new("amy"))
        .sudoers("amy ALL=(ALL:ALL) NOPASSWD: ALL")
        .doas("permit nopass amy as root")
        .user(User::new("eve").shell("/usr/sbin/nologin"))
        .user(User::new("max").file(".bashrc", "sleep 60\n"))
}

/// A machine, and a user's configuration in which it has several names.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) home: PathBuf,
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        let machine = with_bob().start().unwrap_or_else(|error| panic!("{error}"));
        let home = scratch(&format!("machines-{name}"));
        let ssh = home.join(".ssh");
        std::fs::create_dir(&ssh).expect("it can be made");
        let known = ssh.join("known_hosts");
        std::fs::write(&known, machine.known_hosts_line()).expect("it can be written");
        let other =
            machine.sh("f=/run/bed/other; ssh-keygen -q -t ed25519 -N '' -f $f; cat $f.pub");
        let changed = ssh.join("changed");
        let line = machine.known_hosts_line();
        let line = line.replace(machine.host_key(), &other);
        std::fs::write(&changed, line).expect("it can be written");
        let none = ssh.join("none");
        std::fs::write(&none, "").expect("it can be written");
        let addr = machine.ssh_addr();
        let (port, id, known) = (addr.port(), machine.identity(), known.display());
        let config = format!(
            "Host fine fine1 fine2 fine3 fine4\n  IdentityFile {id}\n  Port {port}\n\
             Host locked\n  Port {port}\n  PubkeyAuthentication no\n\
             Host noshell\n  User eve\n  IdentityFile {id}\n  Port {port}\n\
             Host slow\n  User max\n  IdentityFile {id}\n  Port {port}\n\
             Host down\n  Port 1\n\
             Host stranger\n  Port {port}\n  UserKnownHostsFile {none}\n\
             Host changed\n  Port {port}\n  UserKnownHostsFile {changed}\n\
             Host *.invalid\n  HostName %h\n\
             Host *\n  HostName 127.0.0.1\n  User bob\n  IdentitiesOnly yes\n  \
             IdentityAgent none\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n",
            id = id.display(),
            none = none.display(),
            changed = changed.display(),
        );
        let file = ssh.join("config");
        std::fs::write(&file, config).expect("it can be written");
        Self { machine, home }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.home.join(".ssh/config")
    }

    /// The command, for which this world's configuration is the user's own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let config = self.config();
        let (verb, rest) = arguments.split_first().expect("there is a command");
        let mut command = offshoot(&[&[*verb, "--ssh-config", path(&config)], rest].concat());
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command.env("HOME", &self.home).env_remove("SSH_AUTH_SOCK");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.output().expect("it starts").into()
    }

    pub(crate) fn call(&self, arguments: &[&str]) -> Ended {
        let plugin = path(sample::wasm());
        self.run(&[&["call", "--plugin", plugin], arguments].concat())
    }

    /// Starts the command as the leader of a session on a terminal.
    pub(crate) fn on_a_terminal(&self, arguments: &[&str]) -> (Child, File) {
        self.below("exec \"$@\"", arguments)
    }

    /// The same as a job of a shell, which runs `after` when it stops. The shell finds its terminal by
    /// its error stream.
    pub(crate) fn as_a_job(&self, arguments: &[&str], after: &str) -> (Child, File) {
        self.below(
            &format!("exec 2>/dev/tty; set -m; \"$@\"; {after}"),
            arguments,
        )
    }

    fn below(&self, script: &str, arguments: &[&str]) -> (Child, File) {
        let (master, terminal) = terminal();
        let plain = offshoot(&[]);
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "bash", "-c", script, "bash"])
            .arg(plain.get_program())
            .args(["call", "--ssh-config", path(&self.config())])
            .args(["--plugin", path(sample::wasm())])
            .args(arguments)
            .env_remove("OFFSHOOT_CHILD")
            .stdin(terminal)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.environment(&mut command);
        (command.spawn().expect("it starts"), master)
    }

    /// Nothing of ours runs on the machine any more.
    pub(crate) fn is_empty(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let list = self
                .machine
                .sh("ps -eo pid=,comm= | grep -E ' (offshoot|sudo)' || :");
            if list.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {list}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
