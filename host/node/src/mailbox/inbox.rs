//! The queue of messages of one handle, and the tasks that wait for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use offshoot_proto::{Body, ContextId, Handle, Receipt};

use super::waiters::{WakerSet, WakerSlot};
use crate::sync::{Mutex, MutexGuard};

/// A message that waits, or the end of the wait.
#[derive(Debug)]
pub struct QueuedMessage {
    /// Who sent it.
    pub src: ContextId,
    /// Where an answer goes.
    pub reply_to: Handle,
    /// What it carries.
    pub content: Content,
    /// For the node, once the message was taken.
    pub receipt: Receipt,
}

impl QueuedMessage {
    /// Why nothing comes after this one, which is the last.
    pub fn reason_of_end(&self) -> Arc<str> {
        match &self.content {
            Content::Body(Body::Dead(dead)) => dead.reason.as_str().into(),
            Content::Body(Body::Data(_)) => TAKEN.with(Arc::clone),
            Content::Expired => "nothing came in time".into(),
        }
    }
}

thread_local! {
    /// Most inboxes end like this, one for each call.
    static TAKEN: Arc<str> = "its only message was taken already".into();
}

/// What a message carries.
#[derive(Debug)]
pub enum Content {
    /// Bytes, or the reason why there are none.
    Body(Body),
    /// Nothing came in time.
    Expired,
}

/// What comes out of an inbox.
#[derive(Debug)]
pub enum Received {
    /// A message.
    QueuedMessage(QueuedMessage),
    /// Nothing is here, and nothing will come, for this reason.
    Over(Arc<str>),
}

/// An observer of a queue, called in the thread that a message arrives in, and under no lock: it may
/// do anything but wait.
pub trait Notify: Send + Sync {
    /// A message has arrived, or the queue has ended.
    fn notify(&self);

    /// The queue has become empty for good without a message, as a select does that has lost its
    /// last source.
    fn emptied(&self) {}
}

/// A function of the program that takes the messages of a handle.
pub trait MessageHandler: Send + Sync {
    /// Queues a message. Called under the driver's lock, so that messages stay in order.
    fn queue(&self, mail: QueuedMessage);

    /// Handles what is queued, unless another thread is about it. Called under no lock.
    fn run(&self);
}

/// Someone else is told of the inbox's messages already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned;

/// What there is to be told of already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// So many messages wait.
    Waiting(usize),
    /// None waits, and none will come.
    Over,
}

impl Watched {
    /// How often there is something to be told.
    pub fn count(self) -> usize {
        match self {
            Self::Waiting(messages) => messages,
            Self::Over => 1,
        }
    }
}

