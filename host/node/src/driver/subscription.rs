//! A handle that is listened on.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use offshoot_proto::LinkId;
use offshoot_proto::{ContextId, Handle};

use super::{Hub, State};
use crate::identity;
use crate::mailbox::{Inbox, Place, Taken};

/// A handle that is listened on. Dropping it ends that, and cancels the call behind it.
pub struct Listening {
    hub: Weak<Hub>,
    handle: Handle,
    inbox: Arc<Inbox>,
    /// Where messages come from, if they come from one context only.
    link: Option<LinkId>,
}

/// How often to let others run before this thread goes to sleep for an answer.
const YIELDS: usize = 3;

impl Listening {
    /// Takes what comes to `handle`, on which the node listens. `from` is its respondent.
    pub fn new(hub: &Hub, state: &mut State, from: Option<ContextId>, handle: Handle) -> Self {
        Self {
            // A child answers many; only a program that waits for one answer spins for it.
            link: from
                .filter(|_| !identity::is_child())
                .and_then(|from| state.node.link_to(from)),
            hub: hub.weak(),
            handle,
            inbox: Hub::open_inbox(state, handle),
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
    pub fn hub(&self) -> Option<Arc<Hub>> {
        self.hub.upgrade()
    }

    /// The next message.
    ///
    /// Cancel-safe: dropping the future loses nothing.
    pub async fn take(&self) -> Taken {
        // An answer that is always there must not keep the other tasks of the thread waiting.
        tokio::task::coop::consume_budget().await;
        let taken = Take {
            listening: self,
            asked: false,
            place: Place::default(),
        };
        self.acknowledge(taken.await)
    }

    /// The next message, if there is one now or nothing will come.
    pub fn try_take(&self) -> Option<Taken> {
        let taken = self.inbox.try_take()?;
        Some(self.acknowledge(taken))
    }

    /// Listens no more: what waits is void, and everyone who waits learns `reason`.
    pub fn close(&self, reason: &str) {
        // Whoever sent it learns that from the node.
        drop(self.inbox.close(reason));
        if let Some(hub) = self.hub.upgrade() {
            hub.forget(self.handle);
        }
    }

    /// Lets the sender send more.
    fn acknowledge(&self, taken: Taken) -> Taken {
        if let Taken::Mail(mail) = &taken
            && mail.receipt.is_due()
            && let Some(hub) = self.hub.upgrade()
        {
            let receipt = mail.receipt;
            hub.drive_lazily(|state, _| state.node.taken(receipt));
        }
        taken
    }

    /// Whoever waits wants all that went before to be on its way, and a small call may be
    /// answered sooner than this thread could go to sleep and be woken.
    fn hasten(&self, cx: &Context<'_>, place: &mut Place) -> Poll<Taken> {
        let Some(hub) = self.hub.upgrade() else {
            return Poll::Pending;
        };
        hub.flush();
        if let Some(link) = self.link {
            for _ in 0..YIELDS {
                // The other end has to run before there can be anything.
                rustix::thread::sched_yield();
                hub.read_ahead(link);
                if let Poll::Ready(taken) = self.inbox.poll_take(cx, place) {
                    return Poll::Ready(taken);
                }
            }
        }
        self.inbox.poll_take(cx, place)
    }
}

/// The wait for the next message.
struct Take<'a> {
    listening: &'a Listening,
    asked: bool,
    place: Place,
}

impl Future for Take<'_> {
    type Output = Taken;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Taken> {
        let Self {
            listening,
            asked,
            place,
        } = &mut *self;
        let mut taken = listening.inbox.poll_take(cx, place);
        if taken.is_pending() && !*asked {
            *asked = true;
            taken = listening.hasten(cx, place);
        }
        if taken.is_ready() && place.is_taken() {
            // So that dropping this does not look again.
            listening.inbox.leave(std::mem::take(place));
        }
        taken
    }
}

impl Drop for Take<'_> {
    fn drop(&mut self) {
        if self.place.is_taken() {
            self.listening.inbox.leave(self.place);
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // What ended may still hold messages, which count until they are taken or void.
        if (!self.inbox.is_over() || !self.inbox.is_empty())
            && let Some(hub) = self.hub.upgrade()
        {
            hub.forget(self.handle);
        }
    }
}
