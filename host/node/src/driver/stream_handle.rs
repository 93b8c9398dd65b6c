//! The end of a stream that messages are put into.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use offshoot_proto::Body;
use offshoot_proto::{ContextId, Dead, DeadKind, Handle, PutError, SendError};

use super::Driver;
use crate::mailbox::WakerSlot;

/// Puts messages into the stream from this context to one handle of another. The handles of
/// one stream share its credit.
pub struct StreamHandle {
    driver: Weak<Driver>,
    dst: ContextId,
    handle: Handle,
}

/// Why nothing more can be put.
#[derive(Clone, Debug)]
pub enum PutEnd {
    /// The receiver is gone, for this reason.
    Ended(Dead),
    /// The message cannot leave.
    Unsent(SendError),
}

impl StreamHandle {
    /// Opens one more sending end of that stream.
    pub fn new(driver: &Arc<Driver>, dst: ContextId, handle: Handle) -> Self {
        driver.hold_stream(dst, handle);
        Self {
            driver: driver.weak(),
            dst,
            handle,
        }
    }

    /// The context that receives.
    pub fn context(&self) -> ContextId {
        self.dst
    }

    /// The handle that receives.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Puts a message, or registers the waker for the next credit: a task that waits no more must
    /// call [`remove_waker`](Self::remove_waker).
    pub fn poll_put(
        &self,
        cx: &Context<'_>,
        body: &Bytes,
        slot: &mut WakerSlot,
    ) -> Poll<Result<(), PutEnd>> {
        let Some(driver) = self.driver.upgrade() else {
            let dead = Dead::new(DeadKind::Closed, "the router is gone");
            return Poll::Ready(Err(PutEnd::Ended(dead)));
        };
        let put = driver.put(self.dst, self.handle, body, cx.waker(), slot);
        match put {
            Ok(()) => Poll::Ready(Ok(())),
            Err(PutError::Ended(dead)) => Poll::Ready(Err(PutEnd::Ended(dead))),
            Err(PutError::Unsent(error)) => Poll::Ready(Err(PutEnd::Unsent(error))),
            Err(PutError::NoCredit) => {
                // The receiver cannot take what has not left.
                driver.flush();
                Poll::Pending
            }
        }
    }

    /// Removes the waker of a task that waits no more to put.
    pub fn remove_waker(&self, slot: WakerSlot) {
        if let Some(driver) = self.driver.upgrade() {
            driver.remove_stream_waker(self.dst, self.handle, slot);
        }
    }

    /// Tells the receiver that there will be no more from here.
    pub fn close(&self) -> Result<(), SendError> {
        let Some(driver) = self.driver.upgrade() else {
            return Ok(());
        };
        let dead = Dead::new(DeadKind::Closed, "the sender was explicitly closed");
        driver.drive(|state, _| {
            state
                .node
                .post(self.dst, self.handle, Handle::NONE, Body::Dead(dead))
        })
    }
}

impl Clone for StreamHandle {
    fn clone(&self) -> Self {
        if let Some(driver) = self.driver.upgrade() {
            driver.hold_stream(self.dst, self.handle);
        }
        Self {
            driver: self.driver.clone(),
            dst: self.dst,
            handle: self.handle,
        }
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.upgrade() {
            driver.release_stream(self.dst, self.handle);
        }
    }
}
