//! How contexts below become known: by our own hand, by our parent's word, or by the word of a
//! child, which is believed for ids that were granted to a context there.

use alloc::vec::Vec;

use super::{Node, SendError};
use crate::control::{self, AddRoute};
use crate::id::{ContextId, Handle, LinkId};

/// A context below and the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The context.
    pub id: ContextId,
    /// The child of ours whose link leads there, which is the context itself when it is our child.
    pub through: ContextId,
    /// The context's parent.
    pub parent: ContextId,
}

/// Why a route was not added. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The context that the new one is to be below is not there.
    #[error("no route to context {0}")]
    UnknownVia(ContextId),
    /// The context is known already.
    #[error("context {0} is known already")]
    Known(ContextId),
    /// It was not allotted here.
    #[error("context id {0} was not allotted here, or has had its context; allocate one first")]
    NotAllotted(ContextId),
    /// There is no place for another context.
    #[error("no more places for contexts")]
    Full,
}

impl Node {
    /// Allots the id of a new child of `via`, or of a direct one, and announces it to the
    /// contexts on the way and to those above. What announces it is queued when this returns, so
    /// it is ahead of anything that the new context can send.
    ///
    /// # Errors
    ///
    /// Fails when `via` is gone or no ids are left, and with [`SendError::NeedsIds`] where
    /// [`request_ids`](Self::request_ids) must be called first.
    pub fn allocate_context(&mut self, via: Option<ContextId>) -> Result<ContextId, SendError> {
        let id = self.next_id()?;
        let parent = via.unwrap_or(self.topology.me);
        self.place(id, parent).map_err(|error| match error {
            RouteError::Full => SendError::Exhausted("places for contexts"),
            _ => SendError::NoRoute(parent),
        })?;
        self.blocks.take();
        Ok(id)
    }

    /// Whether `id` is for a context of this one's own making, directly or `via` another one,
    /// and not for one that an ancestor or a descendant makes below here. Whether there is such a
    /// context now does not matter.
    pub fn makes(&self, id: ContextId) -> bool {
        self.blocks.is_ours(id)
    }

    /// Places a context whose id [`allocate_id`](Self::allocate_id) gave, below `via` or, when
    /// that is this context, as a direct child that is expected.
    ///
    /// # Errors
    ///
    /// Says why it cannot be placed; nothing has changed then.
    pub fn add_route(&mut self, id: ContextId, via: ContextId) -> Result<(), RouteError> {
        if self.topology.is_known(id) {
            return Err(RouteError::Known(id));
        }
        if !self.blocks.is_unplaced(id) {
            return Err(RouteError::NotAllotted(id));
        }
        self.place(id, via)?;
        self.blocks.is_placed_now(id);
        Ok(())
    }

    /// All contexts below and the ways to them, in order of ids.
    pub fn routes(&self) -> Vec<Route> {
        let route = |id| {
            let (link, parent) = self.topology.way_to(id)?;
            let through = self.links.get(&link)?.peer;
            Some(Route {
                id,
                through,
                parent,
            })
        };
        self.topology.ids().into_iter().filter_map(route).collect()
    }

    /// Our parent says that a context will appear below `toward`, which is us or below us.
    pub(super) fn on_add_route(&mut self, route: &AddRoute) -> bool {
        if route.toward == self.topology.me {
            // The `CONNECT` that follows says so again, and expects it.
            return true;
        }
        let Some(link) = self.topology.place(route.id, route.toward) else {
            return false;
        };
        self.send_add_route(link, route);
        true
    }

    /// A child says that a context will appear below `toward`. It is believed if the id was
    /// granted to a context behind that child, which gives it to one of its own.
    pub(super) fn on_announced_route(&mut self, link: LinkId, route: &AddRoute) -> bool {
        let &AddRoute { id, toward } = route;
        let Some(owner) = self.blocks.owner(id) else {
            return false;
        };
        let behind = |id| self.topology.link_below(id) == Some(link);
        let owners = toward == owner || self.topology.is_above(owner, toward);
        if !behind(owner) || !behind(toward) || !owners {
            return false;
        }
        if self.topology.place(id, toward).is_none() {
            return false;
        }
        self.blocks.use_up(id);
        self.announce_up(route);
        self.stats.delivered += 1;
        true
    }

    /// Makes room for a context of ours, and tells all who must know.
    fn place(&mut self, id: ContextId, parent: ContextId) -> Result<(), RouteError> {
        if self.topology.is_full() {
            return Err(RouteError::Full);
        }
        let route = AddRoute { id, toward: parent };
        if parent == self.topology.me {
            if !self.topology.expect(id) {
                return Err(RouteError::Known(id));
            }
        } else {
            // It could not be asked for a child, and the id would stay behind.
            if self.banned.contains(&parent) {
                return Err(RouteError::UnknownVia(parent));
            }
            let placed = self.topology.place(id, parent);
            let link = placed.ok_or(RouteError::UnknownVia(parent))?;
            self.send_add_route(link, &route);
        }
        self.announce_up(&route);
        Ok(())
    }

    fn announce_up(&mut self, route: &AddRoute) {
        if let Some(parent) = self.topology.parent_link() {
            self.send_add_route(parent, route);
        }
    }

    fn send_add_route(&mut self, link: LinkId, route: &AddRoute) {
        self.send_to_neighbour(link, Handle::ADD_ROUTE, control::encode(route).into());
    }
}
