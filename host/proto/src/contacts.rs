//! Whom else the contexts behind a link have sent to, or receive streams from.
//!
//! Where siblings may talk, a context may wait for one that is neither above nor below
//! it, and must learn that it is gone. This is how its parent knows that it cares.

use alloc::vec::Vec;

use crate::Set;
use crate::id::ContextId;
use crate::limits::CONTACTS_MAX;

/// Contexts elsewhere that the contexts behind one link have sent to.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    ids: Set<ContextId>,
    /// There were too many to tell them apart.
    everyone: bool,
}

impl Contacts {
    /// Notes that a message went to `id`.
    pub(crate) fn note(&mut self, id: ContextId) {
        if self.everyone {
            return;
        }
        if self.ids.len() >= CONTACTS_MAX && !self.ids.contains(&id) {
            self.everyone = true;
            self.ids = Set::default();
            return;
        }
        self.ids.insert(id);
    }

    /// Takes out those of `lost` that were sent to.
    pub(crate) fn take(&mut self, lost: &[ContextId]) -> Vec<ContextId> {
        if self.everyone {
            return lost.to_vec();
        }
        if self.ids.is_empty() {
            return Vec::new();
        }
        lost.iter()
            .copied()
            .filter(|id| self.ids.remove(id))
            .collect()
    }

    /// How many are told apart.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b040_too_many_contacts_are_told_of_every_loss() {
        let mut contacts = Contacts::default();
        let ids: Vec<_> = (1..=CONTACTS_MAX as u32 + 1).map(ContextId).collect();
        for &id in &ids[..CONTACTS_MAX] {
            contacts.note(id);
        }
        let stranger = ContextId(u32::MAX);
        assert_eq!(contacts.take(&[ids[0], stranger]), [ids[0]]);
        assert_eq!(contacts.take(&[ids[0]]), []);
        contacts.note(ids[0]);
        contacts.note(ids[CONTACTS_MAX]);
        assert_eq!(contacts.len(), 0);
        assert_eq!(contacts.take(&[stranger]), [stranger]);
    }
}
