//! Makes an error of a conversation that came to nothing: from how it ended, and from the tool's
//! own last words.

use std::time::Duration;

use offshoot_proto::bootstrap::{BootstrapError, ConnectStage};
use offshoot_proto::login::{
    AccessError, HostKeyError, LoginError, NetworkError, PasswordError, ToolOutput, classify,
};

use super::super::error::ConnectError;
use super::super::platform;
use super::askpass::Askpass;
use super::{End, LoginTask, Secrets};
use crate::async_fd::read;
use crate::transport::TransportExit;

/// How long an ended tool's last words, and its status, may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The status that OpenSSH's client ends with when it failed itself.
const SSH_FAILED: i32 = 255;

impl LoginTask {
    /// What was printed where the child's greeting should have been, and on the error stream.
    pub(in crate::launch) fn printed(&self) -> String {
        let output = match &self.conversation {
            Some(conversation) => conversation.printed(),
            None => self.expect.noise_text(),
        };
        let shown = match &self.secrets {
            Some(Secrets::Prompt {
                prompt,
                on_terminal: true,
                ..
            }) => prompt.printed(),
            _ => String::new(),
        };
        let all = [output, self.errors.text(), shown].join("\n");
        ToolOutput::new("", &all).words
    }

    /// Repeats what OpenSSH's client says of a host key that its configuration lets pass.
    pub(in crate::launch) fn warn_of_host_key(&self, secrets: &Secrets) {
        if let Secrets::Helper(_) = secrets
            && let Some(LoginError::HostKey(error)) = classify(self.kind, &self.errors.text())
        {
            tracing::warn!("{error}");
        }
    }

    /// Makes an error of what happened, with the tool's own last words.
    pub(in crate::launch) async fn explain(mut self, end: End, program: String) -> ConnectError {
        let (when, printed) = match end {
            End::Login(error) => return error.into(),
            End::Io(source) => return ConnectError::Start { program, source },
            End::Handshake(error) => {
                return ConnectError::Handshake {
                    program,
                    reason: error.to_string(),
                };
            }
            End::Bootstrap(BootstrapError::ClosedEarly { stage, printed }) => {
                (Some(stage), printed)
            }
            End::Bootstrap(BootstrapError::UnsupportedPlatform { uname }) => {
                let offered = self.payloads.iter().map(|one| one.platform(false));
                return platform::unsupported(uname, &offered.collect::<Vec<_>>());
            }
            End::Bootstrap(BootstrapError::NoDirectory(refused)) => {
                return ConnectError::NoDirectory(refused);
            }
            End::Bootstrap(error) => {
                return ConnectError::Handshake {
                    program,
                    reason: error.to_string(),
                };
            }
            End::Closed => (None, self.expect.noise_text()),
        };
        let ending = self.hear_the_end().await;
        // Once the far end has said something of ours, the tool had let us in.
        let outside = matches!(when, None | Some(ConnectStage::Command))
            && self.stage < ConnectStage::Look
            && self.secrets.is_some();
        if outside && let Some(error) = self.refusal(ending.as_ref(), &printed) {
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
            program,
            stage: self.stage,
            reason,
        }
    }

    /// Takes in what the tool says last, and how it ended.
    async fn hear_the_end(&mut self) -> Option<TransportExit> {
        let ending = self.tool.transport.ending(LAST_WORDS).await;
        let mut buffer = [0; 1024];
        let rest = async {
            while let Ok(count @ 1..) = read(&self.tool.errors, &mut buffer).await {
                self.errors.push(&buffer[..count]);
            }
        };
        // Something that the tool has left behind may still have it open.
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        let Some(terminal) = &self.tool.terminal else {
            return ending;
        };
        if let Some(Secrets::Prompt {
            prompt,
            on_terminal: true,
            ..
        }) = &mut self.secrets
        {
            while let Ok(count @ 1..) = rustix::io::read(terminal.ours.get_ref(), &mut buffer) {
                prompt.handle_bytes(&buffer[..count]);
            }
        }
        ending
    }

    /// What the tool meant, if it did not let us in.
    fn refusal(&self, ending: Option<&TransportExit>, printed: &str) -> Option<ConnectError> {
        if let Some(ending) = ending.filter(|ending| ending.is_of_the_line()) {
            let said = ToolOutput::new(self.kind.name(), &ending.describe());
            return Some(ConnectError::Network(NetworkError::Dropped(said)));
        }
        let mut words = self.errors.text();
        match &self.secrets {
            Some(Secrets::Helper(askpass)) => {
                if ending.and_then(TransportExit::code) == Some(SSH_FAILED) {
                    return self.refusal_of_ssh(askpass, &words);
                }
            }
            Some(Secrets::Prompt {
                prompt,
                on_terminal,
                ..
            }) => {
                if *on_terminal {
                    words.push_str(&prompt.printed());
                }
                if let Some(error) = classify(self.kind, &words) {
                    return Some(error.into());
                }
            }
            // The client inside, as a process.
            Some(Secrets::Shown) if ending.and_then(TransportExit::code) == Some(SSH_FAILED) => {
                let said = ToolOutput::new(self.kind.name(), &words);
                return Some(ConnectError::Network(NetworkError::Dropped(said)));
            }
            Some(Secrets::Shown) => {}
            None => return None,
        }
        let ending = ending.filter(|ending| ending.is_of_the_command())?;
        let said = ToolOutput::new(self.kind.name(), &format!("{printed}\n{words}"));
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
