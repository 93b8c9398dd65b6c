//! By OpenSSH's client, or a program that takes the same arguments.

use std::process::Command;
use std::time::Duration;

use offshoot_proto::control::{CheckHostKeys, Ssh};
use offshoot_proto::login;
use tokio::time::Instant;

use super::super::error::ConnectError;
use super::super::greeted::HandshakenChild;
use super::super::login::{Askpass, Passphrase, Prompts, TerminalUse, ToolLogin};
use super::super::progress::Progress;
use super::super::remote_command::RemoteCommand;
use super::expand_home;

/// By a program of the system, which reads its configuration itself.
pub(super) async fn launch(
    mut ssh: Ssh,
    started: Instant,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let remote = RemoteCommand::new(&ssh.start, true).await?;
    let (password, passphrase) = (ssh.password.take(), ssh.passphrase.take());
    let program = ssh.ssh_path.clone().unwrap_or_else(|| "ssh".to_owned());
    let mut command = Command::new(&program);
    command.args(arguments(&ssh, password.is_some()));
    if passphrase.is_some() && password.is_none() {
        // A server's questions cannot be answered, and one of an old client that looks like the
        // client's own must not be.
        command.args(["-o", "KbdInteractiveAuthentication=no"]);
    }
    command.arg("--").arg(&ssh.hostname).arg(remote.line());
    let identity = ssh.identity_file.as_deref().map(expand_home);
    let passphrase = passphrase.map(|secret| Passphrase {
        secret,
        identity: identity.map(|path| path.to_string_lossy().into_owned()),
    });
    let askpass = Askpass::new(&remote.nonce, password, passphrase);
    let mut askpass = askpass.map_err(|source| ConnectError::Start {
        program: program.clone(),
        source,
    })?;
    askpass.prepare(&mut command)?;
    let login = ToolLogin {
        kind: login::Tool::Ssh,
        program: format!("{program} {}", ssh.hostname),
        path: program,
        command,
        terminal: TerminalUse::None,
        prompts: Prompts::Helper(askpass),
        remote,
    };
    login.run(started, patience, progress).await
}

/// All but the host and the command. What is said here goes before the user's configuration.
fn arguments(ssh: &Ssh, has_password: bool) -> Vec<String> {
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
        // It may want to ask, and there is nobody to ask.
        None => {}
        Some(CheckHostKeys::Enforce) => option("StrictHostKeyChecking=yes".to_owned()),
        Some(CheckHostKeys::Accept) => option("StrictHostKeyChecking=accept-new".to_owned()),
        // It shows no password to a host whose key has changed.
        Some(CheckHostKeys::Ignore) => option("StrictHostKeyChecking=no".to_owned()),
    }
    option(format!("ServerAliveInterval={}", ssh.keepalive.seconds));
    option(format!(
        "ServerAliveCountMax={}",
        ssh.keepalive.count.max(1)
    ));
    if let Some(compression) = ssh.compression {
        let word = if compression { "yes" } else { "no" };
        option(format!("Compression={word}"));
    }
    if ssh.only_given_identities(has_password) {
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
    if let Some(file) = &ssh.config_file {
        pair("-F", expand_home(file).to_string_lossy().into_owned());
    }
    arguments.extend((0..ssh.debug_level.min(3)).map(|_| "-v".to_owned()));
    arguments.extend(ssh.ssh_args.iter().cloned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::super::tests::to;
    use super::*;

    #[test]
    fn s092_what_is_not_asked_for_is_left_to_the_client() {
        let arguments = arguments(&to("web1"), false);
        for absent in ["-l", "-p", "-i", "-J", "-F", "IdentitiesOnly=yes"] {
            assert!(!arguments.iter().any(|one| one == absent), "{absent}");
        }
        for absent in ["Compression", "StrictHostKeyChecking", "ConnectTimeout"] {
            assert!(!arguments.iter().any(|one| one.starts_with(absent)));
        }
    }
}
