//! From an error of the client inside this program to the one that OpenSSH's client is given for
//! the same fault: who waits for a context need not know which of them it was.

use std::time::Duration;

use offshoot_proto::bootstrap::Stage;
use offshoot_proto::login::{
    AccessError, HostKeyError, LoginError, NetworkError, PasswordError, Said, Tool, classify,
};
use offshoot_ssh::{HostKeyProblem, SshError, Stage as SshStage};

use super::super::error::StreamError;

/// What the client's error is called in the tree. `patience` is the time that it was given.
pub(super) fn explain(error: &SshError, program: &str, patience: Duration) -> StreamError {
    match error {
        SshError::Timeout { stage, after, .. } if *after >= patience => StreamError::Timeout {
            program: program.to_owned(),
            stage: stage_of(*stage),
            after: patience,
            printed: String::new(),
        },
        SshError::Local(source) => StreamError::Start {
            program: program.to_owned(),
            source: std::io::Error::new(source.kind(), source.to_string()),
        },
        error => login(error, &error.to_string()).into(),
    }
}

fn stage_of(stage: SshStage) -> Stage {
    match stage {
        SshStage::NameResolution => Stage::Resolve,
        SshStage::Connection => Stage::Connect,
        SshStage::Handshake => Stage::KeyExchange,
        SshStage::Authentication => Stage::Authenticate,
        SshStage::Command => Stage::Command,
    }
}

/// Every error has its own place here: a new one of the client's does not compile until it has.
fn login(error: &SshError, words: &str) -> LoginError {
    let said = || Said::new(Tool::Ssh.name(), words);
    match error {
        SshError::Config(_) | SshError::UnsupportedDirective(_) | SshError::TooManyHops { .. } => {
            AccessError::Configuration(said()).into()
        }
        SshError::KnownHosts(_) => HostKeyError::Failed(said()).into(),
        SshError::HostKey { problem, .. } => host_key(problem, said()).into(),
        SshError::NameResolution { .. } => NetworkError::NameResolution(said()).into(),
        SshError::Refused { .. } => NetworkError::Refused(said()).into(),
        SshError::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::TimedOut => {
            NetworkError::TimedOut(said()).into()
        }
        SshError::Unreachable { .. } | SshError::Tunnel { .. } => {
            NetworkError::Unreachable(said()).into()
        }
        // It is a tool like `nc`, which has the same words as the other client for the same fault.
        SshError::ProxyCommand { reason, .. } => match classify(Tool::Ssh, reason) {
            Some(LoginError::Network(error)) => with_words(error, said()).into(),
            _ => NetworkError::Dropped(said()).into(),
        },
        SshError::Timeout { .. } => NetworkError::TimedOut(said()).into(),
        SshError::IdentityFile { .. } => AccessError::Identity(said()).into(),
        SshError::PassphraseRequired { path } => PasswordError::PassphraseRequired {
            key: path.display().to_string(),
            said: said(),
        }
        .into(),
        SshError::PassphraseIncorrect { path } => PasswordError::PassphraseIncorrect {
            key: path.display().to_string(),
            said: said(),
        }
        .into(),
        SshError::PasswordRequired { .. } => PasswordError::Required(said()).into(),
        SshError::PasswordIncorrect { .. } => PasswordError::Incorrect(said()).into(),
        SshError::Prompt { prompt, .. } => PasswordError::UnknownPrompt {
            prompt: prompt.clone(),
            said: said(),
        }
        .into(),
        SshError::AuthRefused { methods, .. } => AccessError::AuthenticationRefused {
            methods: methods.clone(),
            said: said(),
        }
        .into(),
        SshError::ExecRefused { .. } => AccessError::ShellRefused {
            status: "the server refused".to_owned(),
            said: said(),
        }
        .into(),
        SshError::Closed { .. } | SshError::Protocol { .. } | SshError::Local(_) => {
            NetworkError::Dropped(said()).into()
        }
        SshError::NoAlgorithm { .. } => NetworkError::NoAlgorithm(said()).into(),
        // What it is, and all the words, which name the machine on the way.
        SshError::Jump { source, .. } => login(source, words),
    }
}

fn host_key(problem: &HostKeyProblem, said: Said) -> HostKeyError {
    match problem {
        HostKeyProblem::Unknown { .. } => HostKeyError::Unknown(said),
        HostKeyProblem::Changed { .. } => HostKeyError::Changed(said),
        HostKeyProblem::Revoked { .. } => HostKeyError::Revoked(said),
        HostKeyProblem::Certificate(_) | HostKeyProblem::Short { .. } => HostKeyError::Failed(said),
    }
}

fn with_words(error: NetworkError, said: Said) -> NetworkError {
    match error {
        NetworkError::NameResolution(_) => NetworkError::NameResolution(said),
        NetworkError::Refused(_) => NetworkError::Refused(said),
        NetworkError::Unreachable(_) => NetworkError::Unreachable(said),
        NetworkError::TimedOut(_) => NetworkError::TimedOut(said),
        _ => NetworkError::Dropped(said),
    }
}
