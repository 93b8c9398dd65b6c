//! Both directions in one.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::receiver::{ListenOptions, Receiver};
use super::sender::Sender;
use crate::context::Context;
use crate::error::Error;
use crate::router::Router;

/// A [`Receiver`] and a [`Sender`] in one: takes `In`, sends `Out`.
///
/// [`pair`](Self::pair) makes two ends that are connected already. With the other end in another
/// context, pass it [`receiver().to_sender()`](Receiver::to_sender), and make this end with the
/// handle that it tells.
///
/// ```no_run
/// # async fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
/// use offshoot::Channel;
///
/// let (questions, answers) = Channel::<String, u32>::pair(&router)?;
/// questions.put(&6).await?;
/// assert_eq!(answers.get().await?, 6);
/// # Ok(())
/// # }
/// ```
pub struct Channel<In, Out> {
    receiver: Receiver<In>,
    sender: Sender<Out>,
}

impl<In: DeserializeOwned, Out> Channel<In, Out> {
    /// Sends to a handle of `context`, and listens as `listen` says.
    ///
    /// # Errors
    ///
    /// As [`Receiver::new`], and [`Error::ForeignContext`] for a context of another router.
    pub fn new(
        router: &Router,
        context: &Context,
        dst_handle: u64,
        listen: ListenOptions,
    ) -> Result<Self, Error> {
        context.id_in(&router.tree)?;
        Ok(Self {
            receiver: Receiver::new(router, listen)?,
            sender: Sender::new(context, dst_handle),
        })
    }
}

impl<In: DeserializeOwned, Out: DeserializeOwned> Channel<In, Out> {
    /// Two connected ends in this context.
    ///
    /// # Errors
    ///
    /// As [`Receiver::new`].
    pub fn pair(router: &Router) -> Result<(Self, Channel<Out, In>), Error> {
        let here = Receiver::<In>::new(router, ListenOptions::new())?;
        let there = Receiver::<Out>::new(router, ListenOptions::new())?;
        let near = Self {
            sender: there.to_sender(),
            receiver: here.clone(),
        };
        let far = Channel {
            sender: here.to_sender(),
            receiver: there,
        };
        Ok((near, far))
    }
}

impl<In, Out> Channel<In, Out> {
    /// The end that takes.
    pub fn receiver(&self) -> &Receiver<In> {
        &self.receiver
    }

    /// The end that sends.
    pub fn sender(&self) -> &Sender<Out> {
        &self.sender
    }

    /// The handle that it listens on.
    pub fn handle(&self) -> u64 {
        self.receiver.handle()
    }

    /// The next value; see [`Receiver::get`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::get`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn get(&self) -> Result<In, Error> {
        self.receiver.get().await
    }

    /// The next value within so long; see [`Receiver::get_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::get_timeout`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn get_timeout(&self, timeout: Duration) -> Result<In, Error> {
        self.receiver.get_timeout(timeout).await
    }

    /// Ends both directions: whoever waits here, or there, gets [`Error::Channel`].
    ///
    /// # Errors
    ///
    /// Fails when the word cannot leave; this end is closed all the same.
    pub fn close(&self) -> Result<(), Error> {
        self.receiver.close();
        self.sender.close()
    }
}

impl<In, Out: Serialize> Channel<In, Out> {
    /// Sends a value; see [`Sender::put`].
    ///
    /// # Errors
    ///
    /// As [`Sender::put`].
    ///
    /// # Cancel safety
    ///
    /// When dropped before it is done, the value was not sent.
    pub async fn put(&self, value: &Out) -> Result<(), Error> {
        self.sender.put(value).await
    }
}

impl<In, Out> Clone for Channel<In, Out> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            sender: self.sender.clone(),
        }
    }
}

impl<In, Out> fmt::Debug for Channel<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("receiver", &self.receiver)
            .field("sender", &self.sender)
            .finish()
    }
}
