//! Both directions in one.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Receiver, Router, RouterError, Sender};

/// A [`Receiver`] of `In`s and a [`Sender`] of `Out`s.
///
/// The other end is a channel with both swapped. The easiest way to one is to pass
/// `receiver.to_sender()` to a function that returns a sender of its own.
#[derive(Clone, Debug)]
pub struct Channel<In, Out> {
    receiver: Receiver<In>,
    sender: Sender<Out>,
}

impl<In, Out> Channel<In, Out> {
    /// Puts the two ends together.
    pub fn new(receiver: Receiver<In>, sender: Sender<Out>) -> Self {
        Self { receiver, sender }
    }

    /// Two connected ends in this context. Either's [`sender`](Self::sender) can be handed to
    /// others.
    ///
    /// # Errors
    ///
    /// As [`Router::receiver`].
    pub fn pair(router: &Router) -> Result<(Self, Channel<Out, In>), RouterError> {
        let (here, there) = (router.receiver()?, router.receiver()?);
        let near = Self::new(here.clone(), there.to_sender());
        let far = Channel::new(there, here.to_sender());
        Ok((near, far))
    }

    /// The sending end.
    pub fn sender(&self) -> &Sender<Out> {
        &self.sender
    }

    /// The receiving end, which is also what a [`Select`](crate::Select) takes.
    pub fn receiver(&self) -> &Receiver<In> {
        &self.receiver
    }

    /// Handle of the receiving end in this context.
    pub fn handle(&self) -> u64 {
        self.receiver.handle()
    }

    /// Sends one value.
    ///
    /// # Errors
    ///
    /// As [`Sender::put`].
    pub fn put(&self, value: &Out) -> Result<(), RouterError>
    where
        Out: Serialize,
    {
        self.sender.put(value)
    }

    /// The next value; waits for it.
    ///
    /// # Errors
    ///
    /// As [`Receiver::get`].
    pub fn get(&self) -> Result<In, RouterError>
    where
        In: DeserializeOwned,
    {
        self.receiver.get()
    }

    /// The next value, if it comes within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::get_timeout`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<In, RouterError>
    where
        In: DeserializeOwned,
    {
        self.receiver.get_timeout(timeout)
    }

    /// Tells the other end that no more will come, and stops receiving.
    ///
    /// # Errors
    ///
    /// As [`Sender::close`]; the receiving end is closed all the same.
    pub fn close(&self) -> Result<(), RouterError> {
        self.receiver.close();
        self.sender.close()
    }
}
