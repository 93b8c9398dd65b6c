//! Addresses: how a sender and a context travel inside arguments, results and messages.
//!
//! The host library and the guest SDK have a `Sender` and a `Context` each, which live on what
//! their own side has: a tree, or imports. What travels is the same on both sides, and is here.

use alloc::string::String;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schema::{Schema, Shape};

/// Bytes of a [`SenderAddress`].
pub const SENDER_ADDRESS_LEN: usize = 16;

/// The last four bytes of a [`SenderAddress`]. Two of them are never part of UTF-8, so no text holds
/// an address.
pub const SENDER_MAGIC: [u8; 4] = [0xf5, b's', b'n', 0xff];

/// Where a receiver of `T`s is: what a `Sender<T>` is while it travels.
///
/// It is always [`SENDER_ADDRESS_LEN`] bytes: the context's id and the handle, little-endian, and
/// [`SENDER_MAGIC`]. Being fixed, it can be found in the arguments of a call without knowing
/// their types, and so a host knows which senders a plugin was handed.
pub struct SenderAddress<T> {
    /// The context that receives.
    pub context: u32,
    /// The handle of the receiver in it.
    pub handle: u64,
    items: PhantomData<fn(T)>,
}

impl<T> SenderAddress<T> {
    /// The address of the receiver `handle` in `context`.
    pub const fn new(context: u32, handle: u64) -> Self {
        Self {
            context,
            handle,
            items: PhantomData,
        }
    }

    /// The bytes that travel.
    pub fn to_bytes(&self) -> [u8; SENDER_ADDRESS_LEN] {
        let mut bytes = [0; SENDER_ADDRESS_LEN];
        bytes[..4].copy_from_slice(&self.context.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.handle.to_le_bytes());
        bytes[12..].copy_from_slice(&SENDER_MAGIC);
        bytes
    }

    /// The address that `bytes` are; `None` when they are none.
    pub fn from_bytes(bytes: [u8; SENDER_ADDRESS_LEN]) -> Option<Self> {
        let [c0, c1, c2, c3, handle @ .., _, _, _, _] = bytes;
        let context = u32::from_le_bytes([c0, c1, c2, c3]);
        (bytes[12..] == SENDER_MAGIC).then(|| Self::new(context, u64::from_le_bytes(handle)))
    }
}

impl<T> Clone for SenderAddress<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SenderAddress<T> {}

impl<T> PartialEq for SenderAddress<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.context, self.handle) == (other.context, other.handle)
    }
}

impl<T> Eq for SenderAddress<T> {}

impl<T> fmt::Debug for SenderAddress<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handle {} of context {}", self.handle, self.context)
    }
}

impl<T> Serialize for SenderAddress<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_bytes().serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for SenderAddress<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Deserialize::deserialize(deserializer)?;
        Self::from_bytes(bytes).ok_or_else(|| D::Error::custom("this is not a sender"))
    }
}

/// The items are part of the shape, as an array of none of them: a caller whose sender takes other
/// items has another signature. The address itself means something to programs only.
impl<T: Schema> Schema for SenderAddress<T> {
    const SHAPE: Shape = Shape::TupleStruct(
        "Sender",
        &[Shape::Opaque("Sender"), Shape::Array(&T::SHAPE, 0)],
    );
}

/// Which context is meant: what a `Context` is while it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextAddress {
    /// Its id; 0 is the controller.
    pub id: u32,
    /// Its name. Empty when whoever wrote the address knew only the id.
    pub name: String,
    /// What images it runs, such as the text form of a target. Empty when unknown.
    pub target: String,
}

impl Schema for ContextAddress {
    const SHAPE: Shape = Shape::Opaque("Context");
}

/// A type that travels as an address: a `Sender` or a `Context` of either side.
pub trait Portable {
    /// What is written in its place.
    type Address: Serialize + DeserializeOwned;

    /// The value that the address stands for.
    fn from_address(address: Self::Address) -> Self;

    /// What stands for the value.
    fn to_address(&self) -> Self::Address;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_sender_is_sixteen_bytes_whatever_its_numbers() {
        for (context, handle) in [(0, 0), (7, 1000), (u32::MAX, u64::MAX)] {
            let address = SenderAddress::<u8>::new(context, handle);
            let bytes = postcard::to_allocvec(&address).unwrap();
            assert_eq!(bytes, address.to_bytes());
            assert_eq!(postcard::from_bytes(&bytes), Ok(address));
        }
    }

    #[test]
    fn other_bytes_are_no_sender() {
        let mut bytes = SenderAddress::<u8>::new(7, 1000).to_bytes();
        bytes[15] ^= 1;
        assert_eq!(SenderAddress::<u8>::from_bytes(bytes), None);
        assert!(postcard::from_bytes::<SenderAddress<u8>>(&bytes).is_err());
        assert!(core::str::from_utf8(&bytes[12..]).is_err());
    }

    #[test]
    fn senders_of_other_items_have_other_shapes() {
        let (one, other) = (SenderAddress::<u8>::SHAPE, SenderAddress::<u16>::SHAPE);
        assert_ne!(one, other);
        let text = alloc::format!("{:?}", SenderAddress::<u8>::new(7, 1000));
        assert_eq!(text.to_string(), "handle 1000 of context 7");
    }
}
