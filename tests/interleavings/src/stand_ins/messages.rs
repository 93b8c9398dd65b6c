//! A receiver that is an inbox without a router. The number in `reply_to` is the value.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use offshoot_proto::{ContextId, Handle, Receipt};
use tokio::runtime;

use super::context::Context;
use super::error::Error;
use crate::mailbox::{Content, Inbox, QueuedMessage, Received, WakerSlot};

pub(crate) use notify::Call;

#[path = "../../../../host/src/messages/notify.rs"]
mod notify;

pub struct Receiver<T> {
    core: Arc<Core>,
    value: fn(u64) -> T,
}

pub(crate) struct Core {
    pub(crate) subscription: Subscription,
}

pub(crate) struct Subscription(Arc<Inbox>);

impl Subscription {
    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.0
    }

    pub(crate) fn try_take(&self) -> Option<Received> {
        self.0.try_take()
    }
}

impl Receiver<u64> {
    pub fn listen() -> Self {
        Self {
            core: Arc::new(Core {
                subscription: Subscription(Inbox::new()),
            }),
            value: |value| value,
        }
    }

    /// What the driver does when a message arrives.
    pub fn put(&self, value: u64, last: Option<&str>) {
        let message = QueuedMessage {
            src: ContextId(1),
            reply_to: Handle(value),
            content: Content::Expired,
            receipt: Receipt::default(),
        };
        if let Some(notify) = self.core.subscription.0.put(message, last.map(Into::into)) {
            notify.notify();
        }
    }

    pub fn close(&self) {
        drop(self.core.subscription.0.close("closed"));
    }

    pub async fn get(&self) -> Result<u64, Error> {
        let take = Take {
            inbox: self.core.subscription.inbox(),
            slot: WakerSlot::default(),
        };
        self.value_of(take.await)
    }
}

impl<T> Receiver<T> {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn value_of(&self, taken: Received) -> Result<T, Error> {
        match taken {
            Received::QueuedMessage(message) => Ok((self.value)(message.reply_to.0)),
            Received::Over(_) => Err(Error::Channel),
        }
    }

    pub fn try_get(&self) -> Option<Result<T, Error>> {
        let taken = self.core.subscription.try_take()?;
        Some(self.value_of(taken))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.core.subscription.inbox().is_over()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.core.subscription.inbox().is_empty()
    }

    pub(crate) fn runtime(&self) -> Option<runtime::Handle> {
        None
    }

    pub(crate) fn context(&self) -> Option<&Context> {
        None
    }
}

/// The wait of the product's `Subscription`, without a driver.
struct Take<'a> {
    inbox: &'a Inbox,
    slot: WakerSlot,
}

impl Future for Take<'_> {
    type Output = Received;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Received> {
        let Self { inbox, slot } = &mut *self;
        inbox.poll_take(cx, slot)
    }
}

impl Drop for Take<'_> {
    fn drop(&mut self) {
        if self.slot.is_taken() {
            self.inbox.remove_waker(self.slot);
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            value: self.value,
        }
    }
}

impl<T, U> PartialEq<Receiver<U>> for Receiver<T> {
    fn eq(&self, other: &Receiver<U>) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

/// Never made: the files under test only turn one into its receiver.
pub struct Channel<In, Out> {
    receiver: Receiver<In>,
    sender: std::marker::PhantomData<Out>,
}

impl<In, Out> Channel<In, Out> {
    pub(crate) fn receiver(&self) -> &Receiver<In> {
        let _ = &self.sender;
        &self.receiver
    }
}
