//! A child on another machine, by OpenSSH's client.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use offshoot_proto::control::{CheckHostKeys, Ssh};
use offshoot_proto::login;

use super::Greeted;
use super::askpass::Askpass;
use super::command::Errand;
use super::conversation::{Secrets, Talk};
use super::error::StreamError;
use super::tool::Wants;

/// Makes the child. This is the one place that decides which client does it.
pub(super) async fn launch(ssh: Ssh, patience: Duration) -> Result<Greeted, StreamError> {
    check(&ssh)?;
    by_program(ssh, patience).await
}

/// By a program of the system, which reads its configuration itself.
async fn by_program(mut ssh: Ssh, patience: Duration) -> Result<Greeted, StreamError> {
    let errand = Errand::new(&ssh.start, true).await?;
    let (password, passphrase) = (ssh.password.take(), ssh.passphrase.take());
    let program = ssh.ssh_path.clone().unwrap_or_else(|| "ssh".to_owned());
    let mut command = Command::new(&program);
    command.args(arguments(&ssh, password.is_some(), patience));
    command.arg("--").arg(&ssh.hostname).arg(errand.line());
    let askpass = Askpass::new(&errand.nonce, password, passphrase);
    let askpass = askpass.map_err(|source| StreamError::Start {
        program: program.clone(),
        source,
    })?;
    askpass.prepare(&mut command)?;
    let talk = Talk {
        tool: login::Tool::Ssh,
        program: format!("{program} {}", ssh.hostname),
        path: program,
        command,
        wants: Wants::Nothing,
        secrets: Secrets::Helper(askpass),
        errand,
    };
    talk.greet(patience).await
}

/// Refuses what the client would take for something else.
fn check(ssh: &Ssh) -> Result<(), StreamError> {
    let refused = |what: &str, text: &str, rule: &str| {
        let text = text.escape_debug();
        Err(StreamError::Name(format!("{what} `{text}` {rule}")))
    };
    let bad = |text: &str| {
        text.is_empty()
            || text.starts_with('-')
            || text.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    let rule = "must not be empty, begin with `-` or contain spaces";
    if bad(&ssh.hostname) {
        return refused("hostname", &ssh.hostname, rule);
    }
    if let Some(username) = ssh.username.as_deref().filter(|text| bad(text)) {
        return refused("username", username, rule);
    }
    if let Some(jump) = ssh.jump.as_deref().filter(|text| bad(text)) {
        return refused("jump", jump, rule);
    }
    if let Some(file) = &ssh.identity_file
        && let Err(error) = std::fs::File::open(expand_home(file))
    {
        return refused("identity file", file, &format!("cannot be read: {error}"));
    }
    Ok(())
}

/// The path of a file, which may be in the user's home.
fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

/// All but the host and the command. What is said here goes before the user's configuration.
fn arguments(ssh: &Ssh, has_password: bool, patience: Duration) -> Vec<String> {
    // No terminal there, no windows, no agent: a machine gets nothing of ours but the child.
    let mut arguments: Vec<String> = ["-T", "-x", "-a"].map(str::to_owned).into();
    let mut option = |text: String| arguments.extend(["-o".to_owned(), text]);
    for fixed in [
        "ClearAllForwardings=yes",
        "ControlMaster=no",
        "ControlPath=none",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "Tunnel=no",
        "UpdateHostKeys=no",
        "VisualHostKey=no",
        "NumberOfPasswordPrompts=1",
        "BatchMode=no",
    ] {
        option(fixed.to_owned());
    }
    if ssh.debug_level == 0 {
        option("LogLevel=ERROR".to_owned());
    }
    match ssh.check_host_keys {
        CheckHostKeys::Enforce => option("StrictHostKeyChecking=yes".to_owned()),
        CheckHostKeys::Accept => option("StrictHostKeyChecking=accept-new".to_owned()),
        CheckHostKeys::Ignore => {
            for fixed in [
                "StrictHostKeyChecking=no",
                "UserKnownHostsFile=/dev/null",
                "GlobalKnownHostsFile=/dev/null",
            ] {
                option(fixed.to_owned());
            }
        }
    }
    option(format!("ConnectTimeout={}", patience.as_secs().max(1)));
    option(format!("ServerAliveInterval={}", ssh.keepalive.seconds));
    option(format!(
        "ServerAliveCountMax={}",
        ssh.keepalive.count.max(1)
    ));
    if let Some(compression) = ssh.compression {
        let word = if compression { "yes" } else { "no" };
        option(format!("Compression={word}"));
    }
    // A server hangs up after a few keys, before it would have asked for the password.
    let only = ssh.identity_file.is_some() || has_password;
    if ssh.identities_only.unwrap_or(only) {
        option("IdentitiesOnly=yes".to_owned());
    }
    let mut pair = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    if let Some(username) = &ssh.username {
        pair("-l", username.clone());
    }
    if let Some(port) = ssh.port {
        pair("-p", port.to_string());
    }
    if let Some(file) = &ssh.identity_file {
        pair("-i", expand_home(file).to_string_lossy().into_owned());
    }
    if let Some(jump) = &ssh.jump {
        pair("-J", jump.clone());
    }
    arguments.extend((0..ssh.debug_level.min(3)).map(|_| "-v".to_owned()));
    arguments.extend(ssh.ssh_args.iter().cloned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(hostname: &str) -> Ssh {
        Ssh {
            hostname: hostname.to_owned(),
            ..Ssh::default()
        }
    }

    #[test]
    fn s092_what_is_not_asked_for_is_left_to_the_client() {
        let arguments = arguments(&to("web1"), false, Duration::from_secs(30));
        for absent in ["-l", "-p", "-i", "-J", "IdentitiesOnly=yes"] {
            assert!(!arguments.iter().any(|one| one == absent), "{absent}");
        }
        assert!(!arguments.iter().any(|one| one.starts_with("Compression")));
    }

    #[test]
    fn what_looks_like_an_option_is_no_host() {
        for bad in ["", "-oProxyCommand=id", "a b", "a\nb"] {
            let error = check(&to(bad)).unwrap_err();
            assert!(error.to_string().starts_with("hostname"), "{error}");
        }
        let mut ssh = to("web1");
        ssh.jump = Some("-oProxyCommand=id".to_owned());
        assert!(check(&ssh).is_err());
        let mut ssh = to("web1");
        ssh.identity_file = Some("/no/such/key".to_owned());
        let error = check(&ssh).unwrap_err().to_string();
        assert!(error.contains("`/no/such/key` cannot be read"), "{error}");
    }
}
