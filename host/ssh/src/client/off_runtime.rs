//! Reads and writes files apart from the threads of connections: a home can be on a machine that
//! does not answer, and nobody else is to wait for it.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Does work that may wait for a disk, in a thread that may.
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
