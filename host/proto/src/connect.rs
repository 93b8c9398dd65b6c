//! How a context asks another one for a child, how that reports its progress, and what it answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bootstrap::RefusedDirectory;
use crate::control::{Hello, Traces};
use crate::id::ContextId;
use crate::login::LoginError;
use crate::method::Method;

/// Events of one connection that are sent to the context that asked for it. An honest one has some
/// thirty; what is more is not sent, and not read.
pub const CONNECT_EVENTS_MAX: usize = 100;

/// What a new context is to be, by whatever method it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectOptions {
    /// Its name; `None` names it after the way it was made and its process id.
    pub name: Option<String>,
    /// The most verbose level that its logs are wanted at: 1 error to 5 trace; 0 is none.
    pub log_level: u8,
    /// What it writes about itself, beside what its parent does.
    pub traces: Traces,
    /// How long it may take to say hello.
    pub timeout: Duration,
}

/// Asks a context to make a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The child's id.
    pub id: ContextId,
    /// How to make it.
    pub method: Method,
    /// What it is to be.
    pub options: ConnectOptions,
    /// Whether [`Connected::Progress`] is to come ahead of the answer.
    pub wants_progress: bool,
}

/// The answer to a [`Connect`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connected {
    /// The child is up.
    Up {
        /// What it said of itself.
        hello: Hello,
        /// Its name.
        name: String,
    },
    /// It could not be made, and why.
    Failed(ConnectFailure),
    /// It has come so far. The answer is yet to come.
    Progress(ConnectEvent),
}

/// What has happened on the way to a new context.
///
/// The events of one context come in the order of these variants. Each way leaves out those that it
/// does not have, and those that are about a machine come for each machine on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConnectEvent {
    /// A host's name was looked up. From the client inside Offshoot only.
    Resolved {
        /// The host, as the configuration calls it.
        host: String,
    },
    /// There is a connection to the host. From the client inside Offshoot only.
    Connected {
        /// The host.
        host: String,
    },
    /// The host's key is trusted. From the client inside Offshoot only: OpenSSH's does not tell.
    HostKeyTrusted {
        /// The host.
        host: String,
    },
    /// The server, or the tool that changes the user, accepted the user.
    Authenticated,
    /// Stage 0 runs, and looks for the child and for a directory that can hold it.
    Probing,
    /// The child is being sent, since it is not there. It comes once with `sent` 0, then about every
    /// sixteenth of it, and with `sent` equal to `total` at the end.
    Uploading {
        /// Where the child is put.
        directory: String,
        /// Bytes that were sent.
        sent: u64,
        /// Bytes that there are to send: those of the compressed child, where it is compressed.
        total: u64,
    },
    /// The child was started.
    Started,
    /// The child has said hello: it speaks the protocol, and is of the same build.
    Hello,
}

impl ConnectEvent {
    /// What is under way once this has happened.
    pub fn stage(&self) -> ConnectStage {
        match self {
            Self::Resolved { .. } => ConnectStage::Connect,
            Self::Connected { .. } => ConnectStage::KeyExchange,
            Self::HostKeyTrusted { .. } => ConnectStage::Authenticate,
            Self::Authenticated => ConnectStage::Command,
            Self::Probing => ConnectStage::Look,
            Self::Uploading { sent, total, .. } if sent < total => ConnectStage::Upload,
            Self::Uploading { .. } | Self::Started | Self::Hello => ConnectStage::Hello,
        }
    }
}

impl fmt::Display for ConnectEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolved { host } => write!(f, "resolved {host}"),
            Self::Connected { host } => write!(f, "connected to {host}"),
            Self::HostKeyTrusted { host } => write!(f, "trusted the key of {host}"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Probing => f.write_str("looking for the child"),
            Self::Uploading {
                directory,
                sent,
                total,
            } => write!(f, "sent {sent} of {total} bytes to {directory}"),
            Self::Started => f.write_str("started the child"),
            Self::Hello => f.write_str("received the child's hello"),
        }
    }
}

/// How far the making of a context has come: what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConnectStage {
    /// Its name is being looked up.
    Resolve,
    /// The machine is being reached.
    Connect,
    /// The server proves its identity.
    KeyExchange,
    /// The client authenticates.
    Authenticate,
    /// The command is about to run there.
    Command,
    /// Stage 0 looks for a directory that can hold the child.
    Look,
    /// The child is being sent.
    Upload,
    /// The child has started, and has not said hello.
    Hello,
}

impl fmt::Display for ConnectStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up its name",
            Self::Connect => "connecting",
            Self::KeyExchange => "exchanging keys",
            Self::Authenticate => "authenticating",
            Self::Command => "starting the command",
            Self::Look => "looking for a directory",
            Self::Upload => "sending the child",
            Self::Hello => "waiting for the child's hello",
        })
    }
}

/// Why a child could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectFailure {
    /// For people; nothing more is known of it.
    Other(String),
    /// The login failed.
    Login(LoginError),
    /// There is no child for such a machine.
    UnsupportedPlatform {
        /// What it calls itself.
        uname: String,
        /// What machines call themselves that there is a child for.
        offered: Vec<String>,
    },
    /// No directory there can hold the child and run it.
    NoDirectory(Vec<RefusedDirectory>),
    /// The tool that leads there is missing.
    ToolMissing {
        /// Its name or path.
        tool: String,
        /// What the system says.
        reason: String,
    },
    /// It ended before the child said hello.
    ClosedEarly {
        /// What was started.
        program: String,
        /// How far it had come.
        stage: ConnectStage,
        /// How it ended, and what it printed.
        reason: String,
    },
    /// It took too long.
    TimedOut {
        /// What was started.
        program: String,
        /// How far it had come.
        stage: ConnectStage,
        /// Milliseconds that it was given.
        after_ms: u64,
        /// What it printed instead.
        printed: String,
    },
}
