//! From what a context asks for ([`Ssh`]) to a command that runs on another machine, or to what the
//! tree calls the reason why not ([`ConnectFailure`]).
//!
//! The controller does this itself. The program `offshoot-ssh` does nothing else: it is sent to
//! machines that have no ssh client. Neither knows contexts.

mod failure;

use std::time::Duration;

use offshoot_proto::control::{CheckHostKeys, ConnectEvent, ConnectFailure, Password, Ssh};
use offshoot_ssh::config::{Environment, Hop, Overrides};
use offshoot_ssh::{Event, HostKeyPolicy, OnProgress, Request, Secret, StartedCommand};

/// Connects, and starts a command: a line for the login shell there. Paths must be expanded.
///
/// The secrets are taken out of `ssh`, so that one copy of them is left. `on_progress` takes the
/// events up to [`ConnectEvent::Authenticated`], and must not block.
///
/// # Errors
///
/// Fails for any reason for which OpenSSH's client would, with the same error of the tree.
///
/// # Cancel safety
///
/// Dropping the future ends the connection, wherever it has come to.
pub async fn connect(
    ssh: &mut Ssh,
    line: String,
    patience: Duration,
    on_progress: impl Fn(ConnectEvent) + Send + Sync + 'static,
) -> Result<StartedCommand, ConnectFailure> {
    let program = format!("ssh {}", ssh.hostname);
    let mut request = request(ssh, line, patience).map_err(ConnectFailure::Other)?;
    request.on_progress = OnProgress::new(move |event| on_progress(event_of(event)));
    let opened = offshoot_ssh::connect(request).await;
    opened.map_err(|error| failure::explain(&error, &program, patience))
}

fn event_of(event: Event) -> ConnectEvent {
    match event {
        Event::Resolved { host } => ConnectEvent::Resolved { host },
        Event::Connected { host } => ConnectEvent::Connected { host },
        Event::HostKeyTrusted { host } => ConnectEvent::HostKeyTrusted { host },
        Event::Authenticated => ConnectEvent::Authenticated,
    }
}

fn request(ssh: &mut Ssh, line: String, patience: Duration) -> Result<Request, String> {
    let mut env = Environment::of_process();
    if let Some(file) = &ssh.config_file {
        env = env.with_config(file.as_ref());
    }
    let secret = |password: Option<Password>| {
        password.map(|password| Secret::new(password.expose().to_owned()))
    };
    let (password, passphrase) = (secret(ssh.password.take()), secret(ssh.passphrase.take()));
    let jump = ssh.jump.as_deref().map(Hop::list).transpose();
    let overrides = Overrides {
        user: ssh.username.clone(),
        port: ssh.port,
        identity_file: ssh.identity_file.as_ref().map(Into::into),
        identities_only: ssh
            .only_given_identities(password.is_some())
            .then_some(true),
        compression: ssh.compression,
        connect_timeout: None,
        keepalive_interval: Some(Duration::from_secs(ssh.keepalive.seconds.into())),
        keepalive_count: Some(ssh.keepalive.count.max(1)),
        jump: jump.map_err(|error| format!("jump {error}"))?,
    };
    Ok(Request {
        overrides,
        host_keys: ssh.check_host_keys.map(|check| match check {
            CheckHostKeys::Enforce => HostKeyPolicy::Enforce,
            CheckHostKeys::Accept => HostKeyPolicy::Accept,
            CheckHostKeys::Ignore => HostKeyPolicy::Ignore,
        }),
        password,
        passphrase,
        timeout: Some(patience),
        env,
        ..Request::new(&ssh.hostname, &line)
    })
}
