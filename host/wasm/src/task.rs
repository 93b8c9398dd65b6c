//! A call that outlived the thread that started it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Thread;

use super::finish::{Completion, Stop};
use super::plugin::Lease;
use super::state::Interrupt;

/// Ticks that a call may take to notice its end before it is given up. A guest notices at once;
/// what does not is a system call, such as a read from a server that is gone.
const GRACE_TICKS: u32 = 10;

/// Cancels a call, from any thread. A call that has ended does not mind.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle(Arc<AtomicBool>);

impl CancelHandle {
    /// A handle for one call.
    #[cfg(test)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call within a tick or two.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Called once with a call's end.
pub(super) type Done = Box<dyn FnOnce(Completion) + Send>;

/// The part of a moved call that its worker and the ticker share.
pub(super) struct Task {
    watch: Interrupt,
    /// The worker, once it runs the call.
    worker: Mutex<Option<Thread>>,
    /// Whoever takes this out ends the call.
    ending: Mutex<Option<(Done, Lease)>>,
    overdue: AtomicU32,
}

impl Task {
    pub(super) fn new(watch: Interrupt, lease: Lease, done: Done) -> Arc<Self> {
        Arc::new(Self {
            watch,
            worker: Mutex::default(),
            ending: Mutex::new(Some((done, lease))),
            overdue: AtomicU32::new(0),
        })
    }

    /// Says which thread runs the call, so that its end can wake it.
    pub(super) fn runs_in(&self, thread: Thread) {
        *lock(&self.worker) = Some(thread);
    }

    /// Why the call must end now.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.watch.stop()
    }

    /// Ends the call, unless the ticker gave it up before.
    pub(super) fn take_ending(&self) -> Option<(Done, Lease)> {
        lock(&self.ending).take()
    }

    /// Looks after the call; returns whether it is still to be looked after.
    pub(super) fn on_tick(&self) -> bool {
        if lock(&self.ending).is_none() {
            return false;
        }
        let Some(stop) = self.watch.stop() else {
            return true;
        };
        if let Some(worker) = &*lock(&self.worker) {
            worker.unpark();
        }
        if self.overdue.fetch_add(1, Ordering::Relaxed) < GRACE_TICKS {
            return true;
        }
        // The worker is stuck outside the guest. It drops the instance whenever it comes back.
        if let Some((done, lease)) = self.take_ending() {
            lease.release(None);
            done(stop.into());
        }
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
