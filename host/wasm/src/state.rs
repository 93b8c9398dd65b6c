//! What an instance's host functions work on.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::{StoreContextMut, UpdateDeadline};

use super::exchange::RouterAccess;
use super::finish::Stop;
use super::limits::Limiter;
use super::log_sink::LogSink;
use super::task::CancelHandle;
use super::wasi::Wasi;

/// The host's side of an instance.
pub(super) struct State {
    /// WASI preview 1. Present when the module imports it.
    pub(super) wasi: Option<Wasi>,
    pub(super) limiter: Limiter,
    pub(super) sink: Arc<dyn LogSink>,
    /// Postcard bytes of the context's `HostInfo`.
    pub(super) host: Arc<[u8]>,
    /// Text and place of the panic that is about to trap.
    pub(super) panic: Option<String>,
    /// The way to the router.
    pub(super) desk: RouterAccess,
    pub(super) watch: Interrupt,
}

/// What ends the call that is running.
#[derive(Clone, Default)]
pub(super) struct Interrupt {
    pub(super) deadline: Option<Instant>,
    pub(super) cancel: CancelHandle,
    /// Whether the call runs in a thread of its own, or must move there at the next tick.
    pub(super) moved: bool,
}

impl Interrupt {
    /// Why the call must end now.
    pub(super) fn stop(&self) -> Option<Stop> {
        if self.cancel.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        let passed = self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now());
        passed.then_some(Stop::Deadline)
    }
}

/// Runs at each tick that finds the guest running.
pub(super) fn on_tick(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let watch = &mut store.data_mut().watch;
    if let Some(stop) = watch.stop() {
        return Err(stop.into());
    }
    // The first tick gives the thread back to whoever started the call. A worker has nothing
    // better to do than to go on.
    if std::mem::replace(&mut watch.moved, true) {
        Ok(UpdateDeadline::Continue(1))
    } else {
        Ok(UpdateDeadline::Yield(1))
    }
}
