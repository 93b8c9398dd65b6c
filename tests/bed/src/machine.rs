//! A machine that is up.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::builder::Builder;
use crate::error::BedError;
use crate::proxy::{Connect, Proxy, Weather};
use crate::server::{DROPBEAR_PORT, SSHD_PORT};

/// How long a machine may take: a loaded one with many users is slow, a broken one never ends.
const READY: Duration = Duration::from_secs(60);

/// What is set in the environment of what runs on a machine, beside the user's own.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A machine that is up. It is gone when this is dropped.
#[derive(Debug)]
pub struct Machine {
    /// Waits for the machine's first process.
    unshare: Child,
    /// What that process lives as long as.
    life: Option<ChildStdin>,
    init: OwnedFd,
    pid: u32,
    network: Arc<OwnedFd>,
    sshd: Option<Server>,
    dropbear: Option<Server>,
}

#[derive(Debug)]
struct Server {
    port: u16,
    host_keys: Vec<String>,
    door: Proxy,
}

impl Machine {
    /// Describes a machine. Without anything said about it, it has root and nobody else.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address of its `sshd`, on this machine's loopback.
    ///
    /// # Panics
    ///
    /// Panics if it has none.
    pub fn ssh_addr(&self) -> SocketAddr {
        self.sshd().door.addr()
    }

    /// The address of its `dropbear`, likewise.
    ///
    /// # Panics
    ///
    /// Panics if it has none.
    pub fn dropbear_addr(&self) -> SocketAddr {
        self.dropbear().door.addr()
    }

    /// A further address of its `sshd`, reached through a line with `weather`.
    ///
    /// # Panics
    ///
    /// Panics if it has no `sshd`, or no port is left here.
    pub fn ssh_through(&self, weather: Weather) -> Proxy {
        let connect = into(&self.network, self.sshd().port);
        Proxy::start(connect, weather).expect("a port on the loopback")
    }

    /// The first public key of its `sshd`: type and key.
    ///
    /// # Panics
    ///
    /// Panics if it has no `sshd`.
    pub fn host_key(&self) -> &str {
        &self.sshd().host_keys[0]
    }

    /// All public keys of its `sshd`.
    ///
    /// # Panics
    ///
    /// Panics if it has no `sshd`.
    pub fn host_keys(&self) -> &[String] {
        &self.sshd().host_keys
    }

    /// The public key of its `dropbear`.
    ///
    /// # Panics
    ///
    /// Panics if it has none.
    pub fn dropbear_host_key(&self) -> &str {
        &self.dropbear().host_keys[0]
    }

    /// What `known_hosts` says of its `sshd`, with a newline.
    pub fn known_hosts_line(&self) -> String {
        known_hosts_line(self.ssh_addr(), self.host_key())
    }

    /// The private key that its users let in.
    ///
    /// It lies on the machine itself, so that nothing has to be cleared away here.
    pub fn identity(&self) -> PathBuf {
        self.folder().join("id")
    }

    /// OpenSSH's client, as `user`, with the test key and with nothing of this machine's own
    /// configuration. What to run is to be added.
    pub fn ssh(&self, user: &str) -> Command {
        self.ssh_at(self.ssh_addr(), self.host_keys(), user)
    }

    /// The same to another address of the same server, such as that of
    /// [`ssh_through`](Self::ssh_through).
    pub fn ssh_to(&self, addr: SocketAddr, user: &str) -> Command {
        self.ssh_at(addr, self.host_keys(), user)
    }

    /// The same to its `dropbear`.
    pub fn ssh_to_dropbear(&self, user: &str) -> Command {
        self.ssh_at(self.dropbear_addr(), &self.dropbear().host_keys, user)
    }

    /// Runs a program as root, and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started.
    pub fn exec(&self, argv: &[&str]) -> Output {
        run(self.command(argv))
    }

    /// Runs a program as a user, in the home, and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started.
    pub fn exec_as(&self, user: &str, argv: &[&str]) -> Output {
        run(self.command_as(user, argv))
    }

