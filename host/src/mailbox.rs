//! Where an answer waits for whoever reads it.

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

/// Holds the one message of a handle that answers once, for its one reader.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mail: Option<Mail>,
    reader: Option<Waker>,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts the mail in and wakes the reader.
    pub(crate) fn put(&self, mail: Mail) {
        let reader = {
            let mut state = self.lock();
            state.mail = Some(mail);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes the mail out, or leaves word to be woken.
    #[cfg_attr(
        not(feature = "controller"),
        expect(dead_code, reason = "only a program that waits for answers needs it")
    )]
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Mail> {
        let mut state = self.lock();
        if let Some(mail) = state.mail.take() {
            return Poll::Ready(mail);
        }
        match &mut state.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            reader => *reader = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
