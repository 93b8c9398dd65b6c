//! One answer that is waited for.

use std::future::poll_fn;
use std::sync::{Arc, Weak};

use offshoot_proto::Handle;

use crate::hub::{Hub, State};
use crate::mailbox::{Mail, Mailbox};

/// An answer on its way. Dropping it before it has come cancels the call behind it.
pub(crate) struct Reply {
    hub: Weak<Hub>,
    handle: Handle,
    mailbox: Arc<Mailbox>,
    arrived: bool,
}

impl Reply {
    /// Waits for what comes to `handle`, of which the node sends one message.
    pub(crate) fn new(hub: &Hub, state: &mut State, handle: Handle) -> Self {
        Self {
            hub: hub.weak(),
            handle,
            mailbox: Hub::open_mailbox(state, handle),
            arrived: false,
        }
    }

    /// The answer.
    ///
    /// Cancel-safe: dropping the future loses nothing; dropping the reply cancels the call.
    pub(crate) async fn mail(&mut self) -> Mail {
        let mut asked = false;
        let mail = poll_fn(|cx| {
            let mail = self.mailbox.poll_take(cx);
            if mail.is_pending() && !asked {
                asked = true;
                // Whoever waits wants everything before it to be on its way.
                if let Some(hub) = self.hub.upgrade() {
                    hub.flush();
                    return self.mailbox.poll_take(cx);
                }
            }
            mail
        });
        let mail = mail.await;
        self.arrived = true;
        mail
    }

    /// Whether the answer was taken.
    pub(crate) fn has_arrived(&self) -> bool {
        self.arrived
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.arrived
            && let Some(hub) = self.hub.upgrade()
        {
            hub.forget(self.handle);
        }
    }
}

