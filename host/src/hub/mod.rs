//! Drives one context's [`Node`]: moves its bytes, its time and its events.
//!
//! There is no thread or queue between a caller and the link. Whoever changes the node, under
//! its lock, also writes what that produced, for as long as the pipe has room; the link's task
//! only reads, and waits for room on a link that is full. So a call costs its caller one write,
//! and the answer one read and one wake-up.

mod events;
mod link;
mod output;
mod tasks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

use offshoot_proto::control::LogRecord;
use offshoot_proto::{ContextId, Handle, LinkId, Node};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

pub(crate) use link::LinkParts;

use crate::executor::Executor;
use crate::mailbox::Mailbox;
use output::Output;

/// One context of the tree, as a process: its node, its links and who waits for what.
pub(crate) struct Hub {
    weak: Weak<Self>,
    state: Mutex<State>,
    /// The moment that the node's clock counts from.
    origin: Instant,
    /// Wakes the timer when an earlier deadline appears.
    timer: Arc<Notify>,
    /// Wakes the flusher when someone left bytes without writing them.
    flusher: Arc<Notify>,
    executor: OnceLock<Executor>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Tasks that a shutdown ends.
    background: Mutex<Vec<AbortHandle>>,
    /// The most verbose level that logs of the tree are wanted at.
    pub(crate) log_level: u8,
    /// Told when the context must end.
    pub(crate) ended: Notify,
}

/// What the lock protects.
pub(crate) struct State {
    pub(crate) node: Node,
    outputs: HashMap<LinkId, Output>,
    mailboxes: HashMap<Handle, Arc<Mailbox>>,
    /// Names of the contexts below, for errors and logs.
    names: HashMap<ContextId, Arc<str>>,
    /// The deadline that the timer sleeps for.
    armed: Option<offshoot_proto::Instant>,
    ended: bool,
}

impl Hub {
    /// A hub without links, and the tasks that it needs in the current runtime.
    pub(crate) fn new(node: Node, log_level: u8) -> Arc<Self> {
        let hub = Arc::new_cyclic(|weak: &Weak<Self>| Self {
            weak: weak.clone(),
            state: Mutex::new(State {
                node,
                outputs: HashMap::new(),
                mailboxes: HashMap::new(),
                names: HashMap::new(),
                armed: None,
                ended: false,
            }),
            origin: Instant::now(),
            timer: Arc::default(),
            flusher: Arc::default(),
            executor: OnceLock::new(),
            tasks: Mutex::default(),
            background: Mutex::default(),
            log_level,
            ended: Notify::new(),
        });
        hub.spawn(tasks::timer(hub.weak.clone(), hub.timer.clone()));
        hub.spawn(tasks::flusher(hub.weak.clone(), hub.flusher.clone()));
        hub
    }

    pub(crate) fn weak(&self) -> Weak<Self> {
        self.weak.clone()
    }

    pub(crate) fn now(&self) -> offshoot_proto::Instant {
        let micros = self.origin.elapsed().as_micros();
        offshoot_proto::Instant(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The moment of the node's clock on the system's.
    pub(crate) fn system_time(&self, at: offshoot_proto::Instant) -> Instant {
        self.origin + Duration::from_micros(at.0)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Runs calls that others make to this context; made on the first one.
    pub(crate) fn executor(&self) -> &Executor {
        self.executor.get_or_init(Executor::default)
    }

    /// Changes the node, then acts on what came of it and writes what it wants to send.
    pub(crate) fn drive<R>(&self, change: impl FnOnce(&mut State, offshoot_proto::Instant) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = change(&mut state, now);
        self.settle(state);
        result
    }

    /// Changes the node like [`drive`](Self::drive), but lets the bytes gather: they are written
    /// when there are many, when someone waits for an answer, or when the runtime gets to it.
    pub(crate) fn drive_lazily<R>(
        &self,
        change: impl FnOnce(&mut State, offshoot_proto::Instant) -> R,
    ) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = change(&mut state, now);
        self.rearm(&mut state);
        drop(state);
        self.flusher.notify_one();
        result
    }

    /// Writes what has gathered.
    pub(crate) fn flush(&self) {
        self.drive(|_, _| ());
    }

    /// Listens on a handle of the node.
    pub(crate) fn open_mailbox(state: &mut State, handle: Handle) -> Arc<Mailbox> {
        let mailbox = Mailbox::new();
        state.mailboxes.insert(handle, mailbox.clone());
        mailbox
    }

    /// Stops to listen on a handle; a call behind it is cancelled.
    pub(crate) fn forget(&self, handle: Handle) {
        self.drive(|state, _| {
            state.mailboxes.remove(&handle);
            state.node.forget(handle);
        });
    }

    pub(crate) fn name_of(state: &State, id: ContextId) -> Arc<str> {
        match state.names.get(&id) {
            Some(name) => name.clone(),
            None if id == ContextId::CONTROLLER => "controller".into(),
            None => format!("context {id}").into(),
        }
    }

    pub(crate) fn set_name(state: &mut State, id: ContextId, name: Arc<str>) {
        state.names.insert(id, name);
    }

    /// Spawns a task that a shutdown waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(task));
    }

    /// Spawns a task that a shutdown ends.
    pub(crate) fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut background = lock(&self.background);
        background.retain(|task| !task.is_finished());
        background.push(tokio::spawn(task).abort_handle());
    }

    /// Logs a record of this process: to its own log in the controller, else to the controller's.
    pub(crate) fn log(&self, level: u8, target: &str, text: &str) {
        if level > self.log_level {
            return;
        }
        let record = LogRecord {
            level,
            target: target.to_owned(),
            text: text.to_owned(),
        };
        self.drive_lazily(|state, _| state.node.log(&record));
    }

    /// Closes every link and waits until the children behind them are gone.
    pub(crate) async fn close(&self) {
        {
            let mut state = self.lock();
            state.ended = true;
            state.outputs.clear();
        }
        self.timer.notify_one();
        self.flusher.notify_one();
        for task in std::mem::take(&mut *lock(&self.background)) {
            task.abort();
        }
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks {
            // A task that panicked has nothing left to wait for either.
            let _ = task.await;
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended
    }
}

impl Drop for Hub {
    /// Lets the tasks see that the hub is gone.
    fn drop(&mut self) {
        for task in std::mem::take(&mut *lock(&self.background)) {
            task.abort();
        }
        self.timer.notify_one();
        self.flusher.notify_one();
    }
}

/// Locks, also after a panic elsewhere: what the locks protect is changed by code that does not
/// panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
