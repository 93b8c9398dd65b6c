//! Plays the driver's part of a bootstrap with threads.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use offshoot_bed::{Builder, Machine, SshdOptions, User};
use offshoot_proto::bootstrap::{
    BootstrapError, Conversation, Encoding, Platform, Refusal, RefusedDirectory, Stage0, Step,
};
use offshoot_proto::handshake::ExpectHello;
use sha2::{Digest as _, Sha256};

/// What ends a test that would hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the cache.
pub(crate) const CACHE: &str = "offshoot";

/// Has nothing run from the directories that everybody has.
pub(crate) const NO_EXEC: &str =
    "for d in /tmp /var/tmp /dev/shm; do mount -o remount,noexec $d; done";

/// Takes the languages away that can put a child into memory.
pub(crate) const NO_SCRIPTS: &str = "rm -f /usr/bin/perl* /usr/bin/python3*";

/// What is sent to a machine that has no child.
#[derive(Clone)]
pub(crate) struct Payload {
    pub(crate) plain: Vec<u8>,
    pub(crate) gzip: Vec<u8>,
    pub(crate) sha256: [u8; 32],
}

impl Payload {
    pub(crate) fn new(plain: Vec<u8>) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain).unwrap();
        Self {
            gzip: encoder.finish().unwrap(),
            sha256: Sha256::digest(&plain).into(),
            plain,
        }
    }

    /// The stub, which greets like a child.
    pub(crate) fn stub() -> &'static Self {
        static STUB: OnceLock<Payload> = OnceLock::new();
        STUB.get_or_init(|| Self::new(std::fs::read(env!("CARGO_BIN_EXE_bed-stub")).unwrap()))
    }

    /// Its name in a cache.
    pub(crate) fn name(&self) -> String {
        self.sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The command that asks for it.
    pub(crate) fn stage0(&self) -> Stage0 {
        let platform = |uname: &str, sha256| Platform {
            uname: vec![uname.to_owned()],
            sha256,
            size: self.plain.len() as u64,
            gzip_size: Some(self.gzip.len() as u64),
        };
        let platforms = vec![
            // Another one first, so that a number is told.
            platform("Linux s390x", [7; 32]),
            platform("Linux x86_64", self.sha256),
            platform("Linux aarch64", self.sha256),
        ];
        Stage0::new(&nonce(), CACHE, platforms).unwrap()
    }

    fn encoded(&self, encoding: Encoding) -> &[u8] {
        match encoding {
            Encoding::Plain => &self.plain,
            Encoding::Gzip => &self.gzip,
        }
    }
}

fn nonce() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    uuid.trim().replace('-', "")
}

/// A machine with sshd and one user called bob.
pub(crate) fn with_bob(bob: User) -> Builder {
    Machine::builder().sshd(SshdOptions::default()).user(bob)
}

pub(crate) fn bob() -> User {
    User::new("bob")
}

