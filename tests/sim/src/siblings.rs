//! Contexts wait for others that are neither above nor below them.
//!
//! What they ask is refused, wherever it arrives: by the one that was asked, which takes orders
//! from its ancestors only, or on the way, where siblings may not talk. So each question has one
//! right answer, and must have one also when someone on the way is lost.

use offshoot_proto::{Body, ContextId, DeadKind, Handle, SendError};

use crate::growth::order;
use crate::model::Way;
use crate::world::World;

impl World {
    /// Two that are in different branches, of which one waits for the other.
    pub(crate) fn ask_sibling(&mut self) {
        let (Some(asker), Some(asked)) = (self.pick_up(), self.pick_up()) else {
            return;
        };
        let related = self.is_above(asker, asked) || self.is_above(asked, asker);
        let asked_id = self.processes[asked].id;
        // What is not announced everywhere is not there yet.
        if related || !self.knows(0, asked_id) {
            return;
        }
        let now = self.instant();
        let Some(node) = self.node(asker) else {
            return;
        };
        let made = node.connect_via(asked_id, &order(ContextId(u32::MAX)), now);
        self.note(|| format!("process {asker} asks process {asked}: {made:?}"));
        match made {
            Ok(handle) => {
                self.asks.insert((asker, handle), asked);
            }
            Err(SendError::NoRoute(_)) if self.way(0, asker) != Way::Healthy => {}
            Err(error) => self.fail(format!("process {asker} cannot ask: {error}")),
        }
        self.drain(asker);
    }

    /// Handles that contexts wait on for siblings.
    pub(crate) fn sibling_waits(&self) -> Vec<(ContextId, Handle)> {
        self.asks
            .keys()
            .map(|&(asker, handle)| (self.processes[asker].id, handle))
            .collect()
    }

    /// What became of a question; `None` when it is none of these.
    pub(crate) fn on_sibling(
        &mut self,
        asker: usize,
        handle: Handle,
        src: ContextId,
        body: Option<&Body>,
    ) -> Option<()> {
        let asked = self.asks.remove(&(asker, handle))?;
        let way = self.way_between(asker, asked);
        if way == Way::Evil {
            return Some(());
        }
        let right = match body {
            Some(Body::Dead(dead)) if way == Way::Healthy => {
                let by = if self.profile.siblings {
                    asked
                } else {
                    self.meeting(asker, asked)
                };
                dead.kind == DeadKind::Refused && src == self.processes[by].id
            }
            Some(Body::Dead(dead)) => matches!(
                dead.kind,
                DeadKind::Disconnected | DeadKind::NoRoute | DeadKind::Refused
            ),
            Some(Body::Data(_)) | None => false,
        };
        if !right {
            self.fail(format!(
                "process {asker} asked process {asked}, and {src} answered {body:?}"
            ));
        }
        Some(())
    }

    /// The lowest context above both.
    fn meeting(&self, one: usize, other: usize) -> usize {
        let mut at = one;
        while !self.is_above(at, other) {
            at = self.processes[at].parent.unwrap_or(0);
        }
        at
    }

    pub(crate) fn way_between(&self, one: usize, other: usize) -> Way {
        let meeting = self.meeting(one, other);
        let ways = [self.way(meeting, one), self.way(meeting, other)];
        // Where they meet may be lost as well, and with it the way to anyone who could tell.
        let above = self.way(0, meeting);
        if ways.contains(&Way::Evil) || above == Way::Evil {
            Way::Evil
        } else if ways == [Way::Healthy; 2] && above == Way::Healthy {
            Way::Healthy
        } else {
            Way::Broken
        }
    }
}