/// The messages of one handle. Any number of tasks and threads may take from it; each message
/// goes to one of them.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The only message there is in most inboxes: those of calls.
    first: Option<QueuedMessage>,
    more: VecDeque<QueuedMessage>,
    /// All are woken for each message: one that is woken may have lost interest.
    readers: WakerSet,
    notify: Option<Arc<dyn Notify>>,
    over: Option<Arc<str>>,
    /// Whether what waits is void.
    closed: bool,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts a message in and wakes the readers. `last` is why no other will come, if none will.
    ///
    /// Gives who is to be told of it, once the caller holds no lock.
    #[must_use = "someone waits to be told"]
    pub fn put(&self, mail: QueuedMessage, last: Option<Arc<str>>) -> Option<Arc<dyn Notify>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        if last.is_some() {
            state.over = last;
        }
        if state.first.is_none() && state.more.is_empty() {
            state.first = Some(mail);
        } else {
            state.more.push_back(mail);
        }
        wake(state)
    }

    /// Ends the inbox, gives the messages in it and wakes all tasks that wait.
    pub fn close(&self, reason: &str) -> Vec<QueuedMessage> {
        let mut state = self.lock();
        if state.closed {
            return Vec::new();
        }
        state.closed = true;
        state.over = Some(reason.into());
        let mut void: Vec<QueuedMessage> = state.first.take().into_iter().collect();
        void.extend(state.more.drain(..));
        if let Some(notify) = wake(state) {
            notify.notify();
        }
        void
    }

    /// Takes the next message, or registers the waker: a task that waits no more must call
    /// [`remove_waker`](Self::remove_waker).
    pub fn poll_take(&self, cx: &Context<'_>, slot: &mut WakerSlot) -> Poll<Received> {
        let mut state = self.lock();
        if let Some(taken) = state.take() {
            return Poll::Ready(taken);
        }
        state.readers.wait(slot, cx.waker());
        Poll::Pending
    }

    /// Removes the waker of a task that waits no more.
    pub fn remove_waker(&self, slot: WakerSlot) {
        self.lock().readers.remove(slot);
    }

    /// Takes the next message, if there is one now or nothing will come.
    pub fn try_take(&self) -> Option<Received> {
        self.lock().take()
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        let state = self.lock();
        usize::from(state.first.is_some()) + state.more.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing will come any more; something may still wait.
    pub fn is_over(&self) -> bool {
        self.lock().over.is_some()
    }

    /// Whether it was closed on this side.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Tells `notify` of each message from now on; gives how many wait already. Both in one step,
    /// so that none is told twice or not at all.
    pub fn watch(&self, notify: Arc<dyn Notify>) -> Result<Watched, Owned> {
        let mut state = self.lock();
        if state.notify.is_some() {
            return Err(Owned);
        }
        state.notify = Some(notify);
        let waiting = usize::from(state.first.is_some()) + state.more.len();
        Ok(match &state.over {
            Some(_) if waiting == 0 => Watched::Over,
            _ => Watched::Waiting(waiting),
        })
    }

    /// Removes the notifier.
    pub fn unwatch(&self) {
        let notify = self.lock().notify.take();
        // It may own anything, and what is dropped may call back.
        drop(notify);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn take(&mut self) -> Option<Received> {
        if let Some(mail) = self.first.take().or_else(|| self.more.pop_front()) {
            return Some(Received::QueuedMessage(mail));
        }
        self.over.clone().map(Received::Over)
    }
}

/// Wakes the readers; gives who is to be told.
fn wake(mut state: MutexGuard<'_, State>) -> Option<Arc<dyn Notify>> {
    let readers = state.readers.take();
    let notify = state.notify.clone();
    drop(state);
    readers.wake();
    notify
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(number: u64) -> QueuedMessage {
        QueuedMessage {
            src: ContextId(1),
            reply_to: Handle(number),
            content: Content::Expired,
            receipt: Receipt::default(),
        }
    }

    fn take(inbox: &Inbox) -> Option<u64> {
        match inbox.try_take()? {
            Received::QueuedMessage(mail) => Some(mail.reply_to.0),
            Received::Over(_) => None,
        }
    }

    #[test]
    fn messages_come_out_in_order_and_the_end_comes_last() {
        let inbox = Inbox::new();
        let put = |number, last: Option<Arc<str>>| drop(inbox.put(mail(number), last));
        put(1, None);
        put(2, None);
        assert_eq!(take(&inbox), Some(1));
        put(3, Some("gone".into()));
        assert_eq!((take(&inbox), take(&inbox)), (Some(2), Some(3)));
        assert!(matches!(inbox.try_take(), Some(Received::Over(reason)) if &*reason == "gone"));
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_no_waker() {
        let inbox = Inbox::new();
        let cx = Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            let mut slot = WakerSlot::default();
            assert!(inbox.poll_take(&cx, &mut slot).is_pending());
            assert_eq!(inbox.lock().readers.len(), 1);
            inbox.remove_waker(slot);
        }
        assert_eq!(inbox.lock().readers.len(), 0);
    }

    #[test]
    fn s124_closing_voids_what_waits() {
        let inbox = Inbox::new();
        drop(inbox.put(mail(1), None));
        assert_eq!(inbox.close("closed").len(), 1);
        drop(inbox.put(mail(2), None));
        assert!(matches!(inbox.try_take(), Some(Received::Over(_))));
    }
}
