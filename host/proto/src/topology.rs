//! Which contexts there are below this one, and the link that leads to each.

use alloc::vec::Vec;

use crate::id::{ContextId, LinkId};
use crate::index::Index;
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
    /// The same by their parents.
    children: Index<ContextId, ContextId>,
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
            children: Index::default(),
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
        match self.below.get(&id) {
            Some(below) if below.link == link => {
                self.children.remove(below.parent, id);
                self.below.remove(&id);
                true
            }
            _ => false,
        }
    }

    /// `ids` and all that is known to be below them, in order of ids.
    pub(crate) fn subtrees(&self, ids: Vec<ContextId>) -> Vec<ContextId> {
        let mut found = Set::default();
        let mut unvisited = ids;
        while let Some(id) = unvisited.pop() {
            if self.below.contains_key(&id) && found.insert(id) {
                unvisited.extend(self.children.get(id));
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        found
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
        self.children.insert(parent, id);
    }

    pub(crate) fn is_known(&self, id: ContextId) -> bool {
        id == self.me
            || self.below.contains_key(&id)
            || self.expected.contains(&id)
            || self.ancestors.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);

    /// `count` contexts behind one link, each but the first below one with half its number.
    fn tree(count: u32) -> Topology {
        let mut topology = Topology::new(ContextId::CONTROLLER, Vec::new());
        assert!(topology.expect(ContextId(1)) && topology.attach(ContextId(1), LINK));
        for id in 2..=count {
            assert_eq!(topology.place(ContextId(id), ContextId(id / 2)), Some(LINK));
        }
        topology
    }

    #[test]
    fn subtrees_have_all_that_is_below_once() {
        let topology = tree(15);
        let ids = [3, 6, 99, 5].map(ContextId).into();
        let found: Vec<u32> = topology.subtrees(ids).iter().map(|id| id.0).collect();
        assert_eq!(found, [3, 5, 6, 7, 10, 11, 12, 13, 14, 15]);
    }

    /// With a look at all contexts for each that is lost this would not end.
    #[test]
    fn l2_a_loss_looks_only_at_what_is_lost() {
        let count = 100_000;
        let mut topology = tree(count);
        let all: Vec<_> = (1..=count).map(ContextId).collect();
        assert_eq!(topology.subtrees(all.clone()), all);
        for id in (1..=count).rev().map(ContextId) {
            assert_eq!(topology.subtrees(alloc::vec![id]), [id]);
            assert!(topology.remove(id, LINK));
        }
        assert!(topology.len() == 0 && topology.children.is_empty());
    }
}
