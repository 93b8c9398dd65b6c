//! A message, as programs see it.

use std::fmt;
use std::sync::Weak;

use bytes::Bytes;
use offshoot_proto::{Body, ContextId, Dead, DeadKind, Handle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::values::Values;
use crate::error::{ChannelError, Error};
use offshoot_node::driver::Driver;
use offshoot_node::mailbox::{Content, QueuedMessage};

/// A message: bytes for a handle in a context, or the word that there will be no more.
///
/// ```no_run
/// # async fn example(context: offshoot::Context) -> Result<(), offshoot::Error> {
/// use offshoot::Message;
///
/// // Handle 500 is one that both sides agreed on.
/// context.send(Message::new(500, &"hello")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Message {
    handle: Handle,
    src: ContextId,
    reply_to: Handle,
    body: Body,
    /// The driver that brought it, for the answer.
    driver: Weak<Driver>,
}

impl Message {
    /// A message for a handle, whose content is `value` in postcard's encoding.
    ///
    /// # Errors
    ///
    /// Fails when the value cannot be encoded.
    pub fn new(handle: u64, value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::from_bytes(handle, encode(value)?))
    }

    /// A message for a handle, whose content is the bytes themselves.
    pub fn from_bytes(handle: u64, bytes: impl Into<Bytes>) -> Self {
        Self {
            handle: Handle(handle),
            src: ContextId::CONTROLLER,
            reply_to: Handle::NONE,
            body: Body::Data(bytes.into()),
            driver: Weak::new(),
        }
    }

    /// A message for a handle, which says that there will be no more, and why.
    pub fn end(handle: u64, reason: &str) -> Self {
        Self {
            body: Body::Dead(Dead::new(DeadKind::Closed, reason)),
            ..Self::from_bytes(handle, Bytes::new())
        }
    }

    /// The same message, answered at that handle of its sender.
    #[must_use]
    pub fn with_reply_to(mut self, handle: u64) -> Self {
        self.reply_to = Handle(handle);
        self
    }

    pub(crate) fn from_queued(driver: Weak<Driver>, handle: Handle, mail: QueuedMessage) -> Self {
        let body = match mail.content {
            Content::Body(body) => body,
            Content::Expired => Body::Dead(Dead::new(DeadKind::Closed, "nothing came in time")),
        };
        Self {
            handle,
            src: mail.src,
            reply_to: mail.reply_to,
            body,
            driver,
        }
    }

    pub(crate) fn into_parts(self) -> (Handle, Handle, Body) {
        (self.handle, self.reply_to, self.body)
    }

    /// Id of the context that sent it. The router has checked it.
    pub fn source(&self) -> u32 {
        self.src.0
    }

    /// The handle that it is for.
    pub fn handle(&self) -> u64 {
        self.handle.0
    }

    /// Where its sender waits for an answer, if it does.
    pub fn reply_to(&self) -> Option<u64> {
        (self.reply_to != Handle::NONE).then_some(self.reply_to.0)
    }

    /// Whether it says that there will be no more, instead of something.
    pub fn is_dead(&self) -> bool {
        matches!(self.body, Body::Dead(_))
    }

    /// Why there will be no more, if it says so.
    pub fn reason(&self) -> Option<&str> {
        match &self.body {
            Body::Dead(dead) => Some(&dead.reason),
            Body::Data(_) => None,
        }
    }

    /// Its bytes; none if it is dead.
    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Data(bytes) => bytes.clone(),
            Body::Dead(_) => Bytes::new(),
        }
    }

    /// Its content as a value.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when it is dead, [`Error::Malformed`] when its bytes are something else.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        match &self.body {
            Body::Data(bytes) => decode(bytes, || self.what()),
            Body::Dead(dead) => Err(self.channel_error(dead)),
        }
    }

    /// Its content as several values, one after the other, such as the fields of a tuple
    /// that it was [made](Self::new) of.
    ///
    /// ```
    /// # fn main() -> Result<(), offshoot::Error> {
    /// use offshoot::Message;
    ///
    /// let message = Message::new(500, &("add", 1_u32, 2_u32))?;
    /// let mut values = message.values()?;
    /// assert_eq!(values.take::<String>()?, "add");
    /// assert_eq!(values.iter::<u32>().sum::<Result<u32, _>>()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when it is dead.
    pub fn values(&self) -> Result<Values, Error> {
        match &self.body {
            Body::Data(bytes) => Ok(Values::new(self.what(), bytes.clone())),
            Body::Dead(dead) => Err(self.channel_error(dead)),
        }
    }

    /// Answers it.
    ///
    /// # Errors
    ///
    /// Fails when its sender wants no answer, or the answer cannot leave.
    pub fn reply(&self, value: &impl Serialize) -> Result<(), Error> {
        self.answer(Body::Data(encode(value)?))
    }

    /// Answers it with the word that there will be no answer, and why.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply).
    pub fn reply_dead(&self, reason: &str) -> Result<(), Error> {
        self.answer(Body::Dead(Dead::new(DeadKind::Refused, reason)))
    }

    pub(crate) fn error(&self) -> Option<Error> {
        match &self.body {
            Body::Dead(dead) => Some(self.channel_error(dead)),
            Body::Data(_) => None,
        }
    }

    fn what(&self) -> String {
        format!("a message for handle {}", self.handle)
    }

    fn answer(&self, body: Body) -> Result<(), Error> {
        let Some(to) = self.reply_to() else {
            return Err(Error::Usage("the message wants no answer".to_owned()));
        };
        let driver = self.driver.upgrade().ok_or_else(gone)?;
        let sent =
            driver.drive(|state, _| state.node.post(self.src, Handle(to), Handle::NONE, body));
        sent.map_err(|error| Error::unsent(&driver.name(self.src), &error))
    }

    fn channel_error(&self, dead: &Dead) -> Error {
        let name = self.driver.upgrade().map(|driver| driver.name(self.src));
        Error::Channel(ChannelError::new(name.as_deref().unwrap_or(""), dead))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Message");
        out.field("handle", &self.handle.0)
            .field("source", &self.src.0)
            .field("reply_to", &self.reply_to.0);
        match &self.body {
            Body::Data(bytes) => out.field("bytes", &bytes.len()),
            Body::Dead(dead) => out.field("dead", &dead.reason),
        };
        out.finish()
    }
}

/// The router of something that outlived it.
fn gone() -> Error {
    let dead = Dead::new(DeadKind::Closed, "the router is gone");
    Error::Channel(ChannelError::new("", &dead))
}

/// A value in postcard's encoding.
pub(crate) fn encode(value: &impl Serialize) -> Result<Bytes, Error> {
    match postcard::to_allocvec(value) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(Error::Usage(format!("cannot encode the value: {error}"))),
    }
}

/// The value that `bytes` are exactly.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    what: impl FnOnce() -> String,
) -> Result<T, Error> {
    let reason = match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => return Ok(value),
        Ok((_, rest)) => format!("{} bytes are left over", rest.len()),
        Err(error) => error.to_string(),
    };
    Err(Error::Malformed {
        what: what(),
        reason,
    })
}
