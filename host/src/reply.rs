//! One answer that is waited for.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use offshoot_proto::{ContextId, Handle, LinkId};

use crate::hub::{Hub, State};
use crate::mailbox::{Mail, Mailbox};

/// An answer on its way. Dropping it before it has come cancels the call behind it.
pub(crate) struct Reply {
    hub: Weak<Hub>,
    handle: Handle,
    mailbox: Arc<Mailbox>,
    /// Where it will come from.
    link: Option<LinkId>,
    arrived: bool,
}

/// How often to let others run before this thread goes to sleep for an answer.
const YIELDS: usize = 3;

impl Reply {
    /// Waits for what comes to `handle`, of which the node sends one message.
    pub(crate) fn new(hub: &Hub, state: &mut State, from: ContextId, handle: Handle) -> Self {
        Self {
            link: state.node.link_to(from),
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
        // An answer that is always there must not keep the other tasks of the thread waiting.
        tokio::task::coop::consume_budget().await;
        let mut asked = false;
        let mail = poll_fn(|cx| {
            let mail = self.mailbox.poll_take(cx);
            if mail.is_pending() && !asked {
                asked = true;
                return self.hasten(cx);
            }
            mail
        });
        let mail = mail.await;
        self.arrived = true;
        mail
    }

    /// Whoever waits wants all that went before to be on its way, and a small call may be
    /// answered sooner than this thread could go to sleep and be woken.
    fn hasten(&self, cx: &Context<'_>) -> Poll<Mail> {
        let Some(hub) = self.hub.upgrade() else {
            return Poll::Pending;
        };
        hub.flush();
        for attempt in 0..=YIELDS {
            if attempt > 0 {
                rustix::thread::sched_yield();
            }
            if let Some(link) = self.link {
                hub.read_ahead(link);
            }
            if let Poll::Ready(mail) = self.mailbox.poll_take(cx) {
                return Poll::Ready(mail);
            }
        }
        Poll::Pending
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
