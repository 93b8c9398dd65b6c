//! A queue between the threads and tasks of one process.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime;

use crate::blocking;
use crate::error::{Error, LatchError};
use crate::sync::{Mutex, MutexGuard};
use offshoot_node::mailbox::{Notify, Owned, WakerSet, WakerSlot, Watched};

/// A queue that any thread or task can put into and take from, and that a
/// [`Select`](crate::Select) can wait for beside receivers.
///
/// It needs no router. Cheap to clone; all clones are one queue, and each value goes to one
/// consumer.
///
/// ```
/// # fn main() -> Result<(), offshoot::Error> {
/// use offshoot::Latch;
///
/// let latch = Latch::new();
/// let theirs = latch.clone();
/// let thread = std::thread::spawn(move || theirs.get_blocking());
/// latch.put("done")?;
/// assert_eq!(thread.join().unwrap()?, "done");
/// latch.close();
/// assert!(latch.put("more").is_err());
/// # Ok(())
/// # }
/// ```
pub struct Latch<T> {
    shared: Arc<Mutex<State<T>>>,
}

struct State<T> {
    values: VecDeque<T>,
    closed: bool,
    waiters: WakerSet,
    notify: Option<Arc<dyn Notify>>,
}

impl<T> Latch<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                values: VecDeque::new(),
                closed: false,
                waiters: WakerSet::default(),
                notify: None,
            })),
        }
    }

    /// Puts a value in.
    ///
    /// # Errors
    ///
    /// [`Error::Latch`] when it was closed.
    pub fn put(&self, value: T) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(LatchError.into());
        }
        state.values.push_back(value);
        wake(state);
        Ok(())
    }

    /// Waits for the next value.
    ///
    /// # Errors
    ///
    /// [`Error::Latch`] when it was closed, whatever is left in it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no value.
    pub async fn get(&self) -> Result<T, Error> {
        tokio::task::coop::consume_budget().await;
        let next = Next {
            latch: self,
            slot: WakerSlot::default(),
        };
        next.await
    }

    /// As [`get`](Self::get), with a timeout. With a timeout of zero it does not wait.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Error::Timeout`].
    ///
    /// # Panics
    ///
    /// Panics when it has to wait outside of any tokio runtime, and there is no
    /// [`Broker`](crate::Broker) either. [`get_blocking_timeout`](Self::get_blocking_timeout) needs none.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    pub async fn get_timeout(&self, timeout: Duration) -> Result<T, Error> {
        let value = match self.try_get() {
            Some(value) => Some(value),
            None if timeout.is_zero() => {
                // A loop that polls must yield to the tasks that put values in.
                tokio::task::coop::consume_budget().await;
                None
            }
            None => {
                let runtime = match runtime::Handle::try_current() {
                    Ok(_) => None,
                    Err(_) => blocking::latest_runtime(),
                };
                blocking::timeout(runtime.as_ref(), timeout, self.get()).await
            }
        };
        value.unwrap_or_else(|| Err(timed_out(timeout)))
    }

    /// The next value, or the error of a closed latch; `None` if neither is there now.
    pub fn try_get(&self) -> Option<Result<T, Error>> {
        self.lock().take()
    }

    /// The next value, from a thread that is not a runtime's.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Error::Usage`] in a thread that must not wait.
    pub fn get_blocking(&self) -> Result<T, Error> {
        blocking::wait(None, self.get())?
    }

    /// The next value within so long, from a thread that is not a runtime's.
    ///
    /// # Errors
    ///
    /// As [`get_blocking`](Self::get_blocking), and [`Error::Timeout`].
    pub fn get_blocking_timeout(&self, timeout: Duration) -> Result<T, Error> {
        if let Some(value) = self.try_get() {
            return value;
        }
        let value = blocking::wait_until(None, self.get(), timeout)?;
        value.unwrap_or_else(|| Err(timed_out(timeout)))
    }

    /// Whether no value waits. The answer may be out of date when it is returned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of values that wait.
    pub fn len(&self) -> usize {
        self.lock().values.len()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Closes the latch: every [`get`](Self::get), now and later, is [`Error::Latch`], also when values
    /// are left. Closing again changes nothing.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.closed = true;
        let values = std::mem::take(&mut state.values);
        wake(state);
        // What is dropped may call back.
        drop(values);
    }

    pub(crate) fn watch(&self, notify: Arc<dyn Notify>) -> Result<Watched, Owned> {
        let mut state = self.lock();
        if state.notify.is_some() {
            return Err(Owned);
        }
        state.notify = Some(notify);
        Ok(match state.closed {
            true => Watched::Over,
            false => Watched::Waiting(state.values.len()),
        })
    }

    pub(crate) fn unwatch(&self) {
        let notify = self.lock().notify.take();
        // It may own anything, and what is dropped may call back.
        drop(notify);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.shared
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, Error>> {
        match self.closed {
            true => Some(Err(LatchError.into())),
            false => self.values.pop_front().map(Ok),
        }
    }
}

/// Wakes every consumer, since the future of one that is woken may be dropped before it looks.
fn wake<T>(mut state: MutexGuard<'_, State<T>>) {
    let waiters = state.waiters.take();
    let notify = state.notify.clone();
    drop(state);
    waiters.wake();
    if let Some(notify) = notify {
        notify.notify();
    }
}

fn timed_out(after: Duration) -> Error {
    Error::Timeout {
        what: "a latch".to_owned(),
        after,
    }
}

/// The wait for a value.
struct Next<'a, T> {
    latch: &'a Latch<T>,
    slot: WakerSlot,
}

impl<T> Future for Next<'_, T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { latch, slot } = &mut *self;
        let mut state = latch.lock();
        if let Some(value) = state.take() {
            return Poll::Ready(value);
        }
        state.waiters.wait(slot, cx.waker());
        Poll::Pending
    }
}

impl<T> Drop for Next<'_, T> {
    fn drop(&mut self) {
        if self.slot.is_taken() {
            self.latch.lock().waiters.remove(self.slot);
        }
    }
}

impl<T> Default for Latch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Latch<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> PartialEq for Latch<T> {
    /// Whether both are the same queue.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Eq for Latch<T> {}

impl<T> fmt::Debug for Latch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Latch")
            .field("values", &state.values.len())
            .field("closed", &state.closed)
            .finish()
    }
}
