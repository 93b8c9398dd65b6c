//! Why a child could not be made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

/// Why a context could not be made (`S163`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
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
    #[error("connection timed out: `{program}` did not say hello within {}{}", Seconds(*after), Printed(printed))]
    Timeout {
        /// Its path.
        program: String,
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
    #[error("error occurred in {via}: {reason}")]
    Via {
        /// Name of the context.
        via: String,
        /// What it says.
        reason: String,
    },
    /// The name cannot be a context's.
    #[error("{0}")]
    Name(String),
}

/// A duration as people say it.
pub(crate) struct Seconds(pub(crate) Duration);

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
