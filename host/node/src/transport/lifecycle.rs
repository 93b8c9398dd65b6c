//! What carries a link: a process of this machine, or a session of the client inside this
//! program. Whoever has the link need not know which.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::process::{Process, describe};

/// What carries a link, and ends with it.
pub enum Transport {
    /// A child process of this one.
    Process(Process),
    /// A command on another machine; nothing once it was let go.
    #[cfg(feature = "ssh")]
    Session(Option<offshoot_ssh::Connection>),
}

/// How it ended.
pub enum TransportExit {
    /// The process, by its number.
    Process(u32, ExitStatus),
    #[cfg(feature = "ssh")]
    /// A session on another machine.
    Session(offshoot_ssh::Ended),
}

impl Transport {
    /// How it ended, if it does within `patience`.
    pub async fn ending(&mut self, patience: Duration) -> Option<TransportExit> {
        match self {
            Self::Process(process) => {
                let status = process.status(patience).await?;
                Some(TransportExit::Process(process.id(), status))
            }
            #[cfg(feature = "ssh")]
            Self::Session(connection) => {
                let ended = connection.as_ref()?.ended();
                let ended = tokio::time::timeout(patience, ended).await;
                ended.ok().map(TransportExit::Session)
            }
        }
    }

    /// The same in words, for whoever waits for something of the other end.
    pub async fn exit_reason(&mut self, patience: Duration) -> Option<String> {
        Some(self.ending(patience).await?.describe())
    }

    /// Has a task, which holds the process's terminal, end with this. A session has none.
    pub fn hold(&mut self, terminal: AbortHandle) {
        match self {
            Self::Process(process) => process.hold(terminal),
            #[cfg(feature = "ssh")]
            Self::Session(_) => terminal.abort(),
        }
    }

    /// Lets what it carries outlive the link.
    pub fn release(&mut self) {
        match self {
            Self::Process(process) => process.release(),
            // The command there goes on: without a terminal, nobody tells it to end.
            #[cfg(feature = "ssh")]
            Self::Session(connection) => *connection = None,
        }
    }

    /// Waits for its own end for `grace`, then ends it.
    pub async fn end(self, grace: Duration) {
        match self {
            Self::Process(process) => process.end(grace).await,
            // It has heard that its input has ended. Dropping the session ends it anyway.
            #[cfg(feature = "ssh")]
            Self::Session(Some(connection)) => {
                let _ = tokio::time::timeout(grace, connection.closed()).await;
            }
            #[cfg(feature = "ssh")]
            Self::Session(None) => {}
        }
    }
}

impl TransportExit {
    /// The status that the tool itself ended with, if it ended so.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Process(_, status) => status.code(),
            #[cfg(feature = "ssh")]
            Self::Session(_) => None,
        }
    }

    /// Whether something was run, and ended by itself.
    pub fn is_of_the_command(&self) -> bool {
        match self {
            Self::Process(_, status) => status.code().is_some(),
            #[cfg(feature = "ssh")]
            Self::Session(ended) => matches!(ended, offshoot_ssh::Ended::Exit(_)),
        }
    }

    /// Whether the connection ended, and not what was run.
    pub fn is_of_the_line(&self) -> bool {
        match self {
            Self::Process(..) => false,
            #[cfg(feature = "ssh")]
            Self::Session(ended) => matches!(ended, offshoot_ssh::Ended::Lost(_)),
        }
    }

    /// The same in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Process(pid, status) => describe(*pid, *status),
            #[cfg(feature = "ssh")]
            Self::Session(ended) => describe_session(ended),
        }
    }
}

#[cfg(feature = "ssh")]
fn describe_session(ended: &offshoot_ssh::Ended) -> String {
    use offshoot_ssh::Ended;
    match ended {
        Ended::Exit(code) => format!("the command there exited with return code {code}"),
        Ended::Signal(name) => format!("the command there exited due to signal {name}"),
        Ended::Closed => "the server closed the session".to_owned(),
        Ended::Lost(reason) if reason.is_empty() => "the server closed the connection".to_owned(),
        Ended::Lost(reason) => format!("the connection to the server was lost: {reason}"),
    }
}
