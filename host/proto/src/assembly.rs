//! Puts the frames of a message together again at its destination.

use bytes::{Bytes, BytesMut};

use crate::Map;
use crate::frame::{Frame, Header};
use crate::id::{ContextId, LinkId};
use crate::limits::ASSEMBLIES_MAX;
use crate::message::{Body, Dead, Message};

/// The messages that are still arriving.
#[derive(Debug, Default)]
pub(crate) struct Assemblies {
    open: Map<(LinkId, ContextId, u32), Assembly>,
}

#[derive(Debug)]
struct Assembly {
    header: Header,
    payload: BytesMut,
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
    /// Too many messages have been begun and not ended.
    Full,
}

impl Assemblies {
    /// Takes in a frame whose source was checked and whose size is allowed.
    pub(crate) fn push(&mut self, link: LinkId, frame: Frame) -> Arrival {
        let Frame { header, payload } = frame;
        if header.first && header.last {
            return Arrival::Whole(message(&header, payload));
        }
        let key = (link, header.src, header.number);
        if header.first {
            if self.open.len() >= ASSEMBLIES_MAX {
                return Arrival::Full;
            }
            // Memory grows with what arrives, not with what was announced.
            let payload = BytesMut::from(&payload[..]);
            let replaced = self.open.insert(key, Assembly { header, payload });
            return match replaced {
                None => Arrival::Partial,
                Some(_) => Arrival::Contradiction,
            };
        }
        let Some(assembly) = self.open.get_mut(&key) else {
            return Arrival::Stray;
        };
        let begun = &assembly.header;
        let same = begun.dst == header.dst
            && begun.handle == header.handle
            && begun.auth == header.auth
            && begun.total == header.total;
        let length = assembly.payload.len() + payload.len();
        let total = header.total as usize;
        if !same || length > total || header.last != (length == total) {
            self.open.remove(&key);
            return Arrival::Contradiction;
        }
        assembly.payload.extend_from_slice(&payload);
        if !header.last {
            return Arrival::Partial;
        }
        match self.open.remove(&key) {
            Some(whole) => Arrival::Whole(message(&whole.header, whole.payload.freeze())),
            None => Arrival::Stray,
        }
    }

    /// Forgets what a lost link had begun.
    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.open.retain(|key, _| key.0 != link);
    }

    /// Forgets what a lost context had begun.
    pub(crate) fn forget_source(&mut self, source: ContextId) {
        self.open.retain(|key, _| key.1 != source);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

fn message(header: &Header, payload: Bytes) -> Message {
    Message {
        dst: header.dst,
        src: header.src,
        auth: header.auth,
        handle: header.handle,
        reply_to: header.reply_to,
        body: if header.dead {
            Body::Dead(Dead::from_bytes(&payload))
        } else {
            Body::Data(payload)
        },
    }
}
