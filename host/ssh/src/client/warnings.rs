//! What the user should know of a connection that was made all the same.

use std::sync::{Arc, Mutex, PoisonError};

/// Warnings about one request and all hosts on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds one. A server that exchanges keys again gives cause for the same one again.
    pub(crate) fn push(&self, warning: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&warning) {
            all.push(warning);
        }
    }

    /// Takes all that there are.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
