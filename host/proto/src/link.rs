//! This context's view of one link to a neighbour.

use alloc::vec::Vec;

use crate::Set;
use crate::contacts::Contacts;
use crate::control::{HoldBack, ImageHash};
use crate::decoder::Decoder;
use crate::id::{ContextId, LinkId};
use crate::keepalive::KeepAlive;
use crate::outbox::Outbox;

/// Which neighbour a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our parent.
    Parent,
    /// A child of ours.
    Child,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) side: Side,
    pub(crate) peer: ContextId,
    pub(crate) decoder: Decoder,
    pub(crate) outbox: Outbox,
    /// Forged or impossible messages so far.
    pub(crate) violations: u32,
    /// Contexts elsewhere that those behind the link have sent to.
    pub(crate) contacts: Contacts,
    /// Answers of contexts elsewhere that those behind the link have asked for and not got.
    pub(crate) asked: u64,
    /// Images that the peer has or that are on their way to it.
    pub(crate) images: Set<ImageHash>,
    /// The full link that this one's messages wait for.
    pub(crate) blocked_by: Option<LinkId>,
    /// Whose large messages are held back for this link's sake: by which link they come, and for
    /// which context they are.
    pub(crate) held_back: Vec<(LinkId, ContextId)>,
    /// What the peer is to be told of that, in order, once the link has room: each context once, so
    /// that a peer that feeds us and does not read cannot make this grow.
    pub(crate) wishes: Vec<HoldBack>,
    /// Whether the peer has asked for a sign of life.
    pub(crate) owes_sign: bool,
    /// Whether the driver was told that there is something to send.
    pub(crate) announced: bool,
    /// When it must next be heard of, if that is watched.
    pub(crate) pulse: Option<KeepAlive>,
}

impl Link {
    pub(crate) fn new(side: Side, peer: ContextId) -> Self {
        Self {
            side,
            peer,
            decoder: Decoder::default(),
            outbox: Outbox::new(peer),
            violations: 0,
            contacts: Contacts::default(),
            asked: 0,
            images: Set::default(),
            blocked_by: None,
            held_back: Vec::new(),
            wishes: Vec::new(),
            owes_sign: false,
            announced: false,
            pulse: None,
        }
    }
}
