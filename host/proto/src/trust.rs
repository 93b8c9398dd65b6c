//! Decides whether a frame may be what it says it is.
//!
//! A parent is trusted to speak for everyone above and beside us. A child is trusted to speak
//! for itself and for what we placed below it, and for nobody else. What fails the check is
//! dropped and counted against the link: it is refused, never merely reported.

use crate::frame::Arrived;
use crate::id::{ContextId, LinkId};
use crate::limits::HOPS_MAX;
use crate::link::Side;
use crate::topology::{Hop, Topology};

/// A frame whose source and authority belong to the link that it arrived on.
#[derive(Debug)]
pub(crate) struct Trusted<'a> {
    pub(crate) link: LinkId,
    pub(crate) side: Side,
    pub(crate) frame: Arrived<'a>,
}

/// What a peer did that no peer of this build would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The source is not reached by the link that the message came from.
    #[error("a message claims to be from context {0}, which is elsewhere")]
    Source(ContextId),
    /// Nor is the context whose authority it claims.
    #[error("a message claims the authority of context {0}, which is elsewhere")]
    Authority(ContextId),
    /// It went round and round.
    #[error("a message has crossed {HOPS_MAX} links")]
    Hops,
    /// Its frames do not fit together.
    #[error("frames of one message contradict each other")]
    Contradiction,
    /// It tells us of contexts that it has no say in.
    #[error("an announcement about contexts that are elsewhere")]
    Announcement,
    /// It uses a handle that is reserved for someone else.
    #[error("a control message from a context that must not send it")]
    Control,
}

/// Checks where `frame` says it is from against where it came from.
pub(crate) fn authenticate<'a>(
    topology: &Topology,
    link: LinkId,
    side: Side,
    frame: Arrived<'a>,
) -> Result<Trusted<'a>, Violation> {
    let header = &frame.header;
    let belongs = |id| topology.hop(id) == Some(Hop::Link(link));
    if !belongs(header.src) {
        return Err(Violation::Source(header.src));
    }
    if header.auth != header.src && !belongs(header.auth) {
        return Err(Violation::Authority(header.auth));
    }
    if header.hops >= HOPS_MAX {
        return Err(Violation::Hops);
    }
    Ok(Trusted { link, side, frame })
}
