//! The thread that interrupts guests.
//!
//! It ticks only while calls run, or ran a moment ago, and sleeps for good otherwise: a child at
//! rest wakes nobody. A call pays two atomic operations for it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak};

use super::task::Task;

/// How often a running guest is interrupted.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Ticks without a call before the thread sleeps: waking it costs as much as some calls.
const IDLE_TICKS: u32 = 8;

/// How often the time between ticks is doubled while they find no call running: those that come
/// are short then, and with many contexts on a machine the ticks add up. A call that is not short
/// is interrupted after four ticks at the latest.
const PACE_MAX: u32 = 2;

/// The longest time between ticks.
const LONGEST: Duration = Duration::from_millis(10 << PACE_MAX);

/// The thread needs no more than to wake others.
const STACK: usize = 128 << 10;

pub(super) struct Ticker(Arc<Shared>);

struct Shared {
    engine: EngineWeak,
    /// Calls that run.
    active: AtomicU32,
    /// Whether a call ran since the last tick.
    recent: AtomicBool,
    parked: AtomicBool,
    /// How often the time between ticks is doubled now.
    pace: AtomicU32,
    closed: AtomicBool,
    thread: OnceLock<Thread>,
    starting: Mutex<()>,
    tasks: Mutex<Vec<Arc<Task>>>,
}

/// Keeps the ticker ticking for one call.
pub(super) struct Ticking(Arc<Shared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticking {
    /// Has the ticker look after a moved call too.
    pub(super) fn look_after(&self, task: Arc<Task>) {
        self.0.tasks().push(task);
    }
}

impl Ticker {
    pub(super) fn new(engine: &Engine) -> Self {
        Self(Arc::new(Shared {
            engine: engine.weak(),
            active: AtomicU32::new(0),
            recent: AtomicBool::new(false),
            parked: AtomicBool::new(true),
            pace: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            thread: OnceLock::new(),
            starting: Mutex::new(()),
            tasks: Mutex::default(),
        }))
    }

    /// Starts to tick for a call, which should end at the deadline. Without a thread nothing could
    /// stop the call, so it must not run then.
    pub(super) fn begin(&self, deadline: Option<Instant>) -> std::io::Result<Ticking> {
        let shared = &self.0;
        // Counted before `parked` is read, as the thread says `parked` before it reads the count:
        // one of the two sees the other.
        shared.active.fetch_add(1, Ordering::SeqCst);
        let ticking = Ticking(shared.clone());
        shared.recent.store(true, Ordering::Relaxed);
        if shared.parked.load(Ordering::SeqCst) {
            self.wake()?;
        } else if deadline.is_some_and(|deadline| deadline < Instant::now() + LONGEST) {
            shared.hurry();
        }
        Ok(ticking)
    }

    #[cold]
    fn wake(&self) -> std::io::Result<()> {
        let shared = &self.0;
        let _one = shared.starting.lock();
        shared.parked.store(false, Ordering::SeqCst);
        if let Some(thread) = shared.thread.get() {
            thread.unpark();
            return Ok(());
        }
        let runs = shared.clone();
        let thread = thread::Builder::new()
            .name("offshoot-ticker".to_owned())
            .stack_size(STACK)
            .spawn(move || runs.run());
        match thread {
            Ok(thread) => {
                let _ = shared.thread.set(thread.thread().clone());
                Ok(())
            }
            Err(error) => {
                shared.parked.store(true, Ordering::SeqCst);
                Err(error)
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut idle = 0;
        loop {
            thread::park_timeout(TICK * (1 << self.pace.load(Ordering::Relaxed)));
            // Moved calls outlive the runtime's owner, and must still end.
            let over =
                self.closed.load(Ordering::SeqCst) && self.active.load(Ordering::SeqCst) == 0;
            let Some(engine) = self.engine.upgrade().filter(|_| !over) else {
                return;
            };
            engine.increment_epoch();
            drop(engine);
            let tasks = std::mem::take(&mut *self.tasks());
            // Not under the lock: a call that is given up runs its owner's code.
            let mut kept: Vec<_> = tasks.into_iter().filter(|task| task.on_tick()).collect();
            self.tasks().append(&mut kept);

            let busy = self.active.load(Ordering::SeqCst) > 0;
            let pace = self.pace.load(Ordering::Relaxed);
            let slower = if busy { 0 } else { PACE_MAX.min(pace + 1) };
            self.pace.store(slower, Ordering::Relaxed);
            idle = if self.recent.swap(false, Ordering::Relaxed) || busy {
                0
            } else {
                idle + 1
            };
            if idle >= IDLE_TICKS {
                self.park();
                idle = 0;
            }
        }
    }

    /// Ticks soon, and then often.
    fn hurry(&self) {
        if self.pace.swap(0, Ordering::Relaxed) > 0
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn park(&self) {
        self.pace.store(0, Ordering::Relaxed);
        self.parked.store(true, Ordering::SeqCst);
        if self.active.load(Ordering::SeqCst) > 0 {
            self.parked.store(false, Ordering::SeqCst);
        }
        while self.parked.load(Ordering::SeqCst) && !self.closed.load(Ordering::SeqCst) {
            thread::park();
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Task>>> {
        self.tasks
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::target::Profile;

    #[track_caller]
    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < until, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn it_rests_between_calls_and_wakes_for_the_next() {
        let engine = Engine::new(&engine::config(Profile::Wide)).unwrap();
        let ticker = Ticker::new(&engine);
        let parked = || ticker.0.parked.load(Ordering::SeqCst);
        assert!(ticker.0.thread.get().is_none(), "no thread before a call");
        for _ in 0..2 {
            let ticking = ticker.begin(None).unwrap();
            assert!(!parked(), "it ticks during a call");
            thread::sleep(TICK * (IDLE_TICKS + 10));
            assert!(!parked(), "it ticks during a long call");
            drop(ticking);
            wait_for("it rests after the call", parked);
        }
    }

    #[test]
    fn its_thread_ends_with_it() {
        let engine = Engine::new(&engine::config(Profile::Wide)).unwrap();
        let ticker = Ticker::new(&engine);
        drop(ticker.begin(None).unwrap());
        let shared = Arc::downgrade(&ticker.0);
        drop(ticker);
        wait_for("the thread lets go", || shared.strong_count() == 0);
    }
}
