//! The end of a context.

use offshoot_node::driver::Subscription;
use offshoot_node::mailbox::{Content, Received};
use offshoot_proto::{Body, Dead, DeadKind};

use super::Context;
use crate::error::{ChannelError, Error};
use crate::messages::{ListenOptions, Receiver};
use crate::router::Router;

impl Context {
    /// Lets the context outlive its parent and this program: the calls that run in it go
    /// on, and so do those behind them, and it ends when the last of them has. Nothing more is heard
    /// of it then. Calls whose plugin has not arrived yet do not count.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), when it cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the context may be detached or not.
    pub async fn detach(&self) -> Result<(), Error> {
        let (driver, id) = (&self.inner.tree.driver, self.inner.id);
        let reply = driver.drive(|state, _| {
            let handle = state.node.detach(id)?;
            Ok(Subscription::new(driver, state, Some(id), handle))
        });
        let reply = reply.map_err(|error| Error::unsent(self.name(), &error))?;
        match reply.take().await {
            Received::QueuedMessage(mail) => match mail.content {
                Content::Body(Body::Dead(dead)) => {
                    Err(Error::Channel(ChannelError::new(self.name(), &dead)))
                }
                _ => Ok(()),
            },
            Received::Over(reason) => {
                let dead = Dead::new(DeadKind::Closed, &*reason);
                Err(Error::Channel(ChannelError::new(self.name(), &dead)))
            }
        }
    }

    /// Asks the context to end. Its descendants end with it.
    pub fn shutdown(&self) {
        let id = self.inner.id;
        self.inner
            .tree
            .driver
            .drive(|state, _| state.node.shut_down(id));
    }

    /// The same, and waits until it is gone, with the process or the session that led to
    /// it.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the context ends all the same.
    pub async fn shutdown_wait(&self) {
        self.shutdown();
        self.lost().await;
        self.inner
            .tree
            .driver
            .wait_transport_closed(self.inner.id)
            .await;
    }

    /// Waits until the context is gone, for whatever reason, and gives that.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    pub async fn lost(&self) -> String {
        let router = Router {
            tree: self.inner.tree.clone(),
        };
        let watch = Receiver::<()>::new(&router, ListenOptions::new().respondent(self));
        let watch = match watch {
            Ok(watch) => watch,
            Err(error) => return error.to_string(),
        };
        loop {
            match watch.get().await {
                Err(Error::Channel(error)) if watch.is_over() => return error.reason,
                // The context can send what it likes; only its loss ends the watch.
                _ => {}
            }
        }
    }
}