    /// Runs a piece of shell as root, and gives what it prints.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn sh(&self, script: &str) -> String {
        let output = self.exec(&["/bin/sh", "-ec", script]);
        assert!(
            output.status.success(),
            "`{script}` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A program to be run as root, with nothing of this process's environment.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command
            .arg(format!("--target={}", self.pid))
            .args(["--mount", "--pid", "--net", "--uts", "--ipc"])
            .args(["--root", "--wd", "--"])
            .args(argv)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LOGNAME", "root")
            .env("SHELL", "/bin/bash");
        command
    }

    /// A program to be run as a user, in the home.
    pub fn command_as(&self, user: &str, argv: &[&str]) -> Command {
        const AS_USER: &str = "u=$1; shift; IFS=: read -r _ _ _ _ _ h s <<E\n\
            $(getent passwd \"$u\")\nE\n\
            cd \"$h\" 2>/dev/null || cd /; export HOME=\"$h\" SHELL=\"$s\" USER=\"$u\" LOGNAME=\"$u\"; \
            exec setpriv --reuid=\"$u\" --regid=\"$(id -g \"$u\")\" --init-groups -- \"$@\"";
        let mut all = vec!["/bin/sh", "-c", AS_USER, "sh", user];
        all.extend_from_slice(argv);
        self.command(&all)
    }

    /// Writes a file, as root, with a mode like `755`.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn write(&self, path: &str, bytes: &[u8], mode: &str) {
        const WRITE: &str = "cat >\"$1\" && chmod \"$2\" \"$1\"";
        let mut child = self
            .command(&["/bin/sh", "-c", WRITE, "sh", path, mode])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nsenter");
        let mut input = child.stdin.take().expect("it was asked for");
        input.write_all(bytes).expect("a shell that reads");
        drop(input);
        assert!(child.wait().is_ok_and(|status| status.success()), "{path}");
    }

    /// Lays a cable to another machine, and gives the addresses of both. Each cable has a network
    /// of its own; this one's network takes no part in it.
    ///
    /// # Panics
    ///
    /// Panics if the system refuses, or after 200 cables of one process.
    pub fn cable(&self, other: &Self) -> (Ipv4Addr, Ipv4Addr) {
        static CABLES: AtomicU8 = AtomicU8::new(1);
        let number = CABLES.fetch_add(1, Ordering::Relaxed);
        assert!(number < 200, "too many cables");
        let name = format!("cable{number}");
        // Only the network is the machine's: the other one is named by its number here.
        let added = Command::new("/usr/bin/nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.pid))
            .args(["/usr/sbin/ip", "link", "add", &name, "type", "veth"])
            .args(["peer", "name", &name, "netns", &other.pid.to_string()])
            .output()
            .expect("nsenter");
        let words = String::from_utf8_lossy(&added.stderr);
        assert!(added.status.success(), "no cable: {words}");
        let ends = [1, 2].map(|end| Ipv4Addr::new(10, 231, number, end));
        for (machine, addr) in [(self, ends[0]), (other, ends[1])] {
            machine.sh(&format!(
                "ip addr add {addr}/24 dev {name}; ip link set {name} up"
            ));
        }
        (ends[0], ends[1])
    }

    /// The machine's first process, by its number on this machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn start(sshd: bool, dropbear: bool, script: &str) -> Result<Self, BedError> {
        let mut unshare = Command::new("/usr/bin/unshare")
            .args(["--mount", "--pid", "--net", "--uts", "--ipc"])
            .args(["--fork", "--kill-child", "--", "/bin/bash", "-c"])
            .arg(script)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(BedError::io("cannot start unshare"))?;
        let life = unshare.stdin.take();
        let said = match said_until_ready(&mut unshare) {
            Ok(said) => said,
            Err(error) => {
                // With its pipe gone it ends, if it has not done so.
                drop(life);
                let _ = unshare.kill();
                let _ = unshare.wait();
                return Err(error);
            }
        };
        let pid: u32 = said
            .one("pid")
            .and_then(|pid| pid.parse().ok())
            .unwrap_or(0);
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| BedError::Setup("it named no process".to_owned()))?;
        let init = pidfd_open(raw, PidfdFlags::empty())
            .map_err(|error| BedError::io("the machine died")(error.into()))?;
        let network = File::open(format!("/proc/{pid}/ns/net"))
            .map_err(BedError::io("cannot open the machine's network"))?;
        let network = Arc::new(OwnedFd::from(network));
        let server = |wanted: bool, name: &str, port: u16| {
            let door = wanted.then(|| Proxy::start(into(&network, port), Weather::default()));
            let door = door.transpose();
            let door = door.map_err(BedError::io("cannot listen on the loopback"))?;
            Ok(door.map(|door| Server {
                port,
                host_keys: said.all(name),
                door,
            }))
        };
        Ok(Self {
            sshd: server(sshd, "sshd", SSHD_PORT)?,
            dropbear: server(dropbear, "dropbear", DROPBEAR_PORT)?,
            network,
            unshare,
            life,
            init,
            pid,
        })
    }

    /// A folder of root's on the machine, as seen from here.
    fn folder(&self) -> PathBuf {
        format!("/proc/{}/root/run/bed", self.pid).into()
    }

    fn sshd(&self) -> &Server {
        self.sshd.as_ref().expect("the machine has an sshd")
    }

    fn dropbear(&self) -> &Server {
        self.dropbear.as_ref().expect("the machine has a dropbear")
    }

    fn ssh_at(&self, addr: SocketAddr, host_keys: &[String], user: &str) -> Command {
        let file = self.folder().join(format!("known_hosts-{}", addr.port()));
        let lines = host_keys.iter().map(|key| known_hosts_line(addr, key));
        std::fs::write(&file, lines.collect::<String>()).expect("a folder of ours");
        let mut ssh = Command::new("/usr/bin/ssh");
        ssh.args(["-F", "none", "-T", "-x", "-a", "-p"])
            .arg(addr.port().to_string())
            .arg("-i")
            .arg(self.identity())
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", file.display()));
        for option in [
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "ControlMaster=no",
            "ControlPath=none",
            "LogLevel=ERROR",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("{user}@{}", addr.ip()));
        ssh
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process takes all the others with it, and is waited for until it has.
        let _ = pidfd_send_signal(&self.init, Signal::KILL);
        self.life = None;
        let _ = self.unshare.wait();
    }
}

