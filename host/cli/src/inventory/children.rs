//! The relations between groups.

use std::collections::HashSet;

use super::{ALL, GroupId, HostId, Inventory, SourceLocation, UNGROUPED};
use crate::report::Diagnostic;

/// Groups one inside another.
///
/// Nobody nests them so deep; a bound keeps a walk up or down short.
const DEPTH_MAX: usize = 64;

impl Inventory {
    /// Makes a group a part of another.
    pub(super) fn add_child(
        &mut self,
        parent: GroupId,
        child: GroupId,
        at: &SourceLocation,
    ) -> Result<(), Diagnostic> {
        let name = |id: GroupId| &self.groups[id].name;
        if child == ALL || self.above(&[parent]).contains(&child) {
            let (parent, child) = (name(parent), name(child));
            return Err(at.problem(match parent == child {
                true => format!("group `{parent}` cannot be a part of itself"),
                false => format!(
                    "group `{child}` cannot be a part of `{parent}`, which is a part of `{child}`"
                ),
            }));
        }
        if !self.groups[parent].children.contains(&child) {
            self.groups[parent].children.push(child);
            self.groups[child].parents.push(parent);
            self.deepen(child, self.groups[parent].depth + 1, at)?;
        }
        Ok(())
    }

    /// The groups, and all that they are a part of. Each is there once.
    pub(super) fn above(&self, groups: &[GroupId]) -> Vec<GroupId> {
        let mut seen = HashSet::from([ALL]);
        let mut all = vec![ALL];
        let mut next = groups.to_vec();
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                all.push(id);
                next.extend(&self.groups[id].parents);
            }
        }
        all
    }

    /// Puts a group, and what is in it, so far below `all` at least.
    fn deepen(
        &mut self,
        child: GroupId,
        depth: usize,
        at: &SourceLocation,
    ) -> Result<(), Diagnostic> {
        let mut next = vec![(child, depth)];
        while let Some((id, depth)) = next.pop() {
            if depth > DEPTH_MAX {
                let what = format!("groups are nested more than {DEPTH_MAX} deep");
                return Err(at.problem(what));
            }
            let group = &mut self.groups[id];
            if group.depth < depth {
                group.depth = depth;
                next.extend(group.children.iter().map(|&child| (child, depth + 1)));
            }
        }
        Ok(())
    }

    /// The hosts of a group and of those in it: its own first, then level by level.
    pub(super) fn members(&self, group: GroupId) -> Vec<HostId> {
        if group == ALL {
            // Every host belongs to it, whether a file says so or not.
            return (0..self.hosts.len()).collect();
        }
        let mut seen_groups = HashSet::from([group]);
        let mut level = vec![group];
        let mut seen_hosts = HashSet::new();
        let mut members = Vec::new();
        while !level.is_empty() {
            let hosts = level.iter().flat_map(|&id| &self.groups[id].hosts);
            members.extend(hosts.copied().filter(|&host| seen_hosts.insert(host)));
            let below = level.iter().flat_map(|&id| &self.groups[id].children);
            level = below
                .copied()
                .filter(|&id| seen_groups.insert(id))
                .collect();
        }
        if group == UNGROUPED {
            members.retain(|&host| self.is_ungrouped(host));
        }
        members
    }

    /// A host may be named outside of all groups first, and inside of one later.
    fn is_ungrouped(&self, host: HostId) -> bool {
        let mut groups = self.hosts[host].groups.iter();
        groups.all(|&group| matches!(group, ALL | UNGROUPED))
    }
}
