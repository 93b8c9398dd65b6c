//! How far a connection has come, for the message when it takes too long.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Stage;

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
    pub(crate) fn of(&self, host: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        host.clone_into(&mut state.0);
    }

    pub(crate) fn at(&self, stage: Stage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = stage;
    }

    pub(crate) fn now(&self) -> (String, Stage) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
