//! Worker threads for the calls that do not end at once.
//!
//! A worker belongs to one call until the call ends, because the guest may block in a system
//! call. Threads start when they are needed and go when they are not.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::finish::Completion;
use super::instance::Instance;
use super::sleep;
use super::task::Task;
use super::ticker::Ticking;

/// Calls that may run at once, beside the one in the starter's thread.
///
/// Each takes a thread and an instance, so this bounds the memory of a process too.
pub(super) const CALLS_MAX: usize = 64;

/// How long a worker waits for the next call.
const LINGER: Duration = Duration::from_secs(2);

/// Guests have their own stack; this is for what drives them.
const STACK: usize = 512 << 10;

/// A call under way: its end, and the instance if it can serve another.
pub(super) type Running = Pin<Box<dyn Future<Output = (Completion, Option<Box<Instance>>)> + Send>>;

/// A call that is handed to a worker.
pub(super) struct Job {
    pub(super) running: Running,
    pub(super) task: Arc<Task>,
    pub(super) ticking: Ticking,
}

#[derive(Default)]
pub(super) struct Executor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    waiting: usize,
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Executor {
    /// Hands the call to a worker, or back with a reason.
    pub(super) fn submit(&self, job: Job) -> Result<(), (Job, String)> {
        let mut state = self.0.state();
        if state.waiting > state.jobs.len() {
            state.jobs.push_back(job);
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads == CALLS_MAX {
            let reason = format!("{CALLS_MAX} calls already run in this context: try again later");
            return Err((job, reason));
        }
        state.threads += 1;
        state.jobs.push_back(job);
        let shared = self.0.clone();
        let thread = thread::Builder::new()
            .name("offshoot-call".to_owned())
            .stack_size(STACK)
            .spawn(move || shared.work());
        match thread {
            Ok(_) => Ok(()),
            Err(error) => {
                state.threads -= 1;
                let job = state.jobs.pop_back().expect("it was pushed above");
                Err((job, format!("cannot start a thread for the call: {error}")))
            }
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self) {
        let mut waker = None;
        while let Some(job) = self.next() {
            job.run(waker.get_or_insert_with(|| Waker::from(Arc::new(Unpark(thread::current())))));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        let until = Instant::now() + LINGER;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
                state.threads -= 1;
                return None;
            }
            state.waiting += 1;
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
            state.waiting -= 1;
        }
    }
}

impl Job {
    fn run(self, waker: &Waker) {
        let Self {
            mut running,
            task,
            ticking,
        } = self;
        task.runs_in(thread::current());
        let (finish, instance) = loop {
            if let Some(stop) = task.stop() {
                // Unwinds the guest, wherever it waits.
                break (stop.into(), None);
            }
            sleep::take_wake_up();
            let polled = catch_unwind(AssertUnwindSafe(|| {
                running.as_mut().poll(&mut Context::from_waker(waker))
            }));
            match polled {
                // Whoever waits for the call must hear of a bug of ours as of anything else.
                Err(_) => {
                    let reason = "bug: the host panicked while it ran the call".to_owned();
                    break (Completion::Limit(reason), None);
                }
                Ok(Poll::Ready(end)) => break end,
                Ok(Poll::Pending) => match sleep::take_wake_up() {
                    Some(until) => {
                        thread::park_timeout(until.saturating_duration_since(Instant::now()));
                    }
                    None => thread::park(),
                },
            }
        };
        drop(running);
        if let Some((done, lease)) = task.take_ending() {
            // First the instance, so that a call made by `done` finds it.
            lease.release(instance);
            done(finish);
        }
        drop(ticking);
    }
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
