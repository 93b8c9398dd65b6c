//! Machines for these tests, and what is looked at on them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use e2e::plugin;
use e2e_plugin as guest;
use offshoot::{CheckHostKeys, ConnectError, Context, Error, Grant, Router, Ssh};
use offshoot_bed::{Builder, Machine, SshdOptions, User};

/// How long anything may take to go away.
const GONE: Duration = Duration::from_secs(5);

/// The password of every user who has one.
pub(crate) const PASSWORD: &str = "corr3ct-h0rse";

/// A machine with sshd, and bob, who has a password.
pub(crate) fn with_bob() -> Builder {
    Machine::builder()
        .sshd(SshdOptions::default())
        .user(User::new("bob").password(PASSWORD))
}

/// The same with a stand-in for `sudo`, which behaves as its name says.
pub(crate) fn with_stand_in(name: &str) -> Builder {
    let program = env!("CARGO_BIN_EXE_stand-in-sudo");
    with_bob().run(&format!("install -m 4755 {program} /usr/local/bin/{name}"))
}

thread_local! {
    /// Held by a test's thread to its end.
    static TURN: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Has the tests of this program run one at a time: each looks at the whole process for
/// leftovers, and a machine is one.
pub(crate) fn take_turn() {
    static TURNS: Mutex<()> = Mutex::new(());
    TURN.with_borrow_mut(|turn| {
        turn.get_or_insert_with(|| TURNS.lock().unwrap_or_else(PoisonError::into_inner));
    });
}

pub(crate) fn start(builder: &Builder) -> Machine {
    take_turn();
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

/// A client to connect with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// The one in the library.
    Inside,
    /// The system's.
    Program,
}

impl Client {
    /// Its name, if it has one.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Self::Inside => None,
            Self::Program => Some("ssh"),
        }
    }

    /// Has a builder use it.
    pub(crate) fn with(self, builder: Ssh) -> Ssh {
        match self.program() {
            Some(program) => builder.ssh_path(program),
            None => builder,
        }
    }
}

/// Runs a test over each of the clients: they are to do the same.
pub(crate) fn over_both(test: impl Fn(Client)) {
    for client in [Client::Inside, Client::Program] {
        eprintln!("over {client:?}");
        test(client);
    }
}

/// What a client needs to get to a machine, and nothing of this one's own.
pub(crate) struct Door<'a> {
    pub(crate) machine: &'a Machine,
    client: Client,
    directory: tempfile::TempDir,
}

impl<'a> Door<'a> {
    /// By the client that is used if nobody names one.
    pub(crate) fn to(machine: &'a Machine) -> Self {
        Self::by(Client::Inside, machine)
    }

    pub(crate) fn by(client: Client, machine: &'a Machine) -> Self {
        let door = Self {
            machine,
            client,
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::write(door.known_hosts(), machine.known_hosts_line()).unwrap();
        door.configure("");
        door
    }

    /// A file of the door's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path("known_hosts")
    }

    /// The client's configuration.
    pub(crate) fn config(&self) -> String {
        self.path("config").to_str().unwrap().to_owned()
    }

    /// Has the client read these lines first.
    pub(crate) fn configure(&self, lines: &str) {
        let known_hosts = self.known_hosts();
        let text = format!(
            "{lines}\nHost *\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             IdentityAgent none\n",
            known_hosts.display()
        );
        std::fs::write(self.config(), text).unwrap();
    }

    /// A client that knows its configuration and nothing else.
    pub(crate) fn to_host(&self, router: &Router, host: &str) -> Ssh {
        self.client
            .with(router.ssh(host))
            .config_file(self.config())
    }

    /// Knows the machine's key under a further address, too.
    pub(crate) fn trust(&self, address: SocketAddr) {
        let key = self.machine.host_key();
        let line = format!("[{}]:{} {key}\n", address.ip(), address.port());
        let known = std::fs::read_to_string(self.known_hosts()).unwrap();
        if !known.contains(&line) {
            std::fs::write(self.known_hosts(), known + &line).unwrap();
        }
    }

    /// A client without credentials.
    pub(crate) fn knock(&self, router: &Router, user: &str) -> Ssh {
        self.to_host(router, "127.0.0.1")
            .port(self.machine.ssh_addr().port())
            .username(user)
            .identities_only(true)
    }

    /// A client with the machine's test key.
    pub(crate) fn ssh(&self, router: &Router, user: &str) -> Ssh {
        let identity = self.machine.identity();
        self.knock(router, user)
            .identity_file(identity.to_str().unwrap())
            .check_host_keys(CheckHostKeys::Enforce)
    }
}

/// Who a context is: the numbers of its user.
pub(crate) async fn uid(context: &Context) -> u32 {
    let plugin = plugin().grant(Grant::Read("/proc".into()));
    let status: String = context
        .call_named(&plugin, "read", &("/proc/self/status",))
        .await
        .unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Shows that a context works.
pub(crate) async fn works(context: &Context) {
    assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 / 3 % 256) as u8).collect();
    let back = context.call::<guest::echo>((bytes.clone(),)).await.unwrap();
    assert!(back == bytes, "every byte comes back as it was");
}

/// The error itself, in whichever context it occurred.
#[track_caller]
pub(crate) fn refused(made: Result<Context, Error>) -> ConnectError {
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

/// Waits until none of our processes is left on the machine.
#[track_caller]
pub(crate) fn is_empty(machine: &Machine) {
    let deadline = Instant::now() + GONE;
    loop {
        let list = machine.sh(
            "ps -eo pid=,comm=,args= | \
             awk '$1 != 1 && $2 ~ /^(offshoot|sudo|doas|su|ssh|sh)/ && $2 != \"sshd\" && !/ps -eo/'",
        );
        if list.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind:\n{list}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a piece of shell here, and gives what it prints.
pub(crate) fn ours(script: &str) -> String {
    let output = Command::new("/bin/sh").args(["-c", script]).output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

/// Files of ours on the machine that no cache should have.
pub(crate) fn no_litter(machine: &Machine) {
    let list = machine
        .sh("find /home /root /tmp /var/tmp /dev/shm -path '*offshoot*' -name '.?*' -type f");
    assert_eq!(list, "");
}

/// What kind of error it is: `HostKey Changed`, `Timeout`.
pub(crate) fn kind(error: &ConnectError) -> String {
    let name = format!("{error:?}");
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    let group = words.next().unwrap_or_default();
    match error {
        ConnectError::Password(_)
        | ConnectError::HostKey(_)
        | ConnectError::Access(_)
        | ConnectError::Network(_) => format!("{group} {}", words.next().unwrap_or_default()),
        _ => group.to_owned(),
    }
}