/// A connection to a port inside the machine's network. Only the thread that makes it goes there;
/// what it makes stays a socket of that network for whoever uses it.
fn into(network: &Arc<OwnedFd>, port: u16) -> Connect {
    let network = Arc::clone(network);
    Arc::new(move || {
        let network = Arc::clone(&network);
        let visit = std::thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        });
        visit.join().expect("it does not panic")
    })
}

fn known_hosts_line(addr: SocketAddr, key: &str) -> String {
    format!("[{}]:{} {key}\n", addr.ip(), addr.port())
}

fn run(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    output.expect("nsenter, which is there if the machine is")
}

/// What the setup said: lines of a word and a text.
struct ToolOutput(Vec<String>);

impl ToolOutput {
    fn all(&self, word: &str) -> Vec<String> {
        let lines = self.0.iter().filter_map(|line| line.split_once(' '));
        let texts = lines.filter(|(first, _)| *first == word);
        // Without the comment behind a key.
        texts
            .map(|(_, text)| text.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn one(&self, word: &str) -> Option<String> {
        self.all(word).pop()
    }
}

fn said_until_ready(unshare: &mut Child) -> Result<ToolOutput, BedError> {
    let output = unshare.stdout.take().expect("it was asked for");
    let mut errors = unshare.stderr.take().expect("it was asked for");
    let (tell, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line == "ready" {
                let _ = tell.send(Ok(ToolOutput(lines)));
                return;
            }
            lines.push(line);
        }
        let mut words = String::new();
        let _ = errors.read_to_string(&mut words);
        let _ = tell.send(Err(BedError::Setup(words.trim().to_owned())));
    });
    said.recv_timeout(READY)
        .unwrap_or(Err(BedError::Timeout(READY.as_secs())))
}
