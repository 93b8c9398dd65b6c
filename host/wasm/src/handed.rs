//! Which senders an instance was handed.
//!
//! A plugin without the router may still answer through a sender that its caller passed to it, and
//! one with the router may send where it could not otherwise.
//! The engine does not know the types of arguments, but a sender's address has a fixed form, so
//! those in the arguments can be found.

use std::collections::{HashSet, VecDeque};

use offshoot_abi::{SENDER_ADDRESS_LEN, SENDER_MAGIC, SenderAddress};

/// Addresses that one instance keeps, 16 bytes each in two tables: 4 MiB at most. Those of the
/// oldest calls go first.
const ADDRESSES_MAX: usize = 1 << 16;

/// The addresses in the arguments of the calls so far.
#[derive(Default)]
pub(super) struct PermittedSenders {
    known: HashSet<(u32, u64)>,
    order: VecDeque<(u32, u64)>,
}

impl PermittedSenders {
    /// Remembers the addresses in a call's arguments.
    pub(super) fn note(&mut self, arguments: &[u8]) {
        const BEFORE: usize = SENDER_ADDRESS_LEN - SENDER_MAGIC.len();
        let mut from = BEFORE;
        while let Some(rest) = arguments.get(from..) {
            let Some(found) = rest.iter().position(|&byte| byte == SENDER_MAGIC[0]) else {
                return;
            };
            let magic = from + found;
            let bytes = arguments.get(magic - BEFORE..magic + SENDER_MAGIC.len());
            let address = bytes.and_then(|bytes| bytes.try_into().ok());
            if let Some(address) = address.and_then(SenderAddress::<()>::from_bytes) {
                self.remember((address.context, address.handle));
            }
            from = magic + 1;
        }
    }

    /// Whether the instance was handed a sender of that address.
    pub(super) fn has(&self, context: u32, handle: u64) -> bool {
        self.known.contains(&(context, handle))
    }

    /// Remembers an address that the instance may send to from now on.
    pub(super) fn remember(&mut self, address: (u32, u64)) {
        if !self.known.insert(address) {
            return;
        }
        self.order.push_back(address);
        if self.order.len() > ADDRESSES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(context: u32, handle: u64) -> [u8; SENDER_ADDRESS_LEN] {
        SenderAddress::<u8>::new(context, handle).to_bytes()
    }

    #[test]
    fn addresses_are_found_wherever_they_are() {
        let mut handed = PermittedSenders::default();
        handed.note(&address(1, 2));
        let sent = (
            7u8,
            SenderAddress::<u8>::new(3, 4),
            "text",
            vec![SenderAddress::<u8>::new(5, 6); 2],
        );
        handed.note(&postcard::to_allocvec(&sent).unwrap());
        for (context, handle) in [(1, 2), (3, 4), (5, 6)] {
            assert!(handed.has(context, handle), "{context} {handle}");
        }
        assert!(!handed.has(1, 4));
        assert_eq!(handed.known.len(), 3);
    }

    #[test]
    fn half_an_address_is_none() {
        let whole = address(1, 2);
        for length in 0..whole.len() {
            let mut handed = PermittedSenders::default();
            handed.note(&whole[..length]);
            handed.note(&whole[whole.len() - length..]);
            assert!(handed.known.is_empty(), "{length}");
        }
        let mut handed = PermittedSenders::default();
        handed.note(&[SENDER_MAGIC[0]; 100]);
        assert!(handed.known.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut handed = PermittedSenders::default();
        for handle in 0..=ADDRESSES_MAX as u64 {
            handed.note(&address(1, handle));
        }
        assert!(!handed.has(1, 0));
        assert!(handed.has(1, 1));
        assert!(handed.has(1, ADDRESSES_MAX as u64));
        assert_eq!(handed.known.len(), ADDRESSES_MAX);
    }
}
