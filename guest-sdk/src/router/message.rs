//! A value that arrived, and where it came from.

use serde::Serialize;
use serde::de::DeserializeOwned;

use offshoot_abi::router::{Body, Received};

use super::{RouterError, Sender};

/// A value with its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<T> {
    /// The value.
    pub value: T,
    src: u32,
    reply_to: u64,
}

impl<T> Message<T> {
    /// Id of the context that sent it.
    pub fn source(&self) -> u32 {
        self.src
    }

    /// Whether its sender waits for a reply.
    pub fn wants_reply(&self) -> bool {
        self.reply_to != 0
    }

    /// Replies to it.
    ///
    /// # Errors
    ///
    /// Fails when no reply is wanted, and as [`Sender::put`] does.
    pub fn reply<U: Serialize>(&self, value: &U) -> Result<(), RouterError> {
        if !self.wants_reply() {
            return Err(RouterError::Usage("nobody waits for a reply".to_owned()));
        }
        Sender::new(self.src, self.reply_to).put(value)
    }
}

impl<T: DeserializeOwned> TryFrom<Received> for Message<T> {
    type Error = RouterError;

    fn try_from(received: Received) -> Result<Self, RouterError> {
        let bytes = match received.body {
            Body::Value(bytes) => bytes,
            Body::Failed(failure) => return Err(failure.into()),
        };
        let reason = match postcard::take_from_bytes(&bytes) {
            Ok((value, [])) => {
                return Ok(Self {
                    value,
                    src: received.src,
                    reply_to: received.reply_to,
                });
            }
            Ok((_, rest)) => format!("{} of {} bytes are left over", rest.len(), bytes.len()),
            Err(error) => error.to_string(),
        };
        Err(RouterError::Decode(format!(
            "what context {} sent is no `{}`: {reason}",
            received.src,
            std::any::type_name::<T>()
        )))
    }
}
