//! Receivers, senders and handlers of a router.

use offshoot_abi::{Portable, SenderAddress};
use offshoot_node::driver::Driver;
use offshoot_proto::{ContextId, Handle};
use serde::de::DeserializeOwned;

use super::{Handler, ListenOptions, Message, Receiver, Sender};
use crate::error::Error;
use crate::router::Router;

impl Router {
    /// A receiver of all that is sent to a new handle of this context.
    ///
    /// # Errors
    ///
    /// As [`Receiver::new`].
    pub fn receiver<T: DeserializeOwned>(&self) -> Result<Receiver<T>, Error> {
        Receiver::new(self, ListenOptions::new())
    }

    /// A receiver that listens as `listen` says.
    ///
    /// # Errors
    ///
    /// As [`Receiver::new`].
    pub fn receiver_with<T: DeserializeOwned>(
        &self,
        listen: ListenOptions,
    ) -> Result<Receiver<T>, Error> {
        Receiver::new(self, listen)
    }

    /// A sender to where a plugin's sender sends: the way back from [`Sender::to_portable`].
    pub fn sender<T>(&self, sender: &impl Portable<Address = SenderAddress<T>>) -> Sender<T> {
        let address = sender.to_address();
        let context = ContextId(address.context);
        Sender::from_parts(self.tree.clone(), context, Handle(address.handle))
    }

    /// Registers a function for the messages of a handle, and returns the handle.
    ///
    /// While the function runs, 256 KiB of messages from each context wait for it; what else is
    /// [sent](crate::Context::send) meanwhile is an error in this process, and lost, which is logged, if it
    /// comes from another context.
    ///
    /// # Errors
    ///
    /// As [`Receiver::new`].
    pub fn add_handler(&self, handler: Handler) -> Result<u64, Error> {
        let driver = &self.tree.driver;
        let wanted = handler.listen.to_proto(&self.tree)?;
        // One that is not added must not be dropped under the driver's lock: it may own anything.
        let mut handler = Some(handler);
        let handle = driver.drive(|state, _| {
            if state.is_ended() {
                return Ok(None);
            }
            let handle = state.node.listen(&wanted)?;
            if let Some(handler) = handler.take() {
                Driver::open_handler(state, handle, handler.register(driver, handle));
            }
            Ok(Some(handle.0))
        });
        let handle = handle.map_err(|error| Error::no_listener(driver, error))?;
        handle.ok_or_else(Error::shut_down)
    }

    /// Removes the handler of a handle; `false` if there was none. If a receiver listens on the
    /// handle, it is [closed](Receiver::close).
    #[doc(alias = "del_handler")]
    pub fn remove_handler(&self, handle: u64) -> bool {
        self.tree.driver.remove_subscriber(Handle(handle))
    }

    /// Sends a message to a context, from any thread. Those from one thread to one handle stay in
    /// order. As with [`Context::send`](crate::Context::send), `Ok` does not say that it has arrived.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when it cannot leave, and, for a handle of this context, when 256 KiB of
    /// messages from here wait there unread.
    pub fn route(&self, context_id: u32, message: Message) -> Result<(), Error> {
        let (handle, reply_to, body) = message.into_parts();
        let (driver, id) = (&self.tree.driver, ContextId(context_id));
        let sent = driver.drive(|state, _| state.node.post(id, handle, reply_to, body));
        sent.map_err(|error| Error::unsent(&driver.name(id), &error))
    }
}
