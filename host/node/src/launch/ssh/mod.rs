//! A child on another machine, by one of two clients that do the same: the one inside this program,
//! and OpenSSH's.

#[cfg(feature = "ssh")]
mod in_process;
mod openssh;
#[cfg(not(feature = "ssh"))]
mod shipped;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use offshoot_limiter::{CONNECTIONS, Permit};
use offshoot_proto::control::{ConnectStage, Ssh};
use tokio::time::Instant;

use super::error::ConnectError;
use super::greeted::HandshakenChild;
use super::progress::Progress;
use crate::driver::Driver;

/// Makes the child. This is the one place that decides which client does it.
#[cfg_attr(
    feature = "ssh",
    expect(unused_variables, reason = "only a child is brought a client")
)]
pub(super) async fn launch(
    driver: &Arc<Driver>,
    ssh: Ssh,
    patience: Duration,
    progress: &Progress,
) -> Result<HandshakenChild, ConnectError> {
    check(&ssh)?;
    let started = Instant::now();
    #[cfg(feature = "ssh")]
    if !wants_program(&ssh) {
        return in_process::launch(ssh, patience, progress).await;
    }
    // From here on a program connects, which knows nothing of the others.
    let progress = &progress.holding(permit(&ssh, patience).await?);
    #[cfg(not(feature = "ssh"))]
    if let Some(client) = ssh.client {
        return shipped::launch(driver, ssh, client, started, patience, progress).await;
    }
    let named = ssh.ssh_path.is_some();
    openssh::launch(ssh, started, patience, progress)
        .await
        .map_err(|error| match error {
            // Who asks for it by name knows what is missing.
            ConnectError::ToolMissing { tool, reason } if !named && crate::identity::is_child() => {
                ConnectError::ToolMissing {
                    tool,
                    reason: format!(
                        "{reason}; a machine without it can still be gone through, with `jump` \
                     instead of `via`"
                    ),
                }
            }
            error => error,
        })
}

/// Waits until a program may connect to the server.
async fn permit(ssh: &Ssh, patience: Duration) -> Result<Permit, ConnectError> {
    let program = format!("ssh {}", ssh.hostname);
    let server = match ssh.port {
        Some(port) => format!("{program}:{port}"),
        None => program.clone(),
    };
    let acquired = tokio::time::timeout(patience, CONNECTIONS.acquire(&server)).await;
    acquired.map_err(|_| ConnectError::Timeout {
        program,
        stage: ConnectStage::Connect,
        after: patience,
        printed: String::new(),
    })
}

/// Whether the program of the system is asked for, or something that only a program has.
pub(super) fn wants_program(ssh: &Ssh) -> bool {
    ssh.ssh_path.is_some() || !ssh.ssh_args.is_empty() || ssh.debug_level > 0
}

/// What a server says to everybody is for those who look closely.
fn note_banner(program: &str, banner: &str) {
    for line in banner.lines() {
        tracing::debug!(program, "its banner: {}", crate::text::quote(line));
    }
}

/// What the user should know of a connection that was made all the same.
fn note_warnings(program: &str, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(program, "{}", crate::text::quote(warning));
    }
}

/// Refuses files that cannot be read: the client would only pass over some of them.
fn check(ssh: &Ssh) -> Result<(), ConnectError> {
    let refused = |what: &str, text: &str, rule: &str| {
        let text = text.escape_debug();
        Err(ConnectError::Name(format!("{what} `{text}` {rule}")))
    };
    // `none` is a word of the client's own for no file at all.
    let config = ssh.config_file.as_ref().filter(|file| *file != "none");
    for (what, file) in [
        ("identity file", ssh.identity_file.as_ref()),
        ("ssh_config", config),
    ] {
        if let Some(file) = file
            && let Err(error) = std::fs::File::open(expand_home(file))
        {
            return refused(what, file, &format!("cannot be read: {error}"));
        }
    }
    Ok(())
}

/// The same with paths that lead somewhere from anywhere.
fn with_paths(mut ssh: Ssh) -> Ssh {
    for file in [&mut ssh.identity_file, &mut ssh.config_file] {
        *file = file
            .take()
            .map(|file| expand_home(&file).to_string_lossy().into_owned());
    }
    ssh
}

/// The path of a file, which may be in the user's home.
fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn to(hostname: &str) -> Ssh {
        Ssh {
            hostname: hostname.to_owned(),
            ..Ssh::default()
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let mut ssh = to("web1");
        ssh.identity_file = Some("/no/such/key".to_owned());
        let error = check(&ssh).unwrap_err().to_string();
        assert!(error.contains("`/no/such/key` cannot be read"), "{error}");
    }
}
