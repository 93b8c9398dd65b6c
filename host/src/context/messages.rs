//! Messages to a context, and answers to them.

use std::time::Duration;

use offshoot_node::driver::Driver;
use serde::de::DeserializeOwned;

use super::Context;
use crate::error::Error;
use crate::messages::{ListenOptions, Message, Receiver};
use crate::router::Router;

impl Context {
    /// Sends a message to a handle in the context, without waiting for anything.
    ///
    /// `Ok` means that it has left. In another context it is lost if nothing listens on the handle, or
    /// if 256 KiB of messages from here wait there unread; losses of the second kind are logged, with
    /// their number. [`Sender::put`](crate::Sender::put) waits for the receiver instead, and
    /// [`send_await`](Self::send_await) for an answer.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when it cannot leave, and, for a handle of this context, when 256 KiB of
    /// messages from here wait there unread.
    pub fn send(&self, message: Message) -> Result<(), Error> {
        let (handle, reply_to, body) = message.into_parts();
        let driver = &self.inner.tree.driver;
        let sent = driver.drive(|state, _| state.node.post(self.inner.id, handle, reply_to, body));
        sent.map_err(|error| Error::unsent(self.name(), &error))
    }

    /// Sends a message and gives a receiver of the answer, or, if `persist`, of all that
    /// is sent to where the answer goes. Only this context can answer.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when it cannot leave; [`Error::Usage`] in a handler, which must not wait.
    pub fn send_async<T: DeserializeOwned>(
        &self,
        message: Message,
        persist: bool,
    ) -> Result<Receiver<T>, Error> {
        if Driver::is_in_any_driver() {
            return Err(Error::Usage(
                "cannot wait for an answer in a handler: let `Message::with_reply_to` name the \
                 handle of another one"
                    .to_owned(),
            ));
        }
        let listen = ListenOptions::new().persist(persist).respondent(self);
        let router = Router {
            tree: self.inner.tree.clone(),
        };
        let receiver = Receiver::new(&router, listen)?;
        self.send(message.with_reply_to(receiver.handle()))?;
        Ok(receiver)
    }

    /// Sends a message and waits for the one answer, so long at most if `deadline` says so
    ///. An answer that comes later is nobody's.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], [`Error::Channel`] when there will be no answer, [`Error::Malformed`]
    /// when it is something else than `T`.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the message was sent, and the answer is nobody's.
    pub async fn send_await<T: DeserializeOwned>(
        &self,
        message: Message,
        deadline: Option<Duration>,
    ) -> Result<T, Error> {
        let receiver = self.send_async(message, false)?;
        match deadline {
            Some(deadline) => receiver.get_timeout(deadline).await,
            None => receiver.get().await,
        }
    }
}
