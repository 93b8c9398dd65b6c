//! How far a connection has come, and how long it may take to come there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::HostConfig;
use crate::error::{SshError, Stage};

/// How long it may take until the server has shown who it is, if nobody says.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How far a connection has come, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<(String, Stage)>>);

impl Progress {
    pub(crate) fn new(host: &str) -> Self {
        Self(Arc::new(Mutex::new((
            host.to_owned(),
            Stage::NameResolution,
        ))))
    }

    /// It is now about this host.
    pub(crate) fn set_host(&self, host: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        host.clone_into(&mut state.0);
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = stage;
    }

    /// That it took too long to come further.
    pub(crate) fn timeout(&self, after: Duration) -> SshError {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, stage) = state.clone();
        SshError::Timeout { host, stage, after }
    }
}

/// `ConnectTimeout`: what is left of the time until a server has shown who it is.
///
/// It runs only while something of that is under way, not while we wait for our turn, or for what
/// a connection needs below it.
#[derive(Debug)]
pub(crate) struct ConnectTimer<'a> {
    progress: &'a Progress,
    after: Duration,
    left: Duration,
}

impl<'a> ConnectTimer<'a> {
    pub(crate) fn new(config: &HostConfig, progress: &'a Progress) -> Self {
        let said = config.connect_timeout.filter(|said| !said.is_zero());
        let after = said.unwrap_or(CONNECT_TIMEOUT);
        Self {
            progress,
            after,
            left: after,
        }
    }

    /// Runs a step, within what is left.
    pub(crate) async fn within<T>(&mut self, step: impl Future<Output = T>) -> Result<T, SshError> {
        let began = Instant::now();
        let result = tokio::time::timeout(self.left, step).await;
        self.left = self.left.saturating_sub(began.elapsed());
        result.map_err(|_| self.progress.timeout(self.after))
    }
}
