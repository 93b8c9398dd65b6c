//! Why there is no session, by who must act.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use offshoot_text::commands_a_terminal;

use crate::config::{ConfigError, Unsupported};
use crate::known_hosts::FileError;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration asks for what this client cannot do.
    #[error("{}, line {}: the in-process client cannot honour `{}`; set `ssh_path` to use the system's client", _0.file.display(), _0.line, _0.name)]
    UnsupportedDirective(Unsupported),
    /// A file with host keys cannot be read or written.
    #[error("host keys: {0}")]
    KnownHosts(#[from] FileError),
    /// The host's key is not one to trust.
    #[error("{host}: {problem}")]
    HostKey {
        /// The host, as its key is known.
        host: String,
        /// Why not.
        problem: HostKeyProblem,
    },
    /// The host's key is not one to trust, and the host takes nothing that could be shown to it all
    /// the same.
    #[error(
        "{doubt}; no password is shown to it, whatever the configuration says of host keys: {refusal}"
    )]
    Withheld {
        /// Why its key is not one to trust.
        doubt: Box<Self>,
        /// What it said to the rest.
        refusal: Box<Self>,
    },
    /// There is no such host.
    #[error("cannot resolve `{host}`: {source}")]
    NameResolution {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing listens there.
    #[error("{address} refused the connection: does an ssh server listen there?")]
    Refused {
        /// The last address that was tried.
        address: String,
    },
    /// There is no way there.
    #[error("cannot reach {address}: {source}")]
    Unreachable {
        /// The last address that was tried.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The command that was to reach the host did not.
    #[error("the ProxyCommand `{command}` {reason}")]
    ProxyCommand {
        /// The command.
        command: String,
        /// What became of it.
        reason: String,
    },
    /// The machine on the way does not let through.
    #[error("it does not tunnel to {address}: {reason}")]
    Tunnel {
        /// Where to.
        address: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("{host}: no {stage} within {}s", after.as_secs_f32())]
    Timeout {
        /// The host.
        host: String,
        /// What did not come about.
        stage: Stage,
        /// The time it had.
        after: Duration,
    },
    /// An identity file is of no use.
    #[error("identity file {}: {why}", path.display())]
    IdentityFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: IdentityProblem,
    },
    /// A key is encrypted.
    #[error("identity file {} needs a passphrase, and none was given", path.display())]
    PassphraseRequired {
        /// The key.
        path: PathBuf,
    },
    /// A key is encrypted with another passphrase.
    #[error("the passphrase does not fit identity file {}", path.display())]
    PassphraseIncorrect {
        /// The key.
        path: PathBuf,
    },
    /// No key was accepted, and there is no password.
    #[error("{user}@{host} asks for a password, and none was given")]
    PasswordRequired {
        /// Who.
        user: String,
        /// Where.
        host: String,
    },
    /// The password is wrong.
    #[error("the password of {user}@{host} is incorrect")]
    PasswordIncorrect {
        /// Who.
        user: String,
        /// Where.
        host: String,
    },
    /// The server asks something that nobody here can answer.
    #[error("{user}@{host} asks `{prompt}`, which nobody here can answer")]
    Prompt {
        /// Who.
        user: String,
        /// Where.
        host: String,
        /// What it asks.
        prompt: String,
    },
    /// Nothing that was tried is accepted.
    #[error(
        "{user}@{host} refused to let us in; it takes {}{}",
        Methods(methods),
        Said(said)
    )]
    AuthRefused {
        /// Who.
        user: String,
        /// Where.
        host: String,
        /// The methods that are left.
        methods: Vec<String>,
        /// What it said when it hung up, or nothing.
        said: String,
    },
    /// Nobody gets in as that user, whoever it is.
    #[error("{host} does not let {user} in: {said}")]
    AccountClosed {
        /// Who.
        user: String,
        /// Where.
        host: String,
        /// What it said.
        said: String,
    },
    /// The server does not run the command.
    #[error("{host} does not run commands{}", Said(said))]
    ExecRefused {
        /// The host.
        host: String,
        /// What it said, or nothing.
        said: String,
    },
    /// The connection ended.
    #[error("{host} closed the connection before the {stage}{}", Said(reason))]
    Closed {
        /// The host.
        host: String,
        /// What did not come about.
        stage: Stage,
        /// What is known of it, or nothing.
        reason: String,
    },
    /// The two sides have nothing in common to use.
    #[error(
        "{host}: no {kind} in common: it offers {}, we take {}; see {} in ssh_config(5), or set `ssh_path` to use the system's client",
        Listed(theirs),
        Listed(ours),
        kind.directive()
    )]
    NoAlgorithm {
        /// The host.
        host: String,
        /// What for.
        kind: Algorithm,
        /// What we take.
        ours: Vec<String>,
        /// What it offers.
        theirs: Vec<String>,
    },
    /// The other side does not speak ssh as it should.
    #[error("{host}: {reason}")]
    Protocol {
        /// The host.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// This process cannot make a pipe, or the like.
    #[error("cannot set the connection up: {0}")]
    Local(#[source] io::Error),
    /// A machine on the way is the reason.
    #[error("jump host {hop}: {source}")]
    Jump {
        /// Which.
        hop: String,
        /// Why.
        source: Box<Self>,
    },
    /// Machines on the way need machines on the way.
    #[error("the way to {host} has more than {max} hops")]
    TooManyHops {
        /// The host.
        host: String,
        /// The bound.
        max: usize,
    },
}

impl SshError {
    /// Whether the server may well be another one than was asked for: its key says so.
    pub(crate) fn is_of_another_server(&self) -> bool {
        matches!(
            self,
            Self::HostKey {
                problem: HostKeyProblem::Changed { .. } | HostKeyProblem::Revoked { .. },
                ..
            }
        )
    }
}

/// Why a host's key is not one to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyProblem {
    /// Nothing is known of the host.
    #[error(
        "unknown host key: {key_type} {fingerprint}; compare it with the server's, then add it to known_hosts, or use check_host_keys=accept"
    )]
    Unknown {
        /// The type of the key.
        key_type: String,
        /// Its fingerprint.
        fingerprint: String,
    },
    /// It has another key now.
    #[error("THE HOST KEY HAS CHANGED: it is now {key_type} {fingerprint}, and {}, line {line} has another; somebody may be in between; if the change is known, remove that line", file.display())]
    Changed {
        /// The type of the key.
        key_type: String,
        /// Its fingerprint.
        fingerprint: String,
        /// Where another is known.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// The key is revoked.
    #[error("the host key {key_type} {fingerprint} is revoked by {}, line {line}", file.display())]
    Revoked {
        /// The type of the key.
        key_type: String,
        /// Its fingerprint.
        fingerprint: String,
        /// Where that is said.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// A certificate by a known authority is of no use.
    #[error("the host certificate is not to be trusted: {0}")]
    Certificate(String),
    /// The key is too short.
    #[error("the host key has {bits} bits, and {wanted} are required")]
    Short {
        /// Its bits.
        bits: u32,
        /// `RequiredRSASize`
        wanted: u32,
    },
}

/// Why an identity file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityProblem {
    /// It is not there.
    #[error("there is no such file")]
    Missing,
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[source] io::Error),
    /// Others may read it.
    #[error("others may read it (mode {0:03o}); run `chmod 600` on it")]
    Permissions(u32),
    /// It holds no key.
    #[error("it is no private key that the in-process client can read ({0})")]
    Format(String),
    /// Only its public half is here.
    #[error("only its public half is here, and no agent that was asked holds the other")]
    OnlyPublic,
    /// The server takes only signatures that are broken.
    #[error("the server takes only SHA-1 signatures of it, which are refused")]
    Sha1,
}

