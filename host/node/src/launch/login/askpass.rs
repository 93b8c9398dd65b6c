//! Answers the questions of OpenSSH's client: through a helper that it starts, so that no prompt
//! has to be recognised in anything that a server can print.
//!
//! The helper is the child's program. It gets the question as its argument, and asks this process
//! over a socket that has a name but no file. A password is told only to the helper of the very
//! client that was started here, and not to one of a client on the way.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::process::{Command, ExitCode};
use std::time::Duration;

use offshoot_proto::control::Password;
use offshoot_proto::login::{PasswordError, Question, ToolOutput, classify_question};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use super::super::error::ConnectError;
use super::asker::parent_of;
use super::lent::LentProgram;

/// Names the socket to the helper.
const VARIABLE: &str = "OFFSHOOT_ASKPASS";

/// Bytes of a question or an answer at most.
const TEXT_MAX: u64 = 4096;

/// Bytes of a key's path that OpenSSH's client shows at most.
const KEY_SHOWN: usize = 100;

/// How long either side waits for the other: both are on this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// What comes before an answer.
const ANSWER: u8 = 1;

/// A passphrase, and the one identity that it is for, if that was named.
pub(in crate::launch) struct Passphrase {
    pub(in crate::launch) secret: Password,
    pub(in crate::launch) identity: Option<String>,
}

impl Passphrase {
    /// Whether it is for the key that a client names, of which that shows only so much.
    fn is_for(&self, key: &str) -> bool {
        let shown = |identity: &String| {
            let bytes = identity.as_bytes();
            bytes.get(..KEY_SHOWN).unwrap_or(bytes) == key.as_bytes()
        };
        self.identity.as_ref().is_none_or(shown)
    }
}

/// Waits for questions.
pub(in crate::launch) struct Askpass {
    listener: UnixListener,
    name: String,
    /// What the client that was started here has in its arguments, and no other.
    nonce: String,
    password: Option<Password>,
    passphrase: Option<Passphrase>,
    /// The program of the helpers.
    helper: Option<LentProgram>,
    /// The last question, and whether it was answered.
    last: Option<(Question, String, bool)>,
    answered: bool,
}

