//! Streams that leave this context: how many handles each has, and the tasks that wait for credit.

use std::task::Waker;

use bytes::Bytes;
use offshoot_proto::{ContextId, Handle, PutError};

use super::{Driver, State};
use crate::mailbox::{WakeList, WakerSlot};

impl Driver {
    /// Counts one more handle of a stream.
    pub fn hold_stream(&self, dst: ContextId, handle: Handle) {
        self.lock().streams.entry((dst, handle)).or_default().count += 1;
    }

    /// Counts one handle less; with the last one the stream is released.
    pub fn release_stream(&self, dst: ContextId, handle: Handle) {
        let mut state = self.lock();
        let Some(holders) = state.streams.get_mut(&(dst, handle)) else {
            return;
        };
        holders.count -= 1;
        if holders.count == 0 {
            state.streams.remove(&(dst, handle));
            state.node.release(dst, handle);
        }
    }

    /// Puts a message into a stream. After [`PutError::NoCredit`], `waker` is woken once it may be
    /// tried again, unless it is [removed](Self::remove_stream_waker) before.
    pub fn put(
        &self,
        dst: ContextId,
        handle: Handle,
        body: &Bytes,
        waker: &Waker,
        slot: &mut WakerSlot,
    ) -> Result<(), PutError> {
        self.drive_lazily(|state, _| {
            let result = state.node.put(dst, handle, body.clone());
            if result == Err(PutError::NoCredit) {
                let holders = state.streams.entry((dst, handle)).or_default();
                holders.waiting.wait(slot, waker);
            }
            result
        })
    }

    /// Removes the waker of a task that waits no more to put.
    pub fn remove_stream_waker(&self, dst: ContextId, handle: Handle, slot: WakerSlot) {
        if let Some(holders) = self.lock().streams.get_mut(&(dst, handle)) {
            holders.waiting.remove(slot);
        }
    }
}

/// Takes the wakers of the tasks that wait to put more into a stream.
pub(super) fn waiting(state: &mut State, dst: ContextId, handle: Handle) -> Option<WakeList> {
    let holders = state.streams.get_mut(&(dst, handle))?;
    Some(holders.waiting.take())
}
