//! Streams that leave this context: who holds them, and who waits for credit.

use std::task::Waker;

use bytes::Bytes;
use offshoot_proto::{ContextId, Handle, PutError};

use super::{Driver, State};
use crate::mailbox::{WakeList, WakerSlot};

impl Driver {
    /// One more outlet leads to that handle.
    pub fn hold_stream(&self, dst: ContextId, handle: Handle) {
        self.lock().streams.entry((dst, handle)).or_default().count += 1;
    }

    /// One outlet less; with the last one the node forgets the stream.
    pub fn let_go_of_stream(&self, dst: ContextId, handle: Handle) {
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

    /// Puts a message into a stream; `waker` is woken when one that was refused for want of
    /// credit may be tried again, unless its place is [left](Self::leave_stream) before.
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

    /// Forgets someone who waits no more to put.
    pub fn leave_stream(&self, dst: ContextId, handle: Handle, slot: WakerSlot) {
        if let Some(holders) = self.lock().streams.get_mut(&(dst, handle)) {
            holders.waiting.leave(slot);
        }
    }
}

/// Takes those who wait to put more into a stream.
pub(super) fn waiting(state: &mut State, dst: ContextId, handle: Handle) -> Option<WakeList> {
    let holders = state.streams.get_mut(&(dst, handle))?;
    Some(holders.waiting.take())
}
