//! Why a child could not be made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use offshoot_proto::bootstrap::RefusedDirectory;
use offshoot_proto::control::ConnectStage;
use offshoot_proto::login::{AccessError, HostKeyError, NetworkError, PasswordError};
use rustix::io::Errno;

/// Why a context could not be made.
#[doc(alias = "StreamError")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no program to start.
    #[error(
        "no child binary: this build embeds none, and there is no `offshoot-child` beside `{}`; \
         set OFFSHOOT_CHILD to one",
        .beside.display()
    )]
    NoChildBinary {
        /// The running program.
        beside: PathBuf,
    },
    /// The program could not be started.
    #[error("cannot start `{program}`: {}", StartHint(source))]
    Start {
        /// Its path.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The program started, and is not a child of this build.
    #[error("`{program}` is not a usable child: {reason}")]
    Handshake {
        /// Its path.
        program: String,
        /// What it did instead.
        reason: String,
    },
    /// The program took too long.
    #[error(
        "connection timed out: `{program}` did not say hello within {} (it was {stage}){}",
        Seconds(*after), Printed(printed)
    )]
    Timeout {
        /// Its path.
        program: String,
        /// How far it had come.
        stage: ConnectStage,
        /// How long it was given.
        after: Duration,
        /// What it printed instead.
        printed: String,
    },
    /// The controller gives this context no ids for contexts of its own.
    #[error("no id for a new context: {0}")]
    NoIds(String),
    /// The program, or the router, was ending.
    #[error("connection cancelled because the router began to shut down")]
    Stopped,
    /// A context that was asked to make a child could not.
    #[error("error occurred in {via}: {error}")]
    Via {
        /// Name of the context.
        via: String,
        /// What it says.
        error: Box<ConnectError>,
    },
    /// A context that was asked to make a child could not, and says this.
    #[error("{0}")]
    Elsewhere(String),
    /// A password is missing or wrong. Ask whoever has it.
    #[error(transparent)]
    Password(PasswordError),
    /// The server's key is not trusted. Compare it with the server's.
    #[error(transparent)]
    HostKey(HostKeyError),
    /// The account may not do that. Ask whoever administers the machine.
    #[error(transparent)]
    Access(AccessError),
    /// The machine was not reached. Look at the network.
    #[error(transparent)]
    Network(NetworkError),
    /// There is no child for such a machine.
    #[error(
        "unsupported platform: there is no child for `{uname}`, only for {}; {}",
        .offered.join(", "),
        ChildHint(uname)
    )]
    UnsupportedPlatform {
        /// What it calls itself.
        uname: String,
        /// What machines call themselves that there is a child for.
        offered: Vec<String>,
    },
    /// No directory there can hold the child and run it.
    #[error("no directory there can hold and run the child:{}", Directories(.0))]
    NoDirectory(Vec<RefusedDirectory>),
    /// The tool that leads there is not installed.
    #[error("cannot start `{tool}`: {reason}; is it installed?")]
    ToolMissing {
        /// Its name or path.
        tool: String,
        /// What the system says.
        reason: String,
    },
    /// The connection ended before the child said hello.
    #[error("`{program}` closed the connection while {stage}: {reason}")]
    ClosedEarly {
        /// What was started.
        program: String,
        /// How far it had come.
        stage: ConnectStage,
        /// How it ended, and what it printed last.
        reason: String,
    },
    /// The name cannot be a context's.
    #[error("{0}")]
    Name(String),
}

impl ConnectError {
    /// The error itself, in whichever context it occurred.
    pub fn root(&self) -> &Self {
        match self {
            Self::Via { error, .. } => error.root(),
            other => other,
        }
    }
}

struct Directories<'a>(&'a [RefusedDirectory]);

impl fmt::Display for Directories<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, RefusedDirectory { path, why }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator} `{path}`: {why}")?;
        }
        Ok(())
    }
}

/// A duration as people say it.
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            wait if wait < Duration::from_secs(1) => write!(f, "{} ms", wait.as_millis()),
            wait => write!(f, "{} s", wait.as_secs_f64()),
        }
    }
}

/// What to do about the system's word.
struct StartHint<'a>(&'a std::io::Error);

impl fmt::Display for StartHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let hint = match Errno::from_io_error(self.0) {
            Some(Errno::NOEXEC) => {
                "it is not a program for this machine; use a child built for its architecture"
            }
            Some(Errno::ACCESS) => {
                "it must be an executable file on a file system that allows execution"
            }
            Some(Errno::NOENT) => "there is no such file",
            _ => return Ok(()),
        };
        write!(f, "; {hint}")
    }
}

/// How to get a child for a machine that calls itself so.
struct ChildHint<'a>(&'a str);

impl fmt::Display for ChildHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = super::platform::file_name(self.0) {
            write!(f, "put `{name}` beside the controller's program, or ")?;
        }
        f.write_str("give `child_path` one that runs there")
    }
}

/// What a program printed, if anything.
struct Printed<'a>(&'a str);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("; it printed nothing"),
            text => write!(f, "; it printed: {text}"),
        }
    }
}
