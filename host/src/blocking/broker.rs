//! The thread that moves messages, for programs without a runtime of their own.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::Notify;

use super::TimerRuntime;
use crate::error::Error;
use offshoot_node::driver::Driver;

/// Owns the thread in which the tasks of its routers run.
///
/// A [`Router`](crate::Router) that is made in a tokio runtime needs none: its tasks run there.
/// One that is made in a plain thread gets one of its own, unless it is
/// [given](crate::RouterBuilder::broker) this one.
///
/// Cheap to clone; when the last clone, and the last router on it, is dropped, the thread ends.
///
/// ```no_run
/// # fn main() -> Result<(), offshoot::Error> {
/// let broker = offshoot::Broker::new()?;
/// let router = offshoot::Router::builder().broker(&broker).build()?;
/// // ...
/// # drop(router);
/// broker.shutdown();
/// broker.join();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: runtime::Handle,
    stop: Arc<Notify>,
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    drivers: Vec<Weak<Driver>>,
    shutdown_timeout: Duration,
    stopping: bool,
    ended: bool,
    thread: Option<ThreadId>,
}

/// How long a broker that everyone has dropped waits for what is still ending.
const REAPED: Duration = Duration::from_secs(1);

/// How long the links of a tree may take to close before they are cut.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

impl Broker {
    /// Starts the thread, `offshoot-broker`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the system gives no thread or no event queue.
    pub fn new() -> Result<Self, Error> {
        let unavailable = |error: std::io::Error| {
            Error::Usage(format!("cannot start the broker's thread: {error}"))
        };
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unavailable)?;
        let stop = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            runtime: runtime.handle().clone(),
            stop: stop.clone(),
            state: Mutex::new(State {
                drivers: Vec::new(),
                shutdown_timeout: SHUTDOWN_TIMEOUT,
                stopping: false,
                ended: false,
                thread: None,
            }),
            ended: Condvar::new(),
        });
        let weak = Arc::downgrade(&shared);
        let thread = thread::Builder::new().name("offshoot-broker".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(serve(&weak, &stop));
            drop(runtime);
            if let Some(shared) = weak.upgrade() {
                shared.lock().ended = true;
                shared.ended.notify_all();
            }
        });
        let thread = thread.map_err(unavailable)?;
        shared.lock().thread = Some(thread.thread().id());
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        super::register(weak);
        Ok(Self { shared })
    }

    /// Asks the contexts of every router to end, and the thread with them. Returns at
    /// once, from any thread; more than once is no more than once.
    pub fn shutdown(&self) {
        self.shared.lock().stopping = true;
        self.shared.stop.notify_one();
    }

    /// Waits until the thread has ended. Somebody has to [`shutdown`](Self::shutdown).
    ///
    /// In the broker's own thread it returns at once: it would wait for itself.
    pub fn join(&self) {
        let mut state = self.shared.lock();
        if state.thread == Some(thread::current().id()) {
            return;
        }
        while !state.ended {
            let woken = self.shared.ended.wait(state);
            state = woken.unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Whether anything still has to be said or heard: contexts that are up.
    pub fn keep_alive(&self) -> bool {
        let drivers = self.shared.drivers();
        drivers.iter().any(|driver| driver.has_links())
    }

    /// How long a shutdown waits for contexts to end by themselves; 5 seconds unless changed.
    pub fn shutdown_timeout(&self) -> Duration {
        self.shared.lock().shutdown_timeout
    }

    /// Changes [`shutdown_timeout`](Self::shutdown_timeout).
    pub fn set_shutdown_timeout(&self, timeout: Duration) {
        self.shared.lock().shutdown_timeout = timeout;
    }

    /// Runs `function` in the broker's thread: at once if this is it, else behind what was
    /// deferred before. One that panics is logged, and ends the broker.
    pub fn defer(&self, function: impl FnOnce() + Send + 'static) {
        if self.shared.lock().thread == Some(thread::current().id()) {
            function();
            return;
        }
        let broker = Arc::downgrade(&self.shared);
        self.shared.runtime.spawn(async move {
            let run = std::panic::AssertUnwindSafe(function);
            if std::panic::catch_unwind(|| { run }.0()).is_err() {
                tracing::error!("a deferred function panicked; the broker shuts down");
                if let Some(shared) = broker.upgrade() {
                    Self { shared }.shutdown();
                }
            }
        });
    }

    /// Runs `function` in the broker's thread and waits for what it gives.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when this thread must not wait, or the broker has ended.
    pub fn defer_sync<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        if self.shared.lock().thread == Some(thread::current().id()) {
            return Ok(function());
        }
        let (give, take) = tokio::sync::oneshot::channel();
        self.defer(move || {
            // Whoever waits cannot have gone: it blocks.
            let _ = give.send(function());
        });
        let ended = |_| Error::Usage("the broker has ended".to_owned());
        super::block_on(take)?.map_err(ended)
    }

    pub(crate) fn runtime(&self) -> runtime::Handle {
        self.shared.runtime.clone()
    }

    /// Ends a router with the broker.
    pub(crate) fn look_after(&self, driver: &Arc<Driver>) {
        let mut state = self.shared.lock();
        state.drivers.retain(|driver| driver.strong_count() > 0);
        state.drivers.push(Arc::downgrade(driver));
    }
}

/// Lives in the thread until it is to end.
async fn serve(shared: &Weak<Shared>, stop: &Notify) {
    loop {
        stop.notified().await;
        match shared.upgrade() {
            Some(shared) if !shared.lock().stopping => {}
            Some(shared) => {
                let timeout = shared.lock().shutdown_timeout;
                let drivers = shared.drivers();
                let close = async {
                    for driver in &drivers {
                        driver.close().await;
                    }
                };
                if tokio::time::timeout(timeout, close).await.is_err() {
                    tracing::warn!("some contexts did not end in time and are left to their fate");
                }
                return;
            }
            None => {
                // Nobody waits, but contexts that are still ending must be reaped.
                let metrics = runtime::Handle::current().metrics();
                for _ in 0..REAPED.as_millis() / 5 {
                    if metrics.num_alive_tasks() == 0 {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                return;
            }
        }
    }
}

impl Shared {
    fn drivers(&self) -> Vec<Arc<Driver>> {
        self.lock()
            .drivers
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl TimerRuntime for Shared {
    fn timer_runtime(&self) -> Option<runtime::Handle> {
        let state = self.lock();
        (!state.stopping && !state.ended).then(|| self.runtime.clone())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Broker")
            .field("stopping", &state.stopping)
            .field("ended", &state.ended)
            .finish_non_exhaustive()
    }
}