pub(crate) fn start(builder: &Builder) -> Machine {
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

/// How a bootstrap went.
pub(crate) struct Booted {
    /// Where the child was sent to, and how.
    pub(crate) uploads: Vec<(String, Encoding)>,
    pub(crate) end: Result<Running, BootstrapError>,
    /// What the tool said on its error stream until then; all of it if there is no child.
    pub(crate) errors: String,
}

/// A child that said hello.
pub(crate) struct Running {
    tool: Tool,
    /// What the stub told of itself.
    pub(crate) report: HashMap<String, String>,
    /// What was printed before its greeting.
    pub(crate) noise: Vec<u8>,
}

/// Boots the stub over ssh as bob.
pub(crate) fn boot(machine: &Machine) -> Booted {
    boot_as(machine, "bob")
}

pub(crate) fn boot_as(machine: &Machine, user: &str) -> Booted {
    let payload = Payload::stub();
    let stage0 = payload.stage0();
    boot_with(over_ssh(machine.ssh(user), &stage0), &stage0, payload)
}

/// The command of `stage0` for ssh.
pub(crate) fn over_ssh(mut ssh: Command, stage0: &Stage0) -> Command {
    ssh.arg(stage0.command());
    ssh
}

/// Runs a command that is to become a child, and has the conversation with it.
pub(crate) fn boot_with(command: Command, stage0: &Stage0, payload: &Payload) -> Booted {
    let mut tool = Tool::start(command);
    let mut conversation = Conversation::new(stage0);
    let mut uploads = Vec::new();
    loop {
        match tool.read() {
            Some(bytes) => conversation.handle_bytes(&bytes),
            None => conversation.handle_closed(),
        }
        while let Some(step) = conversation.poll_step() {
            match step {
                Step::Upload {
                    platform,
                    encoding,
                    directory,
                } => {
                    assert_ne!(platform, 0, "this is no mainframe");
                    uploads.push((directory, encoding));
                    tool.write(payload.encoded(encoding).to_vec());
                }
                Step::Serving { behind, noise } => {
                    return Booted {
                        uploads,
                        end: Ok(Running::greet(tool, stage0.nonce(), behind, noise)),
                        errors: String::new(),
                    };
                }
                Step::Failed(error) => {
                    return Booted {
                        uploads,
                        end: Err(error),
                        errors: tool.end().1,
                    };
                }
            }
        }
    }
}

impl Booted {
    /// The child that must be running.
    #[track_caller]
    pub(crate) fn child(self) -> Running {
        match self.end {
            Ok(running) => running,
            Err(error) => panic!("{error}; on its error stream: {}", self.errors),
        }
    }

    /// The child that must be running, and must not have been sent.
    #[track_caller]
    pub(crate) fn cached_child(self) -> Running {
        assert_eq!(self.uploads, [], "it is in the cache");
        self.child()
    }

    /// The child that must be running, and must have been sent to one directory.
    #[track_caller]
    pub(crate) fn sent_child(self, directory: &str) -> Running {
        let [(to, _)] = &self.uploads[..] else {
            panic!("uploads: {:?}, {:?}", self.uploads, self.end.err());
        };
        assert_eq!(to, directory);
        self.child()
    }

    #[track_caller]
    pub(crate) fn error(self) -> BootstrapError {
        match self.end {
            Ok(_) => panic!("it runs"),
            Err(error) => error,
        }
    }

    /// The directories that must all have been refused.
    #[track_caller]
    pub(crate) fn refused(self) -> Vec<(String, Refusal)> {
        match self.error() {
            BootstrapError::NoDirectory(refused) => refused
                .into_iter()
                .map(|RefusedDirectory { path, why }| (path, why))
                .collect(),
            other => panic!("{other}"),
        }
    }
}

impl Running {
    fn greet(mut tool: Tool, nonce: &str, mut behind: Vec<u8>, noise: Vec<u8>) -> Self {
        let mut expect = ExpectHello::new(nonce, "stub");
        let greeted = loop {
            if let Some(greeted) = expect.on_bytes(&behind).unwrap() {
                break greeted;
            }
            behind = tool.read().expect("a hello");
        };
        assert_eq!(greeted.noise, b"", "the conversation took it out");
        let mut text = greeted.rest;
        while !text.ends_with(b"\n\n") {
            text.extend(tool.read().expect("a report"));
        }
        let text = String::from_utf8(text).unwrap();
        let report = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            tool,
            report,
            noise,
        }
    }

    /// Where its program is.
    pub(crate) fn exe(&self) -> &str {
        &self.report["exe"]
    }

    /// Shows that every byte gets through both ways, ends it, and gives what was said on the error
    /// stream.
    pub(crate) fn ends_well(mut self) -> String {
        let bytes: Vec<u8> = (0..60_000_u32).map(|n| (n * 7 / 3 % 256) as u8).collect();
        self.tool.write(bytes.clone());
        let mut back = Vec::new();
        while back.len() < bytes.len() {
            back.extend(self.tool.read().expect("an echo"));
        }
        assert!(back == bytes, "every byte comes back as it was");
        let (status, errors) = self.tool.end();
        assert!(status.success(), "{status}: {errors}");
        errors
    }
}

/// A process that is talked to, killed when it is dropped.
pub(crate) struct Tool {
    process: Child,
    input: Option<ChildStdin>,
    writer: Option<JoinHandle<ChildStdin>>,
    output: Receiver<Vec<u8>>,
    errors: Option<JoinHandle<String>>,
}

impl Tool {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = process.stdout.take().unwrap();
        let mut stderr = process.stderr.take().unwrap();
        let (send, output) = mpsc::sync_channel(16);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            input: process.stdin.take(),
            process,
            writer: None,
            output,
            errors: Some(errors),
        }
    }

    /// What was printed next; nothing at its end.
    pub(crate) fn read(&mut self) -> Option<Vec<u8>> {
        match self.output.recv_timeout(PATIENCE) {
            Ok(bytes) => Some(bytes),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was printed for too long"),
        }
    }

    /// Writes while others read.
    pub(crate) fn write(&mut self, bytes: Vec<u8>) {
        if let Some(writer) = self.writer.take() {
            self.input = Some(writer.join().unwrap());
        }
        let mut input = self.input.take().unwrap();
        self.writer = Some(thread::spawn(move || {
            // Whoever does not read is found out by what is printed.
            let _ = input.write_all(&bytes);
            input
        }));
    }

    /// Closes its input, and waits for its end.
    fn end(mut self) -> (ExitStatus, String) {
        self.input = None;
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
        let start = Instant::now();
        while self.read().is_some() {}
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                let errors = self.errors.take().unwrap().join().unwrap();
                return (status, errors);
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for something that is about to become true.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
