//! From the events of a connection, and how it ended, to the results of its steps.

use std::time::{Duration, Instant};

use offshoot_proto::control::ConnectStage;
use offshoot_proto::login::{AccessError, PasswordError};

use super::step::{Step, StepFailure, failure};
use offshoot::{ConnectError, ConnectEvent, Error};

/// The result of a step, and what it took, if that is known.
pub(super) type Known = (Step, Option<Duration>, Result<String, StepFailure>);

/// How each of `steps` ended, up to the one that failed.
pub(super) fn results(
    steps: &[Step],
    began: Instant,
    events: &[(Instant, ConnectEvent)],
    made: Result<(), &Error>,
) -> Vec<Known> {
    let at = |wanted: fn(&ConnectEvent) -> bool| {
        let found = events.iter().rev().find(|(_, event)| wanted(event));
        found.map(|(at, _)| *at)
    };
    let end = Instant::now();
    // OpenSSH's client does not report when it has judged the key.
    let trusted = at(|event| matches!(event, ConnectEvent::HostKeyTrusted { .. }));
    let probing = at(|event| matches!(event, ConnectEvent::Probing));
    let started = at(|event| matches!(event, ConnectEvent::Started));
    let upload_began = at(|event| matches!(event, ConnectEvent::Uploading { sent: 0, .. }));
    let upload = events.iter().rev().find_map(|(at, event)| match event {
        ConnectEvent::Uploading {
            directory, total, ..
        } => Some((upload_began.unwrap_or(*at), *at, directory, *total)),
        _ => None,
    });
    let failed = made.err().map(|error| (place_of(error), error));
    let mut last = began;
    let mut results = Vec::new();
    for &step in steps {
        let (until, detail) = match step {
            Step::HostKey => match trusted {
                Some(at) => (at, "trusted".to_owned()),
                None => (last, "trusted; its time is part of the login's".to_owned()),
            },
            Step::Login => (
                probing.or(started).unwrap_or(end),
                "authenticated, and a shell runs".to_owned(),
            ),
            Step::Directory => match upload {
                Some((began, _, directory, _)) => (began, format!("the child goes to {directory}")),
                None if probing.is_none() => (
                    last,
                    "the program that runs there already is used".to_owned(),
                ),
                None => (
                    started.unwrap_or(end),
                    "the child is there already".to_owned(),
                ),
            },
            Step::Upload => match upload {
                Some((_, until, _, total)) => (until, format!("{total} bytes were sent")),
                None => (last, "nothing had to be sent".to_owned()),
            },
            _ => (end, "the child said hello".to_owned()),
        };
        if let Some((place, error)) = failed
            && (place == step || Some(&step) == steps.last())
        {
            let took = end.saturating_duration_since(last);
            results.push((step, Some(took), Err(failure(error, remedy(error)))));
            break;
        }
        let is_timed = step != Step::HostKey || trusted.is_some();
        let took = is_timed.then(|| until.saturating_duration_since(last));
        results.push((step, took, Ok(detail)));
        last = last.max(until);
    }
    results
}

/// The step that an error belongs to.
fn place_of(error: &Error) -> Step {
    let Error::Connect(error) = error else {
        return Step::Login;
    };
    match error.root() {
        ConnectError::HostKey(_) => Step::HostKey,
        ConnectError::UnsupportedPlatform { .. } | ConnectError::NoDirectory(_) => Step::Directory,
        ConnectError::Timeout { stage, .. } | ConnectError::ClosedEarly { stage, .. } => {
            match stage {
                ConnectStage::KeyExchange => Step::HostKey,
                ConnectStage::Look => Step::Directory,
                ConnectStage::Upload => Step::Upload,
                ConnectStage::Hello => Step::Handshake,
                _ => Step::Login,
            }
        }
        ConnectError::Handshake { .. } => Step::Handshake,
        _ => Step::Login,
    }
}

fn remedy(error: &Error) -> &'static str {
    let Error::Connect(error) = error else {
        return "look at the log with `-v`";
    };
    match error.root() {
        ConnectError::HostKey(_) => {
            "compare the key with the server's own (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` \
             there), then add it to known_hosts, or replace the old one (`ssh-keygen -R HOST`)"
        }
        ConnectError::Password(PasswordError::Required(said)) if said.tool == "ssh" => {
            "give the password with `--ask-pass`, `--pass-fd` or `--pass-command` (behind the first \
             `ssh`, with `--pass-for`), or use a key"
        }
        ConnectError::Password(PasswordError::Required(_)) => {
            "give the password with `--ask-become-pass`, `--become-pass-fd` or \
             `--become-pass-command`; behind the first such hop, with `--pass-for`"
        }
        ConnectError::Password(PasswordError::Incorrect(_)) => {
            "type it again: it was tried once, so that no account is locked"
        }
        ConnectError::Password(PasswordError::PassphraseRequired { .. }) => {
            "load the key into an agent: `ssh-add FILE`"
        }
        ConnectError::Password(PasswordError::Withheld { .. }) => {
            "type no password there: look at the shell and the start files of the other user, and at \
             what the tool's own rules let in without one"
        }
        ConnectError::Password(_) => "answer it once by hand, with the tool itself",
        ConnectError::Access(AccessError::AuthenticationRefused { .. }) => {
            "look at the user's name, at the keys that are offered (`ssh-add -l`), and at \
             ~/.ssh/authorized_keys there; `--ask-pass` tries a password"
        }
        ConnectError::Access(AccessError::ShellRefused { .. }) => {
            "the account needs a login shell that runs commands: look at it in /etc/passwd there"
        }
        ConnectError::Access(AccessError::Configuration(_)) => {
            "change that line of ssh_config, or use the system's client: `--ssh-path ssh`"
        }
        ConnectError::Access(AccessError::Identity(_)) => {
            "name a private key that is yours alone (mode 0600) with IdentityFile in ssh_config"
        }
        ConnectError::Access(_) => "ask whoever administers that machine, with the words above",
        ConnectError::Network(_) => "look at the network and at firewalls on the way",
        ConnectError::NoDirectory(_) => {
            "free or make one of these directories: owned by the user, mode 0700, with room for \
             the child, and on a file system that allows execution"
        }
        ConnectError::UnsupportedPlatform { .. } => {
            "machines with Linux on x86-64 or 64-bit ARM are supported; where the child for one of \
             them is missing here, the words above say where it goes"
        }
        ConnectError::ToolMissing { .. } => "install it where the hop starts",
        ConnectError::Timeout { .. } => {
            "if it is only slow, give it longer with `--connect-timeout`; else see what hangs: a \
             line in the shell's startup files, or the network"
        }
        _ => "look at the words above, and at the log with `-v`",
    }
}