impl Askpass {
    /// A socket whose helpers are told these.
    pub(in crate::launch) fn new(
        nonce: &str,
        password: Option<Password>,
        passphrase: Option<Passphrase>,
    ) -> std::io::Result<Self> {
        let name = format!("offshoot-askpass-{nonce}");
        let address = SocketAddr::from_abstract_name(&name)?;
        let listener = StdListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            name,
            nonce: nonce.to_owned(),
            password,
            passphrase,
            helper: None,
            last: None,
            answered: false,
        })
    }

    /// Has a client ask here.
    pub(in crate::launch) fn prepare(&mut self, command: &mut Command) -> Result<(), ConnectError> {
        let helper = self.helper.insert(LentProgram::new()?);
        command
            .env(VARIABLE, &self.name)
            .env("SSH_ASKPASS", helper.path())
            .env("SSH_ASKPASS_REQUIRE", "force");
        // A client that does not know this variable starts the helper only where it could open a
        // window; it has no terminal to ask on instead.
        if std::env::var_os("DISPLAY").is_none() {
            command.env("DISPLAY", ":0");
        }
        Ok(())
    }

    /// Waits for a helper.
    ///
    /// Cancel-safe.
    pub(in crate::launch) async fn accept(&self) -> Option<UnixStream> {
        self.listener.accept().await.ok().map(|(stream, _)| stream)
    }

    /// Hears its question, and answers it if that can be done.
    pub(in crate::launch) async fn answer(&mut self, stream: UnixStream) {
        // Whoever gives up here leaves the client without an answer, and the client says so.
        let _ = tokio::time::timeout(PATIENCE, self.try_answer(&stream)).await;
    }

    async fn try_answer(&mut self, stream: &UnixStream) -> std::io::Result<()> {
        let peer = stream.peer_cred()?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let helper = peer.pid().and_then(|pid| u32::try_from(pid).ok());
        let client = helper.and_then(parent_of);
        let ours = client.is_some_and(|pid| self.is_client(pid));
        let mut prompt = Vec::new();
        let mut buffer = [0; 512];
        loop {
            let count = stream
                .async_io(Interest::READABLE, || stream.try_read(&mut buffer))
                .await?;
            if count == 0 || prompt.len() as u64 > TEXT_MAX {
                break;
            }
            prompt.extend_from_slice(&buffer[..count]);
        }
        let prompt = String::from_utf8_lossy(&prompt).into_owned();
        let question = classify_question(&prompt);
        let secret = match (&question, ours) {
            (Question::Password, true) => self.password.take(),
            (Question::Passphrase(key), true) => {
                let passphrase = self.passphrase.take_if(|it| it.is_for(key));
                passphrase.map(|it| it.secret)
            }
            _ => None,
        };
        // What was told once was told; a second question means that it was wrong.
        let answered = secret.is_some();
        self.answered |= answered;
        let again = self
            .last
            .take()
            .is_some_and(|(last, _, answered)| last == question && answered);
        let prompt = prompt.trim().trim_end_matches(':').to_owned();
        self.last = Some((question, prompt, answered || again));
        if let Some(secret) = secret {
            let mut answer = Zeroizing::new(vec![ANSWER]);
            answer.extend_from_slice(secret.expose().as_bytes());
            let mut rest = &answer[..];
            while !rest.is_empty() {
                let count = stream
                    .async_io(Interest::WRITABLE, || stream.try_write(rest))
                    .await?;
                rest = &rest[count..];
            }
        }
        Ok(())
    }

    /// Whether this is the client that was started here: a client that goes through others starts
    /// further ones, for which the password is not meant.
    fn is_client(&self, pid: u32) -> bool {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let nonce = self.nonce.as_bytes();
        arguments.windows(nonce.len()).any(|window| window == nonce)
    }

    /// Whether anything was answered.
    pub(in crate::launch) fn has_answered(&self) -> bool {
        self.answered
    }

    /// What the last question means if the client was not let in.
    pub(in crate::launch) fn complaint(&self, words: &str) -> Option<PasswordError> {
        let (question, prompt, answered) = self.last.as_ref()?;
        let said = ToolOutput::new("ssh", words);
        Some(match (question, answered) {
            (Question::Password, true) => PasswordError::Incorrect(said),
            (Question::Password, false) => PasswordError::Required(said),
            (Question::Passphrase(key), true) => PasswordError::PassphraseIncorrect {
                key: key.clone(),
                said,
            },
            (Question::Passphrase(key), false) => PasswordError::PassphraseRequired {
                key: key.clone(),
                said,
            },
            (Question::Other, _) => PasswordError::UnknownPrompt {
                prompt: ToolOutput::new("ssh", prompt).words,
                said,
            },
        })
    }
}

/// The helper: asks whoever started the client. `None` is what is no helper.
pub fn help(prompt: &str) -> Option<ExitCode> {
    let name = std::env::var_os(VARIABLE)?;
    let answer = ask(name.as_encoded_bytes(), prompt);
    Some(match answer.as_deref().map(|answer| answer.split_first()) {
        Ok(Some((&ANSWER, secret))) => {
            let mut output = std::io::stdout().lock();
            let written = output
                .write_all(secret)
                .and_then(|()| output.write_all(b"\n"));
            match written.and_then(|()| output.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        _ => ExitCode::FAILURE,
    })
}

fn ask(name: &[u8], prompt: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let address = SocketAddr::from_abstract_name(name)?;
    let mut stream = StdStream::connect_addr(&address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(prompt.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // It does not grow, so that no copy of it is left behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(TEXT_MAX as usize));
    stream.take(TEXT_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}
