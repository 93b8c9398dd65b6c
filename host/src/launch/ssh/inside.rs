//! By the client inside this program: no process, no helper, no words to guess from.

use std::time::Duration;

use offshoot_proto::bootstrap::Stage;
use offshoot_proto::control::{CheckHostKeys, Password, Ssh};
use offshoot_proto::login;
use offshoot_ssh::config::{Hop, Said, Surroundings};
use offshoot_ssh::{HostKeys, Request, Secret, Session, open};
use tokio::time::Instant;

use super::super::command::Errand;
use super::super::conversation::{Secrets, Visit};
use super::super::error::StreamError;
use super::super::tool::Tool;
use super::super::{Carrier, Greeted};
use super::failure::explain;
use super::{expand_home, only_given_identities};

/// Dropping the future ends the connection, wherever it has come to.
pub(super) async fn launch(mut ssh: Ssh, patience: Duration) -> Result<Greeted, StreamError> {
    let errand = Errand::new(&ssh.start, true).await?;
    let started = Instant::now();
    let program = format!("ssh {}", ssh.hostname);
    let request = request(&mut ssh, errand.line(), patience)?;
    let opened = open(request).await;
    let session = opened.map_err(|error| explain(&error, &program, patience))?;
    let took = started.elapsed();
    tracing::debug!(program, ?took, "the server has let us in");
    for line in session.banner.lines() {
        tracing::debug!(program, "its banner: {}", crate::logs::quote(line));
    }
    let tool = carried(session).map_err(|source| StreamError::Start {
        program: program.clone(),
        source,
    })?;
    let visit = Visit {
        kind: login::Tool::Ssh,
        program,
        secrets: Secrets::Shown,
        errand,
        stage: Stage::Command,
        started,
        patience,
    };
    visit.greet(tool).await
}

/// What is asked of the client. The secrets are taken out, so that one copy of them is left.
fn request(ssh: &mut Ssh, command: String, patience: Duration) -> Result<Request, StreamError> {
    let mut around = Surroundings::of_process();
    if let Some(file) = &ssh.config_file {
        around = around.with_config(&expand_home(file));
    }
    let secret = |password: Option<Password>| {
        password.map(|password| Secret::new(password.expose().to_owned()))
    };
    let (password, passphrase) = (secret(ssh.password.take()), secret(ssh.passphrase.take()));
    let jump = ssh.jump.as_deref().map(Hop::list).transpose();
    let jump = jump.map_err(|error| StreamError::Name(format!("jump {error}")))?;
    let said = Said {
        user: ssh.username.clone(),
        port: ssh.port,
        identity_file: ssh.identity_file.as_deref().map(expand_home),
        identities_only: only_given_identities(ssh, password.is_some()).then_some(true),
        compression: ssh.compression,
        connect_timeout: None,
        keepalive_interval: Some(Duration::from_secs(ssh.keepalive.seconds.into())),
        keepalive_count: Some(ssh.keepalive.count.max(1)),
        jump,
    };
    Ok(Request {
        said,
        host_keys: ssh.check_host_keys.map(|check| match check {
            CheckHostKeys::Enforce => HostKeys::Enforce,
            CheckHostKeys::Accept => HostKeys::Accept,
            CheckHostKeys::Ignore => HostKeys::Ignore,
        }),
        password,
        passphrase,
        patience: Some(patience),
        around,
        ..Request::new(&ssh.hostname, &command)
    })
}

/// A session as the conversation knows tools.
fn carried(session: Session) -> std::io::Result<Tool> {
    Tool::over(
        session.output,
        session.input,
        session.errors,
        Carrier::Session(Some(session.connection)),
    )
}
