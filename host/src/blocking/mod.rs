//! Waiting in a plain thread, for programs or parts of them without a runtime of their own.

mod broker;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime;

use crate::error::Error;
use offshoot_node::driver::Driver;

pub use broker::Broker;

/// Runs timers of futures that belong to no router: a broker.
trait TimerRuntime: Send + Sync {
    /// Where timers run; `None` once it ends.
    fn timer_runtime(&self) -> Option<runtime::Handle>;
}

/// Those that there are, the last one last.
static TIMER_RUNTIMES: Mutex<Vec<Weak<dyn TimerRuntime>>> = Mutex::new(Vec::new());

fn timer_runtimes() -> MutexGuard<'static, Vec<Weak<dyn TimerRuntime>>> {
    TIMER_RUNTIMES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Adds one, for as long as it exists.
fn register(runtime: Weak<dyn TimerRuntime>) {
    let mut all = timer_runtimes();
    all.retain(|other| other.strong_count() > 0);
    all.push(runtime);
}

/// The runtime that was added last, of those that still run.
pub(crate) fn latest_runtime() -> Option<runtime::Handle> {
    // What is dropped here must not be under the lock: it may be the last reference.
    let all: Vec<_> = timer_runtimes().iter().filter_map(Weak::upgrade).collect();
    all.iter().rev().find_map(|one| one.timer_runtime())
}

/// Runs a future of this library in a plain thread until it is done.
///
/// The router's own tasks run elsewhere: in the runtime that it was made in, or in its
/// [`Broker`]'s thread. Timers that the future makes itself, with
/// `tokio::time::sleep` and the like, run in the thread of the broker that was made last, and need
/// one.
///
/// # Errors
///
/// [`Error::Usage`] in a thread of a tokio runtime: it might be the one that the future waits for.
/// That includes the threads of `spawn_blocking`, where `Handle::current().block_on(...)` does the
/// same. Also in a [`Handler`](crate::Handler), and in a function that is notified: they run where
/// messages are moved.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = offshoot::Router::new()?; // no runtime here: it gets a broker of its own
/// let context = offshoot::block_on(router.local().into_future())??;
/// println!("{} is up", context.name());
/// offshoot::block_on(router.shutdown())?;
/// # Ok(())
/// # }
/// ```
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    wait(None, future)
}

/// The same; timers run where the tasks of `driver` do.
pub(crate) fn wait<F: Future>(driver: Option<&Driver>, future: F) -> Result<F::Output, Error> {
    match run(driver, future, None)? {
        Some(output) => Ok(output),
        None => unreachable!("without a deadline there is an output"),
    }
}

/// The same until `timeout`; `None` when it is not done by then.
pub(crate) fn wait_until<F: Future>(
    driver: Option<&Driver>,
    future: F,
    timeout: Duration,
) -> Result<Option<F::Output>, Error> {
    run(driver, future, Instant::now().checked_add(timeout))
}

fn run<F: Future>(
    driver: Option<&Driver>,
    future: F,
    deadline: Option<Instant>,
) -> Result<Option<F::Output>, Error> {
    let in_runtime = runtime::Handle::try_current().is_ok();
    if in_runtime || Driver::is_in_any_driver() {
        return Err(Error::Usage(
            "cannot make a blocking call on the broker's thread, or in an async runtime: await \
             it, or make it in another thread"
                .to_owned(),
        ));
    }
    let runtime = match driver {
        Some(driver) => Some(driver.runtime().clone()),
        None => latest_runtime(),
    };
    let _timers = runtime.as_ref().map(runtime::Handle::enter);
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(Some(output));
        }
        let Some(deadline) = deadline else {
            thread::park();
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        thread::park_timeout(left);
    }
}

/// Waits for a future so long at most, wherever it is polled; `runtime` is where the timer runs
/// outside of any.
pub(crate) async fn timeout<F: Future>(
    runtime: Option<&runtime::Handle>,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let limited = {
        let _timers = match runtime::Handle::try_current() {
            Ok(_) => None,
            Err(_) => runtime.map(runtime::Handle::enter),
        };
        tokio::time::timeout(limit, future)
    };
    limited.await.ok()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
