//! Turns grants into what WASI lets a plugin see. What is not granted does not exist for it.

use std::io;
use std::sync::Arc;

use offshoot_abi::Grant;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::clock::MonotonicClock;
use super::error::LoadError;
use super::output::{Output, Stream};
use super::state::{LogSink, Wasi};

/// Checks the grants while there is still someone to tell.
pub(super) fn check(grants: &[Grant]) -> Result<(), LoadError> {
    for grant in grants {
        let (Grant::Read(path) | Grant::Write(path)) = grant else {
            continue;
        };
        let reason = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => continue,
            Ok(_) => "it is not a directory: grant the directory that holds it".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "there is no such directory on this machine".to_owned()
            }
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
        let (path, permissions) = match grant {
            Grant::Read(path) => (path, FsPerms::ReadOnly),
            Grant::Write(path) => (path, FsPerms::ReadWrite),
            Grant::Env(name) => {
                if let Ok(value) = std::env::var(name) {
                    builder.env(name, value);
                }
                continue;
            }
            // Not a matter of WASI.
            Grant::Router => continue,
        };
        builder
            .preopened_dir(path, path, permissions)
            .map_err(|error| LoadError::Grant {
                grant: grant.clone(),
                reason: format!("{error:#}"),
            })?;
    }
    Ok(Wasi {
        context: builder.build_p1(),
        stdout,
        stderr,
    })
}
