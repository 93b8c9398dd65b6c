//! This context's view of one link to a neighbour.

use alloc::vec::Vec;

use crate::Set;
use crate::contacts::Contacts;
use crate::control::{ImageHash, Pause};
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
    /// Large messages that were paused for the sake of this link: the link that they come by, and
    /// the context that they are for.
    pub(crate) paused: Vec<(LinkId, ContextId)>,
    /// Requests to pause or resume that wait until the link has room, in order. Each context is in
    /// it once, so that a peer that feeds this context and does not read cannot make it grow.
    pub(crate) pending_pauses: Vec<Pause>,
    /// Whether the peer, a child, was told to detach itself.
    pub(crate) detaching: bool,
    /// Whether it was asked to end.
    pub(crate) ending: bool,
    /// Whether a keepalive reply is due.
    pub(crate) owes_alive: bool,
    /// Whether the driver was told that there is something to send.
    pub(crate) announced: bool,
    /// The keepalive, for a link that does not end by itself.
    pub(crate) keepalive: Option<KeepAlive>,
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
            paused: Vec::new(),
            pending_pauses: Vec::new(),
            detaching: false,
            ending: false,
            owes_alive: false,
            announced: false,
            keepalive: None,
        }
    }
}
