//! Text that must not be seen.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::schema::{Schema, Shape};

/// A password or another text that must not get into logs and error messages: printing it prints
/// `[secret]`. It travels as the text that it is.
///
/// ```
/// # use offshoot_abi::Secret;
/// let password = Secret::new("hunter2");
/// assert_eq!(format!("{password} {password:?}"), "[secret] [secret]");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Makes a secret of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Schema for Secret {
    const SHAPE: Shape = Shape::Newtype("Secret", &Shape::Str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b027_a_secret_travels_as_text_and_prints_as_none() {
        let secret = Secret::new("hunter2");
        let bytes = postcard::to_allocvec(&secret).unwrap();
        assert_eq!(bytes, postcard::to_allocvec("hunter2").unwrap());
        assert_eq!(postcard::from_bytes::<Secret>(&bytes).unwrap(), secret);
        let holder = (1, Some(secret));
        assert_eq!(alloc::format!("{holder:?}"), "(1, Some([secret]))");
    }
}
