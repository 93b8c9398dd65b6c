//! Both directions in one.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Receiver, RouterError, Sender};

/// A [`Sender`] of `T`s and a [`Receiver`] of `U`s.
///
/// The other end is a channel with both swapped. The easiest way to one is to pass
/// `receiver.to_sender()` to a function that returns a sender of its own.
#[derive(Clone, Debug)]
pub struct Channel<T, U> {
    sender: Sender<T>,
    receiver: Receiver<U>,
}

impl<T, U> Channel<T, U> {
    /// Puts the two ends together.
    pub fn new(sender: Sender<T>, receiver: Receiver<U>) -> Self {
        Self { sender, receiver }
    }

    /// The sending end.
    pub fn sender(&self) -> &Sender<T> {
        &self.sender
    }

    /// The receiving end, which is also what a [`Select`](crate::Select) takes.
    pub fn receiver(&self) -> &Receiver<U> {
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
    pub fn put(&self, value: T) -> Result<(), RouterError>
    where
        T: Serialize,
    {
        self.sender.put(value)
    }

    /// The next value; waits for it.
    ///
    /// # Errors
    ///
    /// As [`Receiver::get`].
    pub fn get(&self) -> Result<U, RouterError>
    where
        U: DeserializeOwned,
    {
        self.receiver.get()
    }

    /// The next value, if it comes within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::get_timeout`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<U, RouterError>
    where
        U: DeserializeOwned,
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
