//! Ends a sample that does not end by itself.
//!
//! Sides wait for bytes from other processes, mostly in blocking reads. When those processes
//! are killed every such read returns, so one clock bounds every kind of wait.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::processes::kill_descendants;

/// How often the clock looks up while nothing is timed.
const IDLE: Duration = Duration::from_secs(60);

pub(crate) struct Watchdog {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    deadline: Option<Instant>,
    fired: bool,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let watched = Arc::clone(&state);
        std::thread::spawn(move || watch(&watched));
        Self { state }
    }

    /// Runs `work`; when it takes too long, kills every process that this one started.
    pub(crate) fn guard<T>(&self, limit: Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.set(Some(Instant::now() + limit));
        let result = work();
        if self.set(None) {
            let limit = limit.as_secs();
            return result.with_context(|| format!("killed after {limit} s"));
        }
        result
    }

    /// Sets the deadline, and says whether the last one passed.
    fn set(&self, deadline: Option<Instant>) -> bool {
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.deadline = deadline;
        changed.notify_one();
        std::mem::take(&mut state.fired)
    }
}

fn watch((state, changed): &(Mutex<State>, Condvar)) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = match state.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => IDLE,
        };
        if left.is_zero() {
            state.deadline = None;
            state.fired = true;
            kill_descendants();
            continue;
        }
        state = changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
