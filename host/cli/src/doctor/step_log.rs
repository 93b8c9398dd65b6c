//! The events of one connection, with the time at which each came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use offshoot::ConnectEvent;

/// Entries that are kept: a connection has some thirty.
const ENTRIES_MAX: usize = 256;

/// The events of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct StepLog(Arc<Mutex<Vec<(Instant, ConnectEvent)>>>);

impl StepLog {
    pub(super) fn record(&self, event: ConnectEvent) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() < ENTRIES_MAX {
            entries.push((Instant::now(), event));
        }
    }

    /// All events so far.
    pub(super) fn entries(&self) -> Vec<(Instant, ConnectEvent)> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clone()
    }
}
