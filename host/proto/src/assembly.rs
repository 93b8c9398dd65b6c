//! Puts the frames of a message together again at its destination.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::Map;
use crate::frame::{Arrived, Header};
use crate::id::{ContextId, Handle, LinkId};
use crate::message::{Body, Dead, Message};

/// The messages that are still arriving.
///
/// A source sends the messages for one handle one after the other, so there is one of each at
/// most. With the rule that nothing is begun that nobody waits for, this bounds what a source can
/// make us hold: it is what we asked it for.
#[derive(Debug, Default)]
pub(crate) struct Assemblies {
    open: Map<Key, Assembly>,
    /// Bytes that those will have which nobody asked for, by link.
    unasked: Map<LinkId, u64>,
}

/// How much larger than what has arrived a buffer may grow at once.
const GROWTH: usize = 4;

type Key = (LinkId, ContextId, Handle);

#[derive(Debug)]
struct Assembly {
    header: Header,
    payload: BytesMut,
    claim: Claim,
}

/// What a message in several frames has a right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It was asked for, or comes from above.
    Asked,
    /// It comes to a handle where anyone may send, or send often: it counts from its first frame
    /// as if it were here.
    Unasked,
}

/// What came of a frame.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The message is whole.
    Whole(Message),
    /// More frames must come.
    Partial,
    /// The frame continues a message whose start was dropped or refused.
    Stray,
    /// The frame contradicts the message that it says it belongs to.
    Contradiction,
}

impl Assemblies {
    /// Takes in a frame whose source was checked, whose size is allowed and whose message is
    /// wanted.
    pub(crate) fn push(&mut self, link: LinkId, frame: Arrived<'_>, claim: Claim) -> Arrival {
        let header = frame.header;
        let key = (link, header.src, header.handle);
        // What was begun must end first: else its beginning would stay for ever.
        let replaced = header.first && !self.open.is_empty() && self.remove(&key).is_some();
        if header.first && header.last {
            return if replaced {
                Arrival::Contradiction
            } else {
                Arrival::Whole(message(&header, frame.keep().payload))
            };
        }
        let payload = &*frame.payload;
        if header.first {
            if claim == Claim::Unasked {
                *self.unasked.entry(link).or_default() += u64::from(header.total);
            }
            // Memory grows with what arrives, not with what was announced.
            let payload = BytesMut::from(payload);
            let assembly = Assembly {
                header,
                payload,
                claim,
            };
            self.open.insert(key, assembly);
            return if replaced {
                Arrival::Contradiction
            } else {
                Arrival::Partial
            };
        }
        let Some(assembly) = self.open.get_mut(&key) else {
            return Arrival::Stray;
        };
        let begun = &assembly.header;
        if begun.number != header.number {
            return Arrival::Stray;
        }
        let same = begun.dst == header.dst
            && begun.auth == header.auth
            && begun.dead == header.dead
            && begun.stream == header.stream
            && begun.total == header.total;
        let length = assembly.payload.len() + payload.len();
        let total = header.total as usize;
        if !same || length > total || header.last != (length == total) {
            self.remove(&key);
            return Arrival::Contradiction;
        }
        if assembly.payload.capacity() < length {
            // Twice as much would be copied as often again; all of it, a peer could make us hold.
            let more = (GROWTH * length).min(total) - assembly.payload.len();
            assembly.payload.reserve(more);
        }
        assembly.payload.extend_from_slice(payload);
        if !header.last {
            return Arrival::Partial;
        }
        match self.remove(&key) {
            Some(whole) => Arrival::Whole(message(&whole.header, whole.payload.freeze())),
            None => Arrival::Stray,
        }
    }

    /// Bytes of unasked messages that are arriving on a link.
    pub(crate) fn unasked(&self, link: LinkId) -> u64 {
        self.unasked.get(&link).copied().unwrap_or(0)
    }

    /// Forgets what was begun for a handle that nobody listens on any more; `from` is the only
    /// one that could, if it is known. Gives who waits for an answer, and where, in order.
    pub(crate) fn close(
        &mut self,
        handle: Handle,
        from: Option<(LinkId, ContextId)>,
    ) -> Vec<(ContextId, Handle)> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let dropped = match from {
            Some((link, source)) => {
                let dropped = self.remove(&(link, source, handle));
                dropped.into_iter().collect()
            }
            None => self.remove_where(|key| key.2 == handle),
        };
        let asks = |header: &Header| !header.dead && header.reply_to != Handle::NONE;
        let headers = dropped.iter().map(|assembly| &assembly.header);
        let mut waiting: Vec<_> = headers
            .filter(|header| asks(header))
            .map(|header| (header.src, header.reply_to))
            .collect();
        waiting.sort_unstable();
        waiting
    }

    /// Forgets what a lost link had begun.
    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.remove_where(|key| key.0 == link);
    }

    /// Forgets what lost contexts had begun. `lost` is sorted.
    pub(crate) fn remove_sources(&mut self, lost: &[ContextId]) {
        self.remove_where(|key| lost.binary_search(&key.1).is_ok());
    }

    /// Messages that are still arriving, and bytes of them that are here.
    pub(crate) fn gauges(&self) -> (usize, usize) {
        let bytes = self
            .open
            .values()
            .map(|assembly| assembly.payload.len())
            .sum();
        (self.open.len(), bytes)
    }

    fn remove_where(&mut self, gone: impl Fn(&Key) -> bool) -> Vec<Assembly> {
        let dropped: Vec<_> = self.open.extract_if(|key, _| gone(key)).collect();
        let mut assemblies = Vec::with_capacity(dropped.len());
        for (key, assembly) in dropped {
            self.release(key.0, &assembly);
            assemblies.push(assembly);
        }
        assemblies
    }

    fn remove(&mut self, key: &Key) -> Option<Assembly> {
        let assembly = self.open.remove(key)?;
        self.release(key.0, &assembly);
        Some(assembly)
    }

    fn release(&mut self, link: LinkId, assembly: &Assembly) {
        if assembly.claim == Claim::Unasked
            && let Some(bytes) = self.unasked.get_mut(&link)
        {
            *bytes -= u64::from(assembly.header.total);
            if *bytes == 0 {
                self.unasked.remove(&link);
            }
        }
    }
}

fn message(header: &Header, payload: Bytes) -> Message {
    Message {
        dst: header.dst,
        src: header.src,
        auth: header.auth,
        handle: header.handle,
        reply_to: header.reply_to,
        stream: header.stream,
        answer: header.answer,
        body: if header.dead {
            Body::Dead(Dead::from_bytes(&payload))
        } else {
            Body::Data(payload)
        },
    }
}
