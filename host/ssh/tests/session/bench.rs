//! A machine to connect to, and the configuration with which it is done.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use offshoot_bed::{Machine, SshdOptions, User};
use offshoot_ssh::config::Environment;
use offshoot_ssh::{Ended, Request, Secret, Session, SshError, open};
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) folder: TempDir,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) ended: Ended,
}

impl Bench {
    /// Ann has a key and no password, Bob a password and no key.
    pub(crate) fn new(options: SshdOptions) -> Self {
        Self::with(Machine::builder().sshd(options))
    }

    pub(crate) fn with(builder: offshoot_bed::Builder) -> Self {
        let machine = builder
            .user(User::new("ann"))
            .user(User::new("bob").password("bob's secret").without_key())
            .start()
            .expect("a machine");
        let folder = TempDir::new().unwrap();
        let bench = Self { machine, folder };
        bench.knows(&bench.machine.known_hosts_line());
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Says what is known of host keys.
    pub(crate) fn knows(&self, lines: &str) {
        fs::write(self.path("known"), lines).unwrap();
    }

    pub(crate) fn known(&self) -> String {
        fs::read_to_string(self.path("known")).unwrap_or_default()
    }

    /// A request to the machine, under the name `target`, with more lines of configuration.
    pub(crate) fn request(&self, user: &str, command: &str, lines: &str) -> Request {
        self.request_to(self.machine.ssh_addr(), user, command, lines)
    }

    pub(crate) fn request_to(
        &self,
        addr: SocketAddr,
        user: &str,
        command: &str,
        lines: &str,
    ) -> Request {
        let config = format!(
            "{lines}\nHost target\n HostName {}\n Port {}\n User {user}\nHost *\n \
             IdentityFile {}\n UserKnownHostsFile {}\n GlobalKnownHostsFile none\n",
            addr.ip(),
            addr.port(),
            self.machine.identity().display(),
            self.path("known").display(),
        );
        fs::write(self.path("config"), config).unwrap();
        let mut request = Request::new("target", command);
        request.env = Environment {
            home: self.folder.path().to_owned(),
            user_config: Some(self.path("config")),
            system_config: None,
            variables: vec![("SSH_AUTH_SOCK".to_owned(), String::new())],
            ..Environment::of_process()
        };
        request
    }

    /// A key that nobody knows, made with these arguments.
    pub(crate) fn key(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-C", "", "-f"])
            .arg(&path)
            .args(arguments)
            .output()
            .expect("openssh-client is installed");
        assert!(made.status.success(), "{made:?}");
        path
    }

    /// Lets a user in with a key.
    pub(crate) fn let_in(&self, user: &str, key: &std::path::Path) {
        let public = fs::read(key.with_extension("pub")).unwrap();
        self.machine
            .write(&format!("/etc/ssh/bed_keys/{user}"), &public, "644");
    }
}

pub(crate) fn chmod(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.to_owned()))
}

/// Runs a command to its end, with nothing to read.
pub(crate) async fn run(request: Request) -> Result<Ran, SshError> {
    let session = open(request).await?;
    Ok(finish(session).await)
}

pub(crate) async fn finish(session: Session) -> Ran {
    let Session {
        output,
        input,
        errors,
        connection,
        ..
    } = session;
    drop(input);
    let output = read_all(output);
    let errors = read_all(errors);
    let ended = tokio::time::timeout(Duration::from_secs(60), connection.ended()).await;
    Ran {
        output: String::from_utf8_lossy(&output.await).into_owned(),
        errors: String::from_utf8_lossy(&errors.await).into_owned(),
        ended: ended.expect("it ends"),
    }
}

pub(crate) fn read_all(fd: std::os::fd::OwnedFd) -> impl Future<Output = Vec<u8>> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        fs::File::from(fd).read_to_end(&mut bytes).unwrap();
        bytes
    });
    async { reading.await.unwrap() }
}
