//! By the client inside this program: no process, no helper, no words to guess from.

use std::time::Duration;

use offshoot_proto::control::Ssh;
use offshoot_ssh::Session;
use tokio::time::Instant;

use super::super::error::ConnectError;
use super::super::greeted::HandshakenChild;
use super::super::login::{Login, Tool};
use super::super::progress::Progress;
use super::super::remote_command::RemoteCommand;
use super::{note_banner, note_warnings, with_paths};
use crate::transport::Transport;

/// Dropping the future ends the connection, wherever it has come to.
pub(super) async fn launch(
    ssh: Ssh,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    let remote = RemoteCommand::new(&ssh.start, true).await?;
    let started = Instant::now();
    let program = format!("ssh {}", ssh.hostname);
    let mut ssh = with_paths(ssh);
    let opened = offshoot_ssh_helper::connect(&mut ssh, remote.line(), patience, {
        let progress = progress.clone();
        move |event| progress.report(event)
    });
    let opened = opened.await;
    let opened = opened.map_err(ConnectError::from_failure)?;
    note_banner(&program, &opened.banner);
    note_warnings(&program, &opened.warnings);
    let session = opened.with_pipes();
    let tool = session
        .and_then(carried)
        .map_err(|source| ConnectError::Start {
            program: program.clone(),
            source,
        })?;
    Login::run_authenticated(program, tool, remote, started, patience, progress).await
}

/// A session as the conversation knows tools.
fn carried(session: Session) -> std::io::Result<Tool> {
    Tool::over(
        session.output,
        session.input,
        session.errors,
        Transport::Session(Some(session.connection)),
    )
}
