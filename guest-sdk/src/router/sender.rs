//! The sending end of a stream of values.

use std::fmt;
use std::marker::PhantomData;

use offshoot_abi::router::Request;
use offshoot_abi::{Portable, Schema, SenderAddress, Shape};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{RouterError, done, encode};
use crate::imports;

/// Sends `T`s to a [`Receiver`](crate::Receiver) in some context.
///
/// It can be passed as an argument, returned, sent, and be part of a type marked `#[data]`. A
/// function may use a sender that it was handed without any grant, so this streams:
///
/// ```
/// use offshoot_guest::{Result, Sender, function};
///
/// /// Counts.
/// #[function]
/// pub fn count(out: Sender<u64>, up_to: u64) -> Result<()> {
///     for number in 0..up_to {
///         out.put(&number)?;
///     }
///     out.close()?;
///     Ok(())
/// }
/// ```
pub struct Sender<T> {
    context: u32,
    handle: u64,
    items: PhantomData<fn(T)>,
}

impl<T> Sender<T> {
    pub(super) fn new(context: u32, handle: u64) -> Self {
        Self {
            context,
            handle,
            items: PhantomData,
        }
    }

    /// Id of the context that receives.
    pub fn context_id(&self) -> u32 {
        self.context
    }

    /// Handle of the receiver in that context.
    pub fn handle(&self) -> u64 {
        self.handle
    }

    /// Sends one value, and waits while the receiver has as many as it takes.
    ///
    /// # Errors
    ///
    /// [`RouterError::Channel`] when the receiver or its context is gone,
    /// [`RouterError::NotGranted`] when the plugin was neither handed this sender nor granted the
    /// router.
    pub fn put(&self, value: &T) -> Result<(), RouterError>
    where
        T: Serialize,
    {
        let bytes = encode("what is sent", value)?;
        Ok(imports::send(self.context, self.handle, &bytes)?)
    }

    /// Tells the receiver that no more will come: whoever waits there is told at once.
    ///
    /// # Errors
    ///
    /// Fails as [`put`](Self::put) does.
    pub fn close(&self) -> Result<(), RouterError> {
        done(Request::SendDead {
            context: self.context,
            handle: self.handle,
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.context, self.handle)
    }
}

impl<T> PartialEq for Sender<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.context, self.handle) == (other.context, other.handle)
    }
}

impl<T> Eq for Sender<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.to_address())
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_address().serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SenderAddress::deserialize(deserializer).map(Self::from_address)
    }
}

impl<T> Portable for Sender<T> {
    type Address = SenderAddress<T>;

    fn from_address(address: SenderAddress<T>) -> Self {
        Self::new(address.context, address.handle)
    }

    fn to_address(&self) -> SenderAddress<T> {
        SenderAddress::new(self.context, self.handle)
    }
}

impl<T: Schema> Schema for Sender<T> {
    const SHAPE: Shape = SenderAddress::<T>::SHAPE;
}
