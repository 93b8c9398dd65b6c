//! Several values in one message.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The values of one message, one after the other. See
/// [`Message::values`](super::Message::values).
#[derive(Clone, Debug)]
pub struct Values {
    what: String,
    bytes: Bytes,
}

impl Values {
    pub(crate) fn new(what: String, bytes: Bytes) -> Self {
        Self { what, bytes }
    }

    /// The next value; each may be of another type.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when what comes next is something else, or nothing.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        match postcard::take_from_bytes(&self.bytes) {
            Ok((value, rest)) => {
                self.bytes = self.bytes.slice(self.bytes.len() - rest.len()..);
                Ok(value)
            }
            Err(error) => Err(self.malformed(error.to_string())),
        }
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that are left, which must be of one type. It ends with the first that is not.
    pub fn iter<T: DeserializeOwned>(&mut self) -> impl Iterator<Item = Result<T, Error>> + '_ {
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended || self.is_empty() {
                return None;
            }
            let before = self.bytes.len();
            let value = match self.take() {
                // It would be so for ever.
                Ok(_) if self.bytes.len() == before => {
                    Err(self.malformed(format!("{before} bytes are left over")))
                }
                value => value,
            };
            ended = value.is_err();
            Some(value)
        })
    }

    fn malformed(&self, reason: String) -> Error {
        Error::Malformed {
            what: self.what.clone(),
            reason,
        }
    }
}
