//! Turns grants into what WASI lets a plugin see. What is not granted does not exist for it.

use std::sync::Arc;

use offshoot_abi::Grant;
use rustix::io::Errno;

use super::error::LoadError;
use super::files::Granted;
use super::log_sink::LogSink;
use super::output::Output;
use super::wasi::Wasi;

/// Checks the grants while there is still someone to tell, and finds the granted directories.
pub(super) fn find(grants: &[Grant]) -> Result<Vec<Granted>, LoadError> {
    let mut found = Vec::new();
    for grant in grants {
        let refused = |reason: String| LoadError::Grant {
            grant: grant.clone(),
            reason,
        };
        if let Some(flaw) = grant.flaw() {
            return Err(refused(flaw.to_owned()));
        }
        match Granted::find(grant) {
            None => {}
            Some(Ok(granted)) => found.push(granted),
            Some(Err(error)) => return Err(refused(explain(error))),
        }
    }
    Ok(found)
}

fn explain(error: Errno) -> String {
    match error {
        Errno::NOTDIR => "it is not a directory: grant the directory that holds it".to_owned(),
        Errno::NOENT => "there is no such directory on this machine".to_owned(),
        error => error.to_string(),
    }
}

/// Whether the plugin's calls may wait for a file system.
pub(super) fn may_block(grants: &[Grant]) -> bool {
    let mut grants = grants.iter();
    grants.any(|grant| matches!(grant, Grant::Read(_) | Grant::Write(_)))
}

/// WASI for one instance of the plugin, with just the grants.
pub(super) fn wasi(
    plugin: &str,
    grants: &[Grant],
    directories: &[Granted],
    sink: &Arc<dyn LogSink>,
) -> Result<Wasi, String> {
    let stdout = Output::new(sink.clone(), format!("{plugin}::stdout"));
    let stderr = Output::new(sink.clone(), format!("{plugin}::stderr"));
    let mut wasi = Wasi::new(stdout, stderr);
    for grant in grants {
        if let Grant::Env(name) = grant
            && let Ok(value) = std::env::var(name)
        {
            wasi.add_variable(name, &value);
        }
    }
    for granted in directories {
        wasi.grant(granted)?;
    }
    Ok(wasi)
}
