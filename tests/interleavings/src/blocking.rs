//! Waiting in a thread of the scheduler.

use std::time::Duration;

use tokio::runtime;

use crate::error::Error;

pub(crate) fn wait<F: Future>(_: Option<&()>, future: F) -> Result<F::Output, Error> {
    Ok(shuttle::future::block_on(future))
}

/// No time passes here.
pub(crate) fn wait_until<F: Future>(
    driver: Option<&()>,
    future: F,
    _: Duration,
) -> Result<Option<F::Output>, Error> {
    wait(driver, future).map(Some)
}

pub(crate) async fn timeout<F: Future>(
    _: Option<&runtime::Handle>,
    _: Duration,
    future: F,
) -> Option<F::Output> {
    Some(future.await)
}

pub(crate) fn latest_runtime() -> Option<runtime::Handle> {
    None
}
