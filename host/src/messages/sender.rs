//! The end of a stream that messages are put into, as programs hold it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use offshoot_abi::{Portable, SenderAddress};
use offshoot_proto::{ContextId, Handle};
use serde::Serialize;

use super::message;
use crate::blocking;
use crate::context::Context;
use crate::error::{ChannelError, Error};
use crate::tree::Tree;
use offshoot_node::driver::{PutEnd, StreamHandle};
use offshoot_node::mailbox::WakerSlot;

/// Sends messages to a handle in another context, or in this one.
///
/// What is sent arrives in order. A receiver that is slow stops the sender: [`put`](Self::put)
/// waits once 256 KiB are under way, so a stream takes little memory at either end, however long
/// it is. Clones, and other senders to the same handle from this context, share that window.
pub struct Sender<T> {
    tree: Arc<Tree>,
    stream: StreamHandle,
    item: PhantomData<fn(&T)>,
}

impl<T> Sender<T> {
    /// Sends to that handle of that context.
    pub fn new(context: &Context, handle: u64) -> Self {
        Self::from_parts(context.tree().clone(), context.context_id(), Handle(handle))
    }

    pub(crate) fn from_parts(tree: Arc<Tree>, dst: ContextId, handle: Handle) -> Self {
        Self {
            stream: StreamHandle::new(&tree.driver, dst, handle),
            tree,
            item: PhantomData,
        }
    }

    /// The handle that it sends to.
    pub fn handle(&self) -> u64 {
        self.stream.handle().0
    }

    /// Id of the context that it sends to.
    pub fn context_id(&self) -> u32 {
        self.stream.context().0
    }

    /// The sender as the type that a plugin's functions take, to be an argument of one. A plugin
    /// may send with it, without a grant.
    ///
    /// With a plugin `streams` it is `context.call::<streams::numbers>((sender.to_portable(), 1000))`.
    pub fn to_portable<S: Portable<Address = SenderAddress<T>>>(&self) -> S {
        S::from_address(SenderAddress::new(self.context_id(), self.handle()))
    }

    /// Tells the receiver that there will be no more from here: whoever waits there gets
    /// [`Error::Channel`]. Messages that were put before arrive before.
    ///
    /// Nothing is closed on this side, so that several can send to one receiver.
    ///
    /// # Errors
    ///
    /// Fails when the word cannot leave.
    pub fn close(&self) -> Result<(), Error> {
        let closed = self.stream.close();
        closed.map_err(|error| Error::unsent(&self.tree.driver.name(self.stream.context()), &error))
    }

    fn ended(&self, end: PutEnd) -> Error {
        let name = self.tree.driver.name(self.stream.context());
        match end {
            PutEnd::Ended(dead) => Error::Channel(ChannelError::new(&name, &dead)),
            PutEnd::Unsent(error) => Error::unsent(&name, &error),
        }
    }
}

impl<T: Serialize> Sender<T> {
    /// Sends a value; waits while the receiver is behind.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when the receiver was closed or is lost, [`Error::Usage`] when the value
    /// cannot be encoded.
    ///
    /// # Cancel safety
    ///
    /// When dropped before it is done, the value was not sent.
    pub async fn put(&self, value: &T) -> Result<(), Error> {
        let body = message::encode(value)?;
        // A receiver that keeps up must not let one producer have the thread to itself. This
        // comes first, so that a value is sent exactly when this is done.
        tokio::task::coop::consume_budget().await;
        let put = Put {
            stream: &self.stream,
            body: &body,
            slot: WakerSlot::default(),
        };
        put.await.map_err(|end| self.ended(end))
    }

    /// Sends a value from a thread that is not the runtime's; waits while the receiver is behind.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), and [`Error::Usage`] in a thread that must not wait: it drives the
    /// router itself.
    pub fn put_blocking(&self, value: &T) -> Result<(), Error> {
        blocking::wait(Some(&self.tree.driver), self.put(value))?
    }
}

/// The wait for credit.
struct Put<'a> {
    stream: &'a StreamHandle,
    body: &'a Bytes,
    slot: WakerSlot,
}

impl Future for Put<'_> {
    type Output = Result<(), PutEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Self { stream, body, slot } = &mut *self;
        stream.poll_put(cx, body, slot)
    }
}

impl Drop for Put<'_> {
    fn drop(&mut self) {
        if self.slot.is_taken() {
            self.stream.remove_waker(self.slot);
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            tree: self.tree.clone(),
            stream: self.stream.clone(),
            item: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("context", &self.context_id())
            .field("handle", &self.handle())
            .finish()
    }
}
