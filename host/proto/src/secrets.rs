//! Bytes that a password is in, on their way through this process: they are overwritten when they
//! are let go of, so that no memory of it that is read or dumped later has them.
//!
//! Only the one kind of message that asks for a context has any.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::control;
use crate::frame::{self, HEADER_LEN, Header};
use crate::id::Handle;

/// Whether a password may be in a message.
pub(crate) fn may_be_in(header: &Header) -> bool {
    header.handle == Handle::CONNECT
}

/// Whether one may be in what has come of a frame that starts with `header`.
pub(crate) fn may_be_behind(header: &[u8; HEADER_LEN]) -> bool {
    frame::announced_handle(header) == Handle::CONNECT
}

/// A frame's payload as it is kept.
pub(crate) fn keep(header: &Header, payload: &[u8]) -> Bytes {
    match may_be_in(header) {
        true => wiped_later(payload.to_vec()),
        false => Bytes::copy_from_slice(payload),
    }
}

/// The same of a whole frame that was put together, whose payload begins at `from`.
pub(crate) fn keep_rest(header: &Header, mut whole: BytesMut, from: usize) -> Bytes {
    if !may_be_in(header) {
        return whole.split_off(from).freeze();
    }
    let payload = wiped_later(whole[from..].to_vec());
    whole[..].zeroize();
    payload
}

/// A body, of which no other copy is made.
pub(crate) fn encode<T: Serialize>(body: &T) -> Bytes {
    let size = postcard::serialize_with_flavor(body, postcard::ser_flavors::Size::default());
    // A vector that has to grow leaves its old bytes behind.
    let exact = Vec::with_capacity(size.unwrap_or(0));
    let bytes = postcard::to_extend(body, exact);
    wiped_later(bytes.unwrap_or_else(|_| control::encode(body)))
}

fn wiped_later(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_a_body_with_a_password_is_encoded_as_any_other() {
        let body = ("sudo", Some(control::Password::from("hunter2")), 7_u32);
        assert_eq!(encode(&body), control::encode(&body));
    }
}
