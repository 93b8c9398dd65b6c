//! The order in which messages came to the receivers of an instance.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use crate::mailbox::{Inbox, Notify};

/// The receivers with messages, in the order in which these came.
#[derive(Default)]
pub(super) struct Arrivals {
    state: Mutex<Order>,
}

#[derive(Default)]
pub(super) struct Order {
    pub(super) receivers: VecDeque<u64>,
    pub(super) reader: Option<Waker>,
}

impl Arrivals {
    pub(super) fn order(&self) -> MutexGuard<'_, Order> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what was queued for a receiver that is closed: no other would ever take it out.
    pub(super) fn remove(&self, receiver: u64) {
        self.order().receivers.retain(|queued| *queued != receiver);
    }
}

/// The observer of one receiver's inbox.
pub(super) struct Arrival {
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) receiver: u64,
    pub(super) inbox: Weak<Inbox>,
}

impl Notify for Arrival {
    fn notify(&self) {
        let mut order = self.arrivals.order();
        if self.inbox.upgrade().is_none_or(|inbox| inbox.is_closed()) {
            return;
        }
        order.receivers.push_back(self.receiver);
        let reader = order.reader.take();
        drop(order);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}
