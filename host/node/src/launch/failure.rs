//! Errors on their way through the tree: who asked for a context learns the same as who made it.

use std::time::Duration;

use offshoot_proto::commands_a_terminal;
use offshoot_proto::control::ConnectFailure;
use offshoot_proto::login::LoginError;

use super::error::ConnectError;

/// Bytes of a failure's text at most. An honest one quotes a few hundred bytes.
const TEXT_MAX: usize = 8 * 1024;

impl From<LoginError> for ConnectError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Password(error) => Self::Password(error),
            LoginError::HostKey(error) => Self::HostKey(error),
            LoginError::Access(error) => Self::Access(error),
            LoginError::Network(error) => Self::Network(error),
        }
    }
}

impl ConnectError {
    /// What to tell whoever asked for the context.
    pub(super) fn into_failure(self) -> ConnectFailure {
        match self {
            Self::Password(error) => ConnectFailure::Login(error.into()),
            Self::HostKey(error) => ConnectFailure::Login(error.into()),
            Self::Access(error) => ConnectFailure::Login(error.into()),
            Self::Network(error) => ConnectFailure::Login(error.into()),
            Self::UnsupportedPlatform { uname, offered } => {
                ConnectFailure::UnsupportedPlatform { uname, offered }
            }
            Self::NoDirectory(refused) => ConnectFailure::NoDirectory(refused),
            Self::ToolMissing { tool, reason } => ConnectFailure::ToolMissing { tool, reason },
            Self::ClosedEarly {
                program,
                stage,
                reason,
            } => ConnectFailure::ClosedEarly {
                program,
                stage,
                reason,
            },
            Self::Timeout {
                program,
                stage,
                after,
                printed,
            } => ConnectFailure::TimedOut {
                program,
                stage,
                after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
                printed,
            },
            other => ConnectFailure::Other(other.to_string()),
        }
    }

    /// What another context tells of its failure: bounded, and safe to print, or for people only.
    pub fn from_failure(failure: ConnectFailure) -> Self {
        let error = match failure {
            ConnectFailure::Other(reason) => return Self::Elsewhere(crate::text::quote(&reason)),
            ConnectFailure::Login(error) => error.into(),
            ConnectFailure::UnsupportedPlatform { uname, offered } => {
                Self::UnsupportedPlatform { uname, offered }
            }
            ConnectFailure::NoDirectory(refused) => Self::NoDirectory(refused),
            ConnectFailure::ToolMissing { tool, reason } => Self::ToolMissing { tool, reason },
            ConnectFailure::ClosedEarly {
                program,
                stage,
                reason,
            } => Self::ClosedEarly {
                program,
                stage,
                reason,
            },
            ConnectFailure::TimedOut {
                program,
                stage,
                after_ms,
                printed,
            } => Self::Timeout {
                program,
                stage,
                after: Duration::from_millis(after_ms),
                printed,
            },
        };
        // All of its texts are in this one.
        let text = error.to_string();
        match text.len() > TEXT_MAX || text.contains(commands_a_terminal) {
            true => Self::Elsewhere(crate::text::quote(&text)),
            false => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use offshoot_proto::login::{PasswordError, ToolOutput};

    use super::*;

    #[test]
    fn b013_a_failure_keeps_its_type_on_its_way() {
        let there = ConnectError::Password(PasswordError::Incorrect(ToolOutput::new("sudo", "no")));
        let text = there.to_string();
        let here = ConnectError::from_failure(there.into_failure());
        assert!(
            matches!(here, ConnectError::Password(PasswordError::Incorrect(_))),
            "{here:?}"
        );
        assert_eq!(here.to_string(), text);
    }

    #[test]
    fn t11_a_failure_of_a_hostile_context_is_for_people_only() {
        let said = |words: &str| ToolOutput {
            tool: "sudo".to_owned(),
            words: words.to_owned(),
        };
        for words in ["\x1b]52;c;aGk=\x07".to_owned(), "x".repeat(1 << 20)] {
            let failure = ConnectFailure::Login(PasswordError::Incorrect(said(&words)).into());
            let error = ConnectError::from_failure(failure);
            assert!(matches!(error, ConnectError::Elsewhere(_)), "{error:?}");
            let text = error.to_string();
            assert!(
                text.len() <= 2 * TEXT_MAX && !text.contains('\x1b'),
                "{text:?}"
            );
        }
    }
}
