//! Drives one context's [`Node`]: moves its bytes, its time and its events.
//!
//! There is no thread or queue between a caller and the link. The thread that changes the node,
//! under its lock, also writes the frames of that change, for as long as the pipe has room. So a call costs
//! its caller one write, and the answer one read and one wake-up.
//!
//! The controller's tasks run in the runtime of the program that it is part of. A child reads its
//! parent in its main thread (`parent.rs`), and starts a thread for tasks when it first has one:
//! a child without children has none.

mod contexts;
mod events;
mod keepalive;
mod link;
mod output;
mod parent;
mod stream_handle;
mod streams;
mod subscription;
mod tasks;
mod traces;
mod upcalls;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LockResult, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};
use offshoot_proto::control::LogRecord;
use offshoot_proto::{ContextId, Handle, LinkId, Node};
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

pub use contexts::ContextInfo;
pub use stream_handle::{PutEnd, StreamHandle};
pub use subscription::Subscription;
pub use upcalls::Upcalls;

use crate::diagnostics::{DebugLog, Profile};
use crate::mailbox::{Inbox, MessageHandler, StreamRefs};
use output::Output;

/// One context of the tree, as a process: its node, its links and the tasks that wait.
pub struct Driver {
    weak: Weak<Self>,
    /// Tells the drivers of this process apart; not 0.
    id: u64,
    state: Mutex<State>,
    /// Tells the thread that reads the parent that it may go on.
    resumed: Condvar,
    /// The moment that the node's clock counts from.
    origin: Instant,
    /// Where tasks run; a child's is made on first use.
    runtime: OnceLock<runtime::Handle>,
    /// Tells that what carried a link has ended.
    transport_closed: Notify,
    timer: LazyTask,
    flusher: LazyTask,
    /// Runs calls and makes children.
    upcalls: Box<dyn Upcalls>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Held by the task that waits for them.
    closing: tokio::sync::Mutex<()>,
    /// Tasks that a shutdown ends.
    background: Mutex<Vec<JoinHandle<()>>>,
    /// The most verbose level that logs of the tree are wanted at.
    pub log_level: u8,
    debug_log: OnceLock<DebugLog>,
    /// How often functions ran here, and how long, if that is wanted.
    pub profile: OnceLock<Profile>,
}

/// A task that is started when it is first woken.
#[derive(Default)]
struct LazyTask {
    started: OnceLock<()>,
    wake: Arc<Notify>,
}

/// What the lock protects.
pub struct State {
    /// Routes, handles, calls and streams of this context.
    pub node: Node,
    outputs: HashMap<LinkId, Output>,
    /// What takes the messages of each handle.
    subscribers: HashMap<Handle, Subscriber>,
    streams: HashMap<(ContextId, Handle), StreamRefs>,
    /// The tasks that wait for ids of contexts.
    pub ids: Ids,
    /// Wakes the tasks that wait for images that an ancestor has named.
    pub image_came: Arc<Notify>,
    /// Children whose links are carried by something that has not ended yet.
    live_transports: HashSet<ContextId>,
    /// What is known of the contexts below.
    known: HashMap<ContextId, ContextInfo>,
    /// Names of those that are gone, for errors that are read later; the oldest go first.
    departed: VecDeque<(ContextId, Arc<str>)>,
    /// The deadline that the timer sleeps for.
    armed: Option<offshoot_proto::Instant>,
    /// Changes whose bytes were not written yet.
    deferred: usize,
    ended: bool,
    /// Whether the context goes on without its parent, until what runs here has ended.
    detached: bool,
}

/// The controller's answers to requests for ids of contexts.
#[derive(Default)]
pub struct Ids {
    /// How many there were.
    pub answers: u64,
    /// The last one that was a refusal, by its number, and why.
    pub refused: Option<(u64, String)>,
    /// Tasks that wait for an answer.
    pub waiting: Vec<Waker>,
}

/// Why nothing comes any more.
pub const SHUT_DOWN: &str = "the router was shut down";

impl State {
    /// Whether this context ends: nobody may begin to wait for anything.
    pub fn is_ended(&self) -> bool {
        self.ended
    }
}

impl Ids {
    /// Wakes the tasks that wait, which try again.
    fn answered(&mut self, refusal: Option<String>) {
        self.answers += 1;
        if let Some(reason) = refusal {
            self.refused = Some((self.answers, reason));
        }
        for waiting in self.waiting.drain(..) {
            waiting.wake();
        }
    }
}

/// Changes that are batched before they are written: the peer should have something to do while
/// more come.
const DEFERRED_MAX: usize = 256;

thread_local! {
    /// The driver whose events this thread processes, and for which it will write what is left to
    /// write; 0 for none.
    static IN_DRIVER: Cell<u64> = const { Cell::new(0) };
}

/// What takes the messages of a handle.
#[derive(Clone)]
enum Subscriber {
    /// A queue that tasks take them from.
    Inbox(Arc<Inbox>),
    /// A function, which is called at once.
    Handler(Arc<dyn MessageHandler>),
}

