//! How far a connection has come, and how long it may take to come there.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::HostConfig;
use crate::error::{SshError, Stage};

/// How long it may take until the server has shown who it is, if nobody says.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What has happened on the way to a session. All but the last come for each host on the way, too,
/// and again for each further attempt at a server that hangs up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The host's name was looked up.
    Resolved {
        /// The host, as the configuration calls it.
        host: String,
    },
    /// There is a connection to the host.
    Connected {
        /// The host.
        host: String,
    },
    /// The host has proved that it has a key that is known.
    HostKeyTrusted {
        /// The host.
        host: String,
    },
    /// The host of the request has accepted the user.
    Authenticated,
}

/// The callback for the events of a request, if there is one.
#[derive(Clone, Default)]
pub struct OnProgress(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl OnProgress {
    /// Has `callback` take the events. It is called in the request's own task, and must not block.
    pub fn new(callback: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(callback)))
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnProgress")
            .field(&self.0.is_some())
            .finish()
    }
}

/// How far a connection has come, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    state: Arc<Mutex<(String, Stage)>>,
    on_progress: OnProgress,
}

impl Progress {
    pub(crate) fn new(host: &str, on_progress: &OnProgress) -> Self {
        Self {
            state: Arc::new(Mutex::new((host.to_owned(), Stage::NameResolution))),
            on_progress: on_progress.clone(),
        }
    }

    /// Tells the request's owner.
    pub(crate) fn report(&self, event: Event) {
        if let Some(callback) = &self.on_progress.0 {
            callback(event);
        }
    }

    /// It is now about this host.
    pub(crate) fn set_host(&self, host: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        host.clone_into(&mut state.0);
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = stage;
    }

    /// That it took too long to come further.
    pub(crate) fn timeout(&self, after: Duration) -> SshError {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, stage) = state.clone();
        SshError::Timeout { host, stage, after }
    }
}

/// `ConnectTimeout`: what is left of the time until a server has shown who it is.
///
/// It runs only while something of that is under way, not while the request waits for a permit, or
/// for what a connection needs below it.
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
