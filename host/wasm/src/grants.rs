//! Turns grants into what WASI lets a plugin see. What is not granted does not exist for it.

use std::sync::Arc;

use offshoot_abi::Grant;
use rustix::io::Errno;
use wasmtime_wasi::WasiCtxBuilder;

use super::clock::MonotonicClock;
use super::error::LoadError;
use super::files::{self, Table, Wasi};
use super::output::{Output, Stream};
use super::state::LogSink;

/// Checks the grants while there is still someone to tell.
pub(super) fn check(grants: &[Grant]) -> Result<(), LoadError> {
    for grant in grants {
        let (Grant::Read(path) | Grant::Write(path)) = grant else {
            continue;
        };
        let reason = match files::check(path) {
            Ok(()) => continue,
            Err(Errno::NOTDIR) => {
                "it is not a directory: grant the directory that holds it".to_owned()
            }
            Err(Errno::NOENT) => "there is no such directory on this machine".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(LoadError::Grant {
            grant: grant.clone(),
            reason,
        });
    }
    Ok(())
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
    sink: &Arc<dyn LogSink>,
) -> Result<Wasi, LoadError> {
    let stdout = Output::new(sink.clone(), format!("{plugin}::stdout"));
    let stderr = Output::new(sink.clone(), format!("{plugin}::stderr"));
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(Stream(stdout.clone()))
        .stderr(Stream(stderr.clone()))
        .monotonic_clock(MonotonicClock)
        // A plugin that may block runs in a worker thread of its own, and nothing waits for it.
        .allow_blocking_current_thread(true);
    for grant in grants {
        if let Grant::Env(name) = grant
            && let Ok(value) = std::env::var(name)
        {
            builder.env(name, value);
        }
    }
    let mut wasi = Wasi {
        context: builder.build_p1(),
        files: Table::new(),
        stdout,
        stderr,
    };
    for grant in grants {
        wasi.grant(grant).map_err(|reason| LoadError::Grant {
            grant: grant.clone(),
            reason,
        })?;
    }
    Ok(wasi)
}
