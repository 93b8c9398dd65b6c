//! Puts the frames of a message together again at its destination.

use bytes::{Bytes, BytesMut};

use crate::Map;
use crate::frame::{Frame, Header};
use crate::id::{ContextId, Handle, LinkId};
use crate::message::{Body, Dead, Message};

/// The messages that are still arriving.
///
/// A source sends the messages for one handle one after the other, so there is one of each at
/// most. With the rule that nothing is begun that nobody waits for, this bounds what a source can
/// make us hold: it is what we asked it for.
#[derive(Debug, Default)]
pub(crate) struct Assemblies {
    open: Map<(LinkId, ContextId, Handle), Assembly>,
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
}

impl Assemblies {
    /// Takes in a frame whose source was checked, whose size is allowed and whose message is
    /// wanted.
    pub(crate) fn push(&mut self, link: LinkId, frame: Frame) -> Arrival {
        let Frame { header, payload } = frame;
        if header.first && header.last {
            return Arrival::Whole(message(&header, payload));
        }
        let key = (link, header.src, header.handle);
        if header.first {
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
        if begun.number != header.number {
            return Arrival::Stray;
        }
        let same = begun.dst == header.dst
            && begun.auth == header.auth
            && begun.dead == header.dead
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

    /// Forgets the part of an answer that nobody waits for any more.
    pub(crate) fn forget(&mut self, link: LinkId, source: ContextId, handle: Handle) {
        self.open.remove(&(link, source, handle));
    }

    /// Forgets what a lost link had begun.
    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.open.retain(|key, _| key.0 != link);
    }

    /// Forgets what a lost context had begun.
    pub(crate) fn forget_source(&mut self, source: ContextId) {
        self.open.retain(|key, _| key.1 != source);
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
}

fn message(header: &Header, payload: Bytes) -> Message {
    Message {
        dst: header.dst,
        src: header.src,
        auth: header.auth,
        handle: header.handle,
        reply_to: header.reply_to,
        stream: header.stream,
        body: if header.dead {
            Body::Dead(Dead::from_bytes(&payload))
        } else {
            Body::Data(payload)
        },
    }
}
