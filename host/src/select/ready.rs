//! The sources of a select that have a value, in the order of its arrival.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use crate::sync::{Mutex, MutexGuard};
use offshoot_node::mailbox::{Notify, Owned, WakeList, WakerSet, WakerSlot};

/// Numbers the memberships of sources: a source that is removed and added again has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(pub(super) u64);

/// The queue of sources that have a value, its consumers, and its observer.
pub(super) struct Ready<S> {
    state: Mutex<State<S>>,
}

struct State<S> {
    queue: VecDeque<(S, Ticket)>,
    readers: WakerSet,
    /// The select that this one is in.
    notify: Option<Arc<dyn Notify>>,
    /// Number of times that the select was closed.
    epoch: u64,
    /// Number of changes that a consumer has to look at.
    changes: u64,
}

impl<S> Ready<S> {
    /// A source has a value.
    pub(super) fn push(&self, source: S, ticket: Ticket) {
        let mut state = self.lock();
        state.queue.push_back((source, ticket));
        let (readers, notify) = state.change();
        drop(state);
        readers.wake();
        if let Some(notify) = notify {
            notify.notify();
        }
    }

    /// The source whose value arrived first.
    pub(super) fn pop(&self) -> Option<(S, Ticket)> {
        self.lock().queue.pop_front()
    }

    /// Number of values in the queue.
    pub(super) fn len(&self) -> usize {
        self.lock().queue.len()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// The select was closed: drops the queue, and wakes every consumer.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        // Dropping a source may call back, so the lock is free here.
        drop(queue);
        self.emptied();
    }

    /// The select has no source any more: wakes every consumer, and reports it to the select that
    /// this one is in.
    pub(super) fn emptied(&self) {
        let (readers, notify) = self.lock().change();
        readers.wake();
        if let Some(notify) = notify {
            notify.emptied();
        }
    }

    /// Removes some sources from the queue.
    pub(super) fn forget(&self, gone: impl Fn(&S, Ticket) -> bool) {
        let mut state = self.lock();
        if state.queue.is_empty() {
            return;
        }
        let (gone, kept) = std::mem::take(&mut state.queue)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(source, told)| gone(source, *told));
        state.queue = kept;
        drop(state);
        drop(gone);
    }

    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Waits until something has happened since `changes` was counted.
    pub(super) fn changed_since(&self, changes: u64) -> Changed<'_, S> {
        Changed {
            ready: self,
            changes,
            slot: WakerSlot::default(),
        }
    }

    /// Notifies `notify` of each value from now on; returns how many there are already.
    pub(super) fn watch(&self, notify: Arc<dyn Notify>) -> Result<usize, Owned> {
        let mut state = self.lock();
        if state.notify.is_some() {
            return Err(Owned);
        }
        state.notify = Some(notify);
        Ok(state.queue.len())
    }

    /// Removes the observer.
    pub(super) fn unwatch(&self) {
        let notify = self.lock().notify.take();
        // It may own anything, and what is dropped may call back.
        drop(notify);
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<S: Clone + Send + Sync + 'static> Ready<S> {
    /// The observer of a source.
    pub(super) fn notifier(self: &Arc<Self>, source: S, ticket: Ticket) -> Arc<dyn Notify> {
        Arc::new(Notifier {
            ready: Arc::downgrade(self),
            source,
            ticket,
        })
    }
}

impl<S> Default for Ready<S> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                readers: WakerSet::default(),
                notify: None,
                epoch: 0,
                changes: 0,
            }),
        }
    }
}

struct Notifier<S> {
    ready: Weak<Ready<S>>,
    source: S,
    ticket: Ticket,
}

impl<S: Clone + Send + Sync> Notify for Notifier<S> {
    fn notify(&self) {
        if let Some(ready) = self.ready.upgrade() {
            ready.push(self.source.clone(), self.ticket);
        }
    }

    /// The source can give nothing any more, which the select finds when it looks at it.
    fn emptied(&self) {
        self.notify();
    }
}

/// The wait for a change.
pub(super) struct Changed<'a, S> {
    ready: &'a Ready<S>,
    changes: u64,
    slot: WakerSlot,
}

impl<S> Future for Changed<'_, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            ready,
            changes,
            slot,
        } = &mut *self;
        let mut state = ready.lock();
        if state.changes != *changes {
            return Poll::Ready(());
        }
        state.readers.wait(slot, cx.waker());
        Poll::Pending
    }
}

impl<S> Drop for Changed<'_, S> {
    fn drop(&mut self) {
        if self.slot.is_taken() {
            self.ready.lock().readers.remove(self.slot);
        }
    }
}

impl<S> State<S> {
    /// Counts a change; gives those to be woken and told of it, once the lock is free.
    fn change(&mut self) -> (WakeList, Option<Arc<dyn Notify>>) {
        self.changes += 1;
        (self.readers.take(), self.notify.clone())
    }
}