/// What two sides need to have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// How keys of a session are made.
    KeyExchange,
    /// How the server shows who it is.
    HostKey,
    /// How all is encrypted.
    Cipher,
    /// How changes on the way are noticed.
    Mac,
    /// How all is compressed.
    Compression,
}

impl Algorithm {
    /// The directive with the list of ours.
    pub fn directive(self) -> &'static str {
        match self {
            Self::KeyExchange => "KexAlgorithms",
            Self::HostKey => "HostKeyAlgorithms",
            Self::Cipher => "Ciphers",
            Self::Mac => "MACs",
            Self::Compression => "Compression",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyExchange => "key exchange",
            Self::HostKey => "kind of host key",
            Self::Cipher => "cipher",
            Self::Mac => "message authentication",
            Self::Compression => "compression",
        })
    }
}

/// A step on the way to a session, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The name becomes addresses.
    NameResolution,
    /// A connection is made.
    Connection,
    /// The server shows who it is.
    Handshake,
    /// We show who we are.
    Authentication,
    /// The command is started.
    Command,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameResolution => "name resolution",
            Self::Connection => "connection",
            Self::Handshake => "handshake",
            Self::Authentication => "authentication",
            Self::Command => "start of the command",
        })
    }
}

struct Methods<'a>(&'a [String]);

impl fmt::Display for Methods<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing more"),
            methods => f.write_str(&methods.join(", ")),
        }
    }
}

struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing"),
            names => f.write_str(&printable(&names.join(","))),
        }
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// Characters of a foreign text that a message repeats.
const FOREIGN_MAX: usize = 400;

/// What somebody else says, fit for a terminal: one line, not too long, without control
/// characters and without those that steer a line.
pub(crate) fn printable(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|&c| !commands_a_terminal(c)).collect())
        .filter(|word: &String| !word.is_empty())
        .collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(FOREIGN_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn f49_what_a_server_says_is_one_harmless_line() {
        let said = "\x1b]52;c;evil\x07 hello\r\nthere \u{202e}x\t!\u{200f}\u{61c}";
        assert_eq!(printable(said), "]52;c;evil hello there x !");
        assert_eq!(printable(&"x".repeat(1_000_000)).chars().count(), 401);
    }
}
