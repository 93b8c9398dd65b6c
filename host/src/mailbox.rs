//! Where the messages for one handle wait for whoever reads them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use offshoot_proto::Body;

/// What comes out of a mailbox.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A message.
    #[cfg_attr(
        not(feature = "controller"),
        expect(dead_code, reason = "only a program that waits for answers needs it")
    )]
    Message(Body),
    /// Nothing came in time.
    Expired,
}

/// A queue between the router and its readers.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Mail>,
    readers: Vec<Waker>,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts mail in and wakes a reader.
    pub(crate) fn put(&self, mail: Mail) {
        let reader = {
            let mut state = self.lock();
            state.queue.push_back(mail);
            state.readers.pop()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes mail out, or leaves word to be woken.
    #[cfg_attr(
        not(feature = "controller"),
        expect(dead_code, reason = "only a program that waits for answers needs it")
    )]
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Mail> {
        let mut state = self.lock();
        if let Some(mail) = state.queue.pop_front() {
            return Poll::Ready(mail);
        }
        if !state
            .readers
            .iter()
            .any(|reader| reader.will_wake(cx.waker()))
        {
            state.readers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
