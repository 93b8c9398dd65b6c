//! From an error of the client inside this program to the one that OpenSSH's client is given for
//! the same fault: who waits for a context need not know which of them it was.

use std::time::Duration;

use offshoot_proto::control::ConnectFailure;
use offshoot_proto::control::ConnectStage;
use offshoot_proto::login::{
    AccessError, HostKeyError, LoginError, NetworkError, PasswordError, Tool, ToolOutput, classify,
};
use offshoot_ssh::{HostKeyProblem, SshError, Stage as SshStage};

/// What the client's error is called in the tree. `patience` is the time that it was given.
pub(crate) fn explain(error: &SshError, program: &str, patience: Duration) -> ConnectFailure {
    match error {
        SshError::Timeout { stage, after, .. } if *after >= patience => ConnectFailure::TimedOut {
            program: program.to_owned(),
            stage: stage_of(*stage),
            after_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            printed: String::new(),
        },
        SshError::Local(source) => {
            ConnectFailure::Other(format!("cannot start `{program}`: {source}"))
        }
        error => ConnectFailure::Login(login(error, &error.to_string())),
    }
}

fn stage_of(stage: SshStage) -> ConnectStage {
    match stage {
        SshStage::NameResolution => ConnectStage::Resolve,
        SshStage::Connection => ConnectStage::Connect,
        SshStage::Handshake => ConnectStage::KeyExchange,
        SshStage::Authentication => ConnectStage::Authenticate,
        SshStage::Command => ConnectStage::Command,
    }
}

/// Every error has its own place here: a new one of the client's does not compile until it has.
fn login(error: &SshError, words: &str) -> LoginError {
    let said = || ToolOutput::new(Tool::Ssh.name(), words);
    match error {
        SshError::Config(_) | SshError::UnsupportedDirective(_) | SshError::TooManyHops { .. } => {
            AccessError::Configuration(said()).into()
        }
        SshError::KnownHosts(_) => HostKeyError::Failed(said()).into(),
        SshError::HostKey { problem, .. } => host_key(problem, said()).into(),
        // What keeps it out, and all the words.
        SshError::Withheld { doubt, .. } => login(doubt, words),
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
        SshError::AccountClosed { said: words, .. } => match words.to_lowercase() {
            words if words.contains("locked") => AccessError::AccountLocked(said()).into(),
            _ => AccessError::AccountExpired(said()).into(),
        },
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

fn host_key(problem: &HostKeyProblem, said: ToolOutput) -> HostKeyError {
    match problem {
        HostKeyProblem::Unknown { .. } => HostKeyError::Unknown(said),
        HostKeyProblem::Changed { .. } => HostKeyError::Changed(said),
        HostKeyProblem::Revoked { .. } => HostKeyError::Revoked(said),
        HostKeyProblem::Certificate(_) | HostKeyProblem::Short { .. } => HostKeyError::Failed(said),
    }
}

fn with_words(error: NetworkError, said: ToolOutput) -> NetworkError {
    match error {
        NetworkError::NameResolution(_) => NetworkError::NameResolution(said),
        NetworkError::Refused(_) => NetworkError::Refused(said),
        NetworkError::Unreachable(_) => NetworkError::Unreachable(said),
        NetworkError::TimedOut(_) => NetworkError::TimedOut(said),
        _ => NetworkError::Dropped(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    fn timeout(after: Duration) -> SshError {
        SshError::Timeout {
            host: "web1".to_owned(),
            stage: SshStage::Handshake,
            after,
        }
    }

    #[test]
    fn b011_our_own_time_is_told_from_that_of_the_configuration() {
        let ours = explain(&timeout(DEFAULT_TIMEOUT), "ssh web1", DEFAULT_TIMEOUT);
        assert!(
            matches!(
                ours,
                ConnectFailure::TimedOut {
                    stage: ConnectStage::KeyExchange,
                    after_ms: 10_000,
                    ..
                }
            ),
            "{ours:?}"
        );
        let theirs = explain(
            &timeout(Duration::from_secs(1)),
            "ssh web1",
            DEFAULT_TIMEOUT,
        );
        assert!(
            matches!(
                theirs,
                ConnectFailure::Login(LoginError::Network(NetworkError::TimedOut(_)))
            ),
            "{theirs:?}"
        );
    }

    #[test]
    fn b013_a_machine_on_the_way_that_refuses_is_named_by_what_it_does() {
        let refused = SshError::Refused {
            address: "10.0.0.1:22".to_owned(),
        };
        let error = SshError::Jump {
            hop: "gate".to_owned(),
            source: Box::new(refused),
        };
        let error = explain(&error, "ssh web1", DEFAULT_TIMEOUT);
        let ConnectFailure::Login(LoginError::Network(NetworkError::Refused(said))) = &error else {
            panic!("{error:?}");
        };
        assert!(said.words.contains("gate"), "{said:?}");
    }

    #[test]
    fn b001_a_command_on_the_way_is_heard_as_the_other_client_hears_it() {
        let of = |reason: &str| {
            let error = SshError::ProxyCommand {
                command: "nc".to_owned(),
                reason: reason.to_owned(),
            };
            explain(&error, "ssh web1", DEFAULT_TIMEOUT)
        };
        let refused = of("ended with exit status: 1: nc: Connection refused");
        assert!(
            matches!(
                refused,
                ConnectFailure::Login(LoginError::Network(NetworkError::Refused(_)))
            ),
            "{refused:?}"
        );
        // It may say what it likes, and is no judge of keys.
        let forged = of("ended with exit status: 1: Host key verification failed.");
        assert!(
            matches!(
                forged,
                ConnectFailure::Login(LoginError::Network(NetworkError::Dropped(_)))
            ),
            "{forged:?}"
        );
    }
}
