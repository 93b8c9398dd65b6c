//! Reads and writes files on threads that may block: a home can be on a file server that does not
//! answer, and other connections must not wait for it.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Runs work that may block in a thread of the blocking pool.
pub(crate) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}
