//! The error of a login that came to nothing: from how it ended, and from the tool's final output.

use std::time::Duration;

use offshoot_proto::bootstrap::BootstrapError;
use offshoot_proto::login::{
    AccessError, HostKeyError, LoginError, NetworkError, PasswordError, ToolOutput, classify,
};

use super::super::error::ConnectError;
use super::super::platform;
use super::askpass::Askpass;
use super::state::{End, State};
use super::{Login, Prompts};
use crate::async_fd::read;
use crate::transport::TransportExit;

/// How long the final output of an ended tool, and its status, may take to arrive.
const FINAL_OUTPUT: Duration = Duration::from_millis(500);
/// Reads of 1 KiB of what a tool left on its terminal, of which more is not kept anyway.
const FINAL_READS_MAX: usize = 64;

/// The status of OpenSSH's client when it failed itself.
const SSH_FAILED: i32 = 255;

impl Login<'_> {
    /// The error of a login that ended while the tool ran.
    pub(super) fn error(self, end: End) -> ConnectError {
        let program = self.program;
        match end {
            End::Login(error) => error.into(),
            End::Io(source) => ConnectError::Start { program, source },
            End::UnsupportedPlatform { uname, offered } => platform::unsupported(uname, &offered),
            End::Bootstrap(BootstrapError::NoDirectory(refused)) => {
                ConnectError::NoDirectory(refused)
            }
            End::Bootstrap(error) => ConnectError::Handshake {
                program,
                reason: error.to_string(),
            },
            End::Handshake(error) => ConnectError::Handshake {
                program,
                reason: error.to_string(),
            },
        }
    }

    /// The error of a login that took too long.
    pub(super) fn timed_out(self, state: &State) -> ConnectError {
        let shown = state.prompts().map(Prompts::printed_on_terminal);
        let all = [
            state.printed(),
            self.errors.text(),
            shown.unwrap_or_default(),
        ]
        .join("\n");
        ConnectError::Timeout {
            stage: state.stage(),
            after: self.patience,
            printed: ToolOutput::new("", &all).words,
            program: self.program,
        }
    }

    /// The error of a login whose tool has closed its output.
    pub(super) async fn closed(mut self, mut state: State) -> ConnectError {
        let ending = self.read_final_output(&mut state).await;
        let printed = state.printed();
        // Once the far end has answered, the tool had let the user in.
        let refusal = match &state {
            State::ExpectPrompt(expect) => {
                self.refusal(Some(&expect.prompts), ending.as_ref(), &printed)
            }
            State::ExpectCommand(_) => self.refusal(None, ending.as_ref(), &printed),
            _ => None,
        };
        if let Some(error) = refusal {
            return error;
        }
        let status = match ending {
            Some(ending) => ending.describe(),
            None => "it closed its output".to_owned(),
        };
        let words = ToolOutput::new("", &format!("{printed}\n{}", self.errors.text())).words;
        let reason = match &*words {
            "" => status,
            words => format!("{status}; it printed: {words}"),
        };
        ConnectError::ClosedEarly {
            program: self.program,
            stage: state.stage(),
            reason,
        }
    }

    /// Takes in the final output of the tool, and how it ended.
    async fn read_final_output(&mut self, state: &mut State) -> Option<TransportExit> {
        let ending = self.tool.transport.ending(FINAL_OUTPUT).await;
        let mut buffer = [0; 1024];
        let rest = async {
            while let Ok(count @ 1..) = read(&self.tool.errors, &mut buffer).await {
                self.errors.push(&buffer[..count]);
            }
        };
        // Something that the tool has left behind may still have it open.
        let _ = tokio::time::timeout(FINAL_OUTPUT, rest).await;
        if let (Some(terminal), Some(prompts)) = (&self.tool.terminal, state.prompts_mut()) {
            // Something that prints there without end does not keep this thread.
            for _ in 0..FINAL_READS_MAX {
                match rustix::io::read(terminal.ours.get_ref(), &mut buffer) {
                    Ok(count @ 1..) => prompts.on_bytes(true, &buffer[..count]),
                    _ => break,
                }
            }
        }
        ending
    }

    /// The tool's own reason, if it did not let the user in. Without prompts the user was
    /// authenticated before.
    fn refusal(
        &self,
        prompts: Option<&Prompts>,
        ending: Option<&TransportExit>,
        printed: &str,
    ) -> Option<ConnectError> {
        let name = self.kind.name();
        let dropped = |words: &str| {
            let said = ToolOutput::new(name, words);
            Some(ConnectError::Network(NetworkError::Dropped(said)))
        };
        if let Some(ending) = ending.filter(|ending| ending.is_of_the_line()) {
            return dropped(&ending.describe());
        }
        let ssh_failed = ending.and_then(TransportExit::code) == Some(SSH_FAILED);
        let mut words = self.errors.text();
        match prompts {
            Some(Prompts::Helper(askpass)) if ssh_failed => {
                return self.refusal_of_ssh(askpass, &words);
            }
            // The client inside, as a process.
            None if ssh_failed => return dropped(&words),
            Some(Prompts::Helper(_)) | None => {}
            Some(prompts @ Prompts::Printed(_)) => {
                words.push_str(&prompts.printed_on_terminal());
                if let Some(error) = classify(self.kind, &words) {
                    return Some(error.into());
                }
            }
        }
        let ending = ending.filter(|ending| ending.is_of_the_command())?;
        let said = ToolOutput::new(name, &format!("{printed}\n{words}"));
        let status = ending.describe();
        Some(LoginError::from(AccessError::ShellRefused { status, said }).into())
    }

    /// What OpenSSH's client meant, which printed `words` and asked `askpass`.
    fn refusal_of_ssh(&self, askpass: &Askpass, words: &str) -> Option<ConnectError> {
        let error = classify(self.kind, words);
        let complaint = askpass.complaint(words);
        let error = match (&error, complaint) {
            // It asks whether to trust a key that is not known, and has no other words for it.
            (
                Some(LoginError::HostKey(HostKeyError::Failed(_))),
                Some(PasswordError::UnknownPrompt { prompt, .. }),
            ) => classify(self.kind, &format!("{prompt}\n{words}")),
            (
                None | Some(LoginError::Access(AccessError::AuthenticationRefused { .. })),
                Some(complaint),
            )
            | (
                Some(LoginError::Access(AccessError::Identity(_))),
                Some(complaint @ PasswordError::Incorrect(_)),
            ) => Some(complaint.into()),
            // As quiet as it is told to be, it has no words for a server that hangs up.
            (None, None) if words.trim().is_empty() => {
                Some(NetworkError::Dropped(ToolOutput::new(self.kind.name(), "")).into())
            }
            _ => error,
        };
        error.map(Into::into)
    }
}
