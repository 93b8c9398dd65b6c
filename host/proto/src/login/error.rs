//! Why one was not let in, split by who must act.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::bootstrap::excerpt;

/// Why one was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LoginError {
    /// A password is missing or wrong. Ask whoever has it.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The server's key is not trusted. Compare it with the server's.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// The account may not do that. Ask whoever administers the machine.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The machine was not reached. Look at the network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Which tool refused, and its own last words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// The tool, such as `sudo`.
    pub tool: String,
    /// What it printed: the first and the last of it, without control characters.
    pub words: String,
}

impl ToolOutput {
    /// Quotes what `tool` printed.
    pub fn new(tool: &str, printed: &str) -> Self {
        Self {
            tool: tool.to_owned(),
            words: excerpt(printed.as_bytes()),
        }
    }
}

/// The words, if there are any, at the end of an error.
struct Words<'a>(&'a ToolOutput);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.words {
            "" => Ok(()),
            words => write!(f, "; it said: {words}"),
        }
    }
}

/// A password is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// One was asked for, and there is none.
    #[error("{} password is required{}", .0.tool, Words(.0))]
    Required(ToolOutput),
    /// It was tried, once.
    #[error("{} password is incorrect{}", .0.tool, Words(.0))]
    Incorrect(ToolOutput),
    /// An identity is encrypted, and there is no passphrase.
    #[error("the passphrase of the identity `{key}` is required{}", Words(said))]
    PassphraseRequired {
        /// The identity's file.
        key: String,
        /// Who asked.
        said: ToolOutput,
    },
    /// The passphrase was tried, once.
    #[error("the passphrase of the identity `{key}` is incorrect{}", Words(said))]
    PassphraseIncorrect {
        /// The identity's file.
        key: String,
        /// Who asked.
        said: ToolOutput,
    },
    /// Something else was asked for, which nobody here can answer.
    #[error("{} asks `{prompt}`, which cannot be answered here{}", said.tool, Words(said))]
    UnknownPrompt {
        /// The question.
        prompt: String,
        /// Who asked.
        said: ToolOutput,
    },
    /// Something asked for the password that is not the tool.
    #[error("{} password was withheld: {reason}{}", said.tool, Words(said))]
    Withheld {
        /// Why it is not the tool, and what to do.
        reason: String,
        /// What the tool, or something in its name, printed.
        said: ToolOutput,
    },
}

/// The server's key is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeyError {
    /// It is not known.
    #[error(
        "host key is not known: compare it with the server's and add it to known_hosts, or have \
         new ones accepted{}", Words(.0)
    )]
    Unknown(ToolOutput),
    /// Another one is known.
    #[error(
        "host key has changed: this may be an attack; compare it with the server's and remove \
         the old one from known_hosts only then{}", Words(.0)
    )]
    Changed(ToolOutput),
    /// It was taken out of use.
    #[error("host key is marked as revoked{}", Words(.0))]
    Revoked(ToolOutput),
    /// The client does not say why.
    #[error("host key verification failed{}", Words(.0))]
    Failed(ToolOutput),
}

/// The account may not do that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The server takes none of the credentials.
    #[error(
        "authentication was refused (it would take {}){}",
        Methods(methods),
        Words(said)
    )]
    AuthenticationRefused {
        /// What it would take.
        methods: Vec<String>,
        /// Who says so.
        said: ToolOutput,
    },
    /// The private key cannot be used.
    #[error("the identity cannot be used{}", Words(.0))]
    Identity(ToolOutput),
    /// There is no such user.
    #[error("there is no such user{}", Words(.0))]
    NoSuchUser(ToolOutput),
    /// The tool's rules do not allow it.
    #[error("{} does not permit it{}", .0.tool, Words(.0))]
    NotPermitted(ToolOutput),
    /// The tool wants a terminal.
    #[error("{} wants a terminal and found none{}", .0.tool, Words(.0))]
    RequireTty(ToolOutput),
    /// The account is locked.
    #[error("the account is locked{}", Words(.0))]
    AccountLocked(ToolOutput),
    /// The account or its password has expired.
    #[error("the account or its password has expired{}", Words(.0))]
    AccountExpired(ToolOutput),
    /// What the tool is told to do makes no sense to it, or cannot be done.
    #[error("{} cannot do what its configuration says{}", .0.tool, Words(.0))]
    Configuration(ToolOutput),
    /// The tool itself is not set up right.
    #[error("{} is not installed correctly{}", .0.tool, Words(.0))]
    BrokenTool(ToolOutput),
    /// The account's shell does not run commands.
    #[error(
        "the account's shell did not run the command ({status}): does it let one log in?{}",
        Words(said)
    )]
    ShellRefused {
        /// How it ended.
        status: String,
        /// What it printed instead.
        said: ToolOutput,
    },
}

struct Methods<'a>(&'a [String]);

impl fmt::Display for Methods<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing"),
            methods => f.write_str(&methods.join(", ")),
        }
    }
}

/// The machine was not reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Its name says nothing to anybody.
    #[error("the host's name cannot be resolved{}", Words(.0))]
    NameResolution(ToolOutput),
    /// Nobody listens there.
    #[error("the connection was refused: nobody listens there{}", Words(.0))]
    Refused(ToolOutput),
    /// There is no way to it.
    #[error("the host cannot be reached{}", Words(.0))]
    Unreachable(ToolOutput),
    /// It did not answer.
    #[error("the host did not answer in time{}", Words(.0))]
    TimedOut(ToolOutput),
    /// It hung up before it had asked who we are, or later.
    #[error("the host closed the connection{}", Words(.0))]
    Dropped(ToolOutput),
    /// The two have no algorithm in common.
    #[error("the host and the client have no algorithm in common{}", Words(.0))]
    NoAlgorithm(ToolOutput),
}
