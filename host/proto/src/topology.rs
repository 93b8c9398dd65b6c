//! Which contexts there are below this one, and the link that leads to each.

use alloc::vec::Vec;

use crate::id::{ContextId, LinkId};
use crate::limits::CONTEXTS_MAX;
use crate::{Map, Set};

/// Who this context is, and the part of the tree that it knows.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) me: ContextId,
    /// From the nearest ancestor to the controller.
    pub(crate) ancestors: Vec<ContextId>,
    parent_link: Option<LinkId>,
    below: Map<ContextId, Below>,
    /// Ids that may appear as our direct children.
    expected: Set<ContextId>,
}

#[derive(Debug)]
struct Below {
    link: LinkId,
    parent: ContextId,
    /// Impossible messages that it sent us through others.
    violations: u32,
}

/// Where a message goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Here,
    Link(LinkId),
}

impl Topology {
    pub(crate) fn new(me: ContextId, ancestors: Vec<ContextId>) -> Self {
        Self {
            me,
            ancestors,
            parent_link: None,
            below: Map::default(),
            expected: Set::default(),
        }
    }

    pub(crate) fn parent_link(&self) -> Option<LinkId> {
        self.parent_link
    }

    pub(crate) fn set_parent_link(&mut self, link: Option<LinkId>) {
        self.parent_link = link;
    }

    /// The next hop towards `id`. What is not below us is above us, as far as we know.
    pub(crate) fn hop(&self, id: ContextId) -> Option<Hop> {
        if id == self.me {
            return Some(Hop::Here);
        }
        if let Some(below) = self.below.get(&id) {
            return Some(Hop::Link(below.link));
        }
        // An id that was promised to a child of ours is nowhere else.
        if self.expected.contains(&id) {
            return None;
        }
        self.parent_link.map(Hop::Link)
    }

    /// The link to `id` and its parent, when it is below us.
    pub(crate) fn way_to(&self, id: ContextId) -> Option<(LinkId, ContextId)> {
        self.below.get(&id).map(|below| (below.link, below.parent))
    }

    /// The link to `id`, when it is below us.
    pub(crate) fn link_below(&self, id: ContextId) -> Option<LinkId> {
        self.below.get(&id).map(|below| below.link)
    }

    /// Allows `id` to appear as our direct child.
    pub(crate) fn expect(&mut self, id: ContextId) -> bool {
        !self.is_known(id) && self.expected.insert(id)
    }

    /// Whether `id` may appear as our direct child.
    pub(crate) fn expects(&self, id: ContextId) -> bool {
        self.expected.contains(&id)
    }

    /// Takes that back.
    pub(crate) fn remove_expected(&mut self, id: ContextId) -> bool {
        self.expected.remove(&id)
    }

    /// Places a direct child that was expected.
    pub(crate) fn attach(&mut self, id: ContextId, link: LinkId) -> bool {
        let expected = self.expected.remove(&id);
        if expected {
            let parent = self.me;
            self.insert(id, link, parent);
        }
        expected
    }

    /// Places `id` below `parent`, which is below us. Gives the link to both.
    pub(crate) fn place(&mut self, id: ContextId, parent: ContextId) -> Option<LinkId> {
        let link = self.link_below(parent)?;
        if self.is_known(id) || self.is_full() {
            return None;
        }
        self.insert(id, link, parent);
        Some(link)
    }

    /// Counts an offence of a context below us; gives how many there are now.
    pub(crate) fn count_offence(&mut self, id: ContextId) -> u32 {
        self.below.get_mut(&id).map_or(0, |below| {
            below.violations = below.violations.saturating_add(1);
            below.violations
        })
    }

    /// Removes `id`; says whether it was there and reached by `link`.
    pub(crate) fn remove(&mut self, id: ContextId, link: LinkId) -> bool {
        let there = self.link_below(id) == Some(link);
        if there {
            self.below.remove(&id);
        }
        there
    }

    /// All that is reached by `link`, in order of ids.
    pub(crate) fn behind(&self, link: LinkId) -> Vec<ContextId> {
        let behind = self.below.iter().filter(|(_, below)| below.link == link);
        let mut ids: Vec<_> = behind.map(|(&id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// `id` and all that is known to be below it, in order of ids.
    pub(crate) fn subtree(&self, id: ContextId) -> Vec<ContextId> {
        let mut ids: Vec<_> = self
            .below
            .keys()
            .copied()
            .filter(|&below| self.is_above(id, below) || below == id)
            .collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn is_ancestor(&self, id: ContextId) -> bool {
        self.ancestors.contains(&id)
    }

    /// Whether `upper` is known to be above `lower`.
    pub(crate) fn is_above(&self, upper: ContextId, lower: ContextId) -> bool {
        let mut at = lower;
        while let Some(below) = self.below.get(&at) {
            if below.parent == upper {
                return true;
            }
            at = below.parent;
        }
        false
    }

    /// Contexts known below us, in order.
    pub(crate) fn ids(&self) -> Vec<ContextId> {
        let mut ids: Vec<_> = self.below.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// How many those are.
    pub(crate) fn len(&self) -> usize {
        self.below.len()
    }

    /// Contexts known below us, and those that may appear as our children.
    pub(crate) fn places(&self) -> usize {
        self.below.len() + self.expected.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.places() >= CONTEXTS_MAX
    }

    fn insert(&mut self, id: ContextId, link: LinkId, parent: ContextId) {
        let below = Below {
            link,
            parent,
            violations: 0,
        };
        self.below.insert(id, below);
    }

    pub(crate) fn is_known(&self, id: ContextId) -> bool {
        id == self.me
            || self.below.contains_key(&id)
            || self.expected.contains(&id)
            || self.ancestors.contains(&id)
    }
}