impl Driver {
    /// A driver without links. Its tasks run in `runtime`, or in a thread of their own.
    pub fn new(
        node: Node,
        log_level: u8,
        runtime: Option<runtime::Handle>,
        upcalls: Box<dyn Upcalls>,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new_cyclic(|weak: &Weak<Self>| Self {
            weak: weak.clone(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                node,
                outputs: HashMap::default(),
                subscribers: HashMap::default(),
                streams: HashMap::default(),
                ids: Ids::default(),
                image_came: Arc::default(),
                live_transports: HashSet::default(),
                known: HashMap::default(),
                departed: VecDeque::new(),
                armed: None,
                deferred: 0,
                ended: false,
                detached: false,
            }),
            resumed: Condvar::new(),
            origin: Instant::now(),
            runtime: runtime.map_or_else(OnceLock::new, OnceLock::from),
            transport_closed: Notify::new(),
            timer: LazyTask::default(),
            flusher: LazyTask::default(),
            upcalls,
            tasks: Mutex::default(),
            closing: tokio::sync::Mutex::default(),
            background: Mutex::default(),
            log_level,
            debug_log: OnceLock::new(),
            profile: OnceLock::new(),
        })
    }

    /// A reference that does not keep the driver alive.
    pub fn weak(&self) -> Weak<Self> {
        self.weak.clone()
    }

    /// The present on the node's clock.
    pub fn now(&self) -> offshoot_proto::Instant {
        let micros = self.origin.elapsed().as_micros();
        offshoot_proto::Instant(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The moment of the node's clock on the system's.
    pub fn system_time(&self, at: offshoot_proto::Instant) -> Instant {
        self.origin + Duration::from_micros(at.0)
    }

    /// Locks the state. Nothing may wait, and no plugin or handler may run, while it is held.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock_again(self.state.lock())
    }

    /// Changes the node, then acts on what came of it and writes what it wants to send.
    pub fn drive<R>(&self, change: impl FnOnce(&mut State, offshoot_proto::Instant) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = change(&mut state, now);
        if !self.is_in_driver() {
            self.process_events(state);
        }
        result
    }

    /// Whether this thread acts on this driver's events, so that it must not wait for any.
    pub fn is_in_driver(&self) -> bool {
        IN_DRIVER.get() == self.id
    }

    /// Whether this thread acts on the events of any driver.
    pub fn is_in_any_driver() -> bool {
        IN_DRIVER.get() != 0
    }

    /// Changes the node like [`drive`](Self::drive), but writes later: when a task
    /// waits for an answer, or the runtime polls the flusher.
    pub fn drive_lazily<R>(
        &self,
        change: impl FnOnce(&mut State, offshoot_proto::Instant) -> R,
    ) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = change(&mut state, now);
        if self.is_in_driver() {
            return result;
        }
        state.deferred += 1;
        // What came of it for this context itself, such as a message to oneself, must not wait.
        let due = state.node.has_events();
        if due || state.deferred >= DEFERRED_MAX || self.runtime.get().is_none() {
            self.process_events(state);
            return result;
        }
        self.rearm(&mut state);
        drop(state);
        self.wake(&self.flusher, tasks::flusher);
        result
    }

    /// Writes what was deferred.
    pub fn flush(&self) {
        self.drive(|_, _| ());
    }

    /// Where the messages of a handle, on which the node listens, wait.
    pub fn open_inbox(state: &mut State, handle: Handle) -> Arc<Inbox> {
        let inbox = Inbox::new();
        state
            .subscribers
            .insert(handle, Subscriber::Inbox(inbox.clone()));
        inbox
    }

    /// Has a function take the messages of a handle, on which the node listens.
    pub fn open_handler(state: &mut State, handle: Handle, handler: Arc<dyn MessageHandler>) {
        state
            .subscribers
            .insert(handle, Subscriber::Handler(handler));
    }

    /// Stops to listen on a handle; a call behind it is cancelled. Says whether there was one.
    pub fn unsubscribe(&self, handle: Handle) -> bool {
        let (subscriber, was_there) = self.drive(|state, _| {
            (
                state.subscribers.remove(&handle),
                state.node.unsubscribe(handle),
            )
        });
        // A handler may own anything, and what is dropped may call back.
        drop(subscriber);
        was_there
    }

    /// Removes the subscriber of a handle, and ends the waits for its messages. Says whether there
    /// was one.
    pub fn remove_subscriber(&self, handle: Handle) -> bool {
        let subscriber = self.drive(|state, _| {
            let subscriber = state.subscribers.remove(&handle)?;
            state.node.unsubscribe(handle);
            Some(subscriber)
        });
        if let Some(Subscriber::Inbox(inbox)) = &subscriber {
            drop(inbox.close("its handle was taken back"));
        }
        subscriber.is_some()
    }

    /// Spawns a task that a shutdown waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock_again(self.tasks.lock());
        tasks.retain(|task| !task.is_finished());
        tasks.push(self.runtime().spawn(task));
    }

    /// Spawns a task that a shutdown ends. Where that has begun, the task ends at once. It takes the
    /// lock, so the caller must not hold it.
    pub fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let task = self.runtime().spawn(task);
        let handle = task.abort_handle();
        let mut background = lock_again(self.background.lock());
        background.retain(|task| !task.is_finished());
        background.push(task);
        drop(background);
        // A shutdown says so before it takes the tasks that there are.
        if self.is_ended() {
            handle.abort();
        }
        handle
    }

    /// Runs a future of whatever task as one that belongs to the driver's runtime: it may watch
    /// descriptors and the time.
    pub async fn inside<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| {
            let _inside = self.runtime().enter();
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Whether any context is up.
    pub fn has_links(&self) -> bool {
        !self.lock().outputs.is_empty()
    }

    /// Cuts the link to a direct child, and what is behind it; says whether there was one.
    pub fn disconnect(&self, id: ContextId) -> bool {
        self.drive(|state, now| {
            let link = state.node.link_to(id);
            let Some(link) = link.filter(|&link| state.node.peer_of(link) == Some(id)) else {
                return false;
            };
            state.outputs.remove(&link);
            state
                .node
                .handle_closed(link, "it was disconnected on purpose", now);
            true
        })
    }

    /// Sends a log record of this process to the controller.
    pub fn log(&self, level: u8, target: &str, text: &str) {
        if let Some(log) = self.debug_log.get() {
            log.write(target, text);
        }
        if level > self.log_level {
            return;
        }
        let record = LogRecord {
            level,
            target: target.to_owned(),
            text: text.to_owned(),
        };
        self.drive_lazily(|state, now| state.node.log(&record, now));
    }

    /// When a plugin may log its next record, if not now.
    pub fn log_room_at(&self) -> Option<Instant> {
        let state = self.lock();
        let now = self.now();
        let room_at = state.node.log_room_at(now)?;
        Some(Instant::now() + room_at.since(now))
    }

    /// Closes every link and waits until the children behind them are gone.
    pub async fn close(&self) {
        self.drive(|state, _| {
            // In one step: nobody may begin to wait once nobody is left to wake them.
            state.ended = true;
            state.node.close_handles(SHUT_DOWN);
            state.node.note_all_dropped_logs();
        });
        let outputs = std::mem::take(&mut self.lock().outputs);
        drop(outputs);
        self.timer.wake.notify_one();
        self.flusher.wake.notify_one();
        let background = std::mem::take(&mut *lock_again(self.background.lock()));
        for task in &background {
            task.abort();
        }
        lock_again(self.tasks.lock()).extend(background);
        // Several tasks may call this, and the first of them may be dropped.
        let _closing = self.closing.lock().await;
        poll_fn(|cx| {
            let mut tasks = lock_again(self.tasks.lock());
            // A task that panicked has nothing left to wait for either.
            tasks.retain_mut(|task| Pin::new(task).poll(cx).is_pending());
            match tasks.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// The same from a child's main thread, before it ends: what it started ends with it, even
    /// what does not hear that its input has ended.
    pub fn close_before_exit(&self) {
        if let Some(runtime) = self.runtime.get() {
            runtime.block_on(self.close());
        }
    }

    /// Whether the context goes on without its parent, because a call that was made before still
    /// runs.
    pub fn goes_on_alone(&self) -> bool {
        let state = self.lock();
        // One that still waits now waits for an image that will not come.
        let (_, running) = state.node.calls();
        state.detached && running > 0
    }

    /// Whether the context has begun to end.
    pub fn is_ended(&self) -> bool {
        self.lock().ended
    }

    fn wake<F: Future<Output = ()> + Send + 'static>(
        &self,
        task: &LazyTask,
        start: impl FnOnce(Weak<Self>, Arc<Notify>) -> F,
    ) {
        task.started
            .get_or_init(|| self.spawn(start(self.weak(), task.wake.clone())));
        task.wake.notify_one();
    }

    /// Where tasks run.
    pub fn runtime(&self) -> &runtime::Handle {
        self.runtime.get_or_init(|| {
            let built = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = built.expect("a process that started can have an event queue");
            let handle = runtime.handle().clone();
            let thread = std::thread::Builder::new().name("offshoot-links".to_owned());
            thread
                .spawn(move || runtime.block_on(std::future::pending::<()>()))
                .expect("a process that started can have a thread");
            handle
        })
    }
}

impl Drop for Driver {
    /// Lets the tasks see that the driver is gone.
    fn drop(&mut self) {
        for task in std::mem::take(&mut *lock_again(self.background.lock())) {
            task.abort();
        }
        self.timer.wake.notify_one();
        self.flusher.wake.notify_one();
    }
}

/// Takes what a lock protects, also after a panic elsewhere: it is changed by code that does not
/// panic half-way.
fn lock_again<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
