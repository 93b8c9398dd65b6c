//! A handle that is listened on.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use offshoot_proto::LinkId;
use offshoot_proto::{ContextId, Handle};

use super::{Driver, State};
use crate::identity;
use crate::mailbox::{Inbox, Received, WakerSlot};

/// A handle that is listened on. Dropping it ends that, and cancels the call behind it.
pub struct Subscription {
    driver: Weak<Driver>,
    handle: Handle,
    inbox: Arc<Inbox>,
    /// Where messages come from, if they come from one context only.
    link: Option<LinkId>,
}

/// How often to let others run before this thread goes to sleep for an answer.
const YIELDS: usize = 3;

impl Subscription {
    /// Takes what comes to `handle`, on which the node listens. `from` is its respondent.
    pub fn new(
        driver: &Driver,
        state: &mut State,
        from: Option<ContextId>,
        handle: Handle,
    ) -> Self {
        Self {
            // A child answers many; only a program that waits for one answer spins for it.
            link: from
                .filter(|_| !identity::is_child())
                .and_then(|from| state.node.link_to(from)),
            driver: driver.weak(),
            handle,
            inbox: Driver::open_inbox(state, handle),
        }
    }

    /// Its handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Where its messages wait.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The driver, if it is still there.
    pub fn driver(&self) -> Option<Arc<Driver>> {
        self.driver.upgrade()
    }

    /// The next message.
    ///
    /// Cancel-safe: dropping the future loses nothing.
    pub async fn take(&self) -> Received {
        // An answer that is always there must not keep the other tasks of the thread waiting.
        tokio::task::coop::consume_budget().await;
        let taken = Take {
            subscription: self,
            asked: false,
            slot: WakerSlot::default(),
        };
        self.acknowledge(taken.await)
    }

    /// The next message, if there is one now or nothing will come.
    pub fn try_take(&self) -> Option<Received> {
        let taken = self.inbox.try_take()?;
        Some(self.acknowledge(taken))
    }

    /// Listens no more: what waits is void, and everyone who waits learns `reason`.
    pub fn close(&self, reason: &str) {
        // The node tells the senders.
        drop(self.inbox.close(reason));
        if let Some(driver) = self.driver.upgrade() {
            driver.unsubscribe(self.handle);
        }
    }

    /// Lets the sender send more.
    fn acknowledge(&self, taken: Received) -> Received {
        if let Received::QueuedMessage(mail) = &taken
            && mail.receipt.is_due()
            && let Some(driver) = self.driver.upgrade()
        {
            let receipt = mail.receipt;
            driver.drive_lazily(|state, _| state.node.taken(receipt));
        }
        taken
    }

    /// Writes what was deferred, since the answer may depend on it, and spins for a moment: the
    /// answer to a small call comes sooner than this thread could go to sleep and be woken.
    fn flush_and_spin(&self, cx: &Context<'_>, slot: &mut WakerSlot) -> Poll<Received> {
        let Some(driver) = self.driver.upgrade() else {
            return Poll::Pending;
        };
        driver.flush();
        if let Some(link) = self.link {
            for _ in 0..YIELDS {
                // The other end has to run before there can be anything.
                rustix::thread::sched_yield();
                driver.read_ahead(link);
                if let Poll::Ready(taken) = self.inbox.poll_take(cx, slot) {
                    return Poll::Ready(taken);
                }
            }
        }
        self.inbox.poll_take(cx, slot)
    }
}

/// The wait for the next message.
struct Take<'a> {
    subscription: &'a Subscription,
    asked: bool,
    slot: WakerSlot,
}

impl Future for Take<'_> {
    type Output = Received;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Received> {
        let Self {
            subscription,
            asked,
            slot,
        } = &mut *self;
        let mut taken = subscription.inbox.poll_take(cx, slot);
        if taken.is_pending() && !*asked {
            *asked = true;
            taken = subscription.flush_and_spin(cx, slot);
        }
        if taken.is_ready() && slot.is_taken() {
            // So that dropping this does not look again.
            subscription.inbox.remove_waker(std::mem::take(slot));
        }
        taken
    }
}

impl Drop for Take<'_> {
    fn drop(&mut self) {
        if self.slot.is_taken() {
            self.subscription.inbox.remove_waker(self.slot);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // What ended may still hold messages, which count until they are taken or void.
        if (!self.inbox.is_over() || !self.inbox.is_empty())
            && let Some(driver) = self.driver.upgrade()
        {
            driver.unsubscribe(self.handle);
        }
    }
}
