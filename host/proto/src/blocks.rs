//! Which context ids there are to give away, and to whom blocks of them were given.
//!
//! Ids come from above. The controller owns all of them; a context that makes contexts of its own
//! is granted blocks, and every hop on the way to it notes the grant. So each hop can tell an
//! announcement that somebody above allowed from one that a context made up, and an id that was
//! used up from one that is new. Nothing comes back: the ids of a lost context stay burnt.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::iter;
use core::ops::Range;

use crate::id::{ContextId, LinkId};
use crate::limits::{ID_BLOCK, ID_BLOCKS_MAX, ID_BLOCKS_PER_LINK_MAX, IDS_UNPLACED_MAX};
use crate::{Map, Set};

const WORDS: usize = (ID_BLOCK as usize).div_ceil(64);

#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Ids that this context may give away, in the order in which it does.
    own: VecDeque<Range<u32>>,
    /// All that it ever had to give, [`ID_BLOCKS_MAX`] ranges at most.
    had: Vec<Range<u32>>,
    /// Ids that it gave away and has not placed yet.
    unplaced: Set<ContextId>,
    /// Blocks of contexts below, by their first id.
    granted: BTreeMap<u32, Block>,
    /// Ids of those that were not announced yet.
    unannounced: usize,
    accounts: Map<ContextId, Account>,
    /// Blocks that the controller ever granted through each link.
    through: Map<LinkId, u32>,
}

#[derive(Debug)]
struct Block {
    owner: ContextId,
    count: u32,
    announced: [u64; WORDS],
}

impl Block {
    fn unannounced(&self) -> usize {
        let announced: u32 = self.announced.iter().map(|word| word.count_ones()).sum();
        self.count.saturating_sub(announced) as usize
    }

    /// The word and the bit of an id that is `offset` behind the first one.
    fn place(offset: u32) -> (usize, u64) {
        ((offset / 64) as usize, 1 << (offset % 64))
    }
}

/// What a context below was given, and made of it.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    blocks: u32,
    granted: u32,
    announced: u32,
}

/// Why a context gets no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBlock {
    #[error("it has used {announced} of the {granted} ids that it has, and gets more from half on")]
    HasEnough { announced: u32, granted: u32 },
    #[error("it has had {ID_BLOCKS_MAX} blocks of ids, which is all that one context gets")]
    OwnQuota,
    #[error(
        "it and its neighbours have had {ID_BLOCKS_PER_LINK_MAX} blocks of ids, which is all that \
         the contexts behind one child of the controller get"
    )]
    LinkQuota,
    #[error("no more context ids")]
    NoIds,
}

impl Blocks {
    /// What the controller begins with: every id but its own, and but the last one, so that
    /// counting never wraps.
    pub(crate) fn all() -> Self {
        Self {
            own: iter::once(1..u32::MAX).collect(),
            had: iter::once(1..u32::MAX).collect(),
            ..Self::default()
        }
    }

    /// The next id of our own, if one is left.
    pub(crate) fn next(&self) -> Option<ContextId> {
        self.own.front().map(|ids| ContextId(ids.start))
    }

    /// Takes the next id away for good.
    pub(crate) fn take(&mut self) -> Option<ContextId> {
        let ids = self.own.front_mut()?;
        let id = ids.start;
        ids.start += 1;
        self.drop_empty();
        Some(ContextId(id))
    }

    /// Takes the next id away, to be placed later.
    pub(crate) fn take_unplaced(&mut self) -> Option<ContextId> {
        if self.unplaced.len() >= IDS_UNPLACED_MAX {
            return None;
        }
        let id = self.take()?;
        self.unplaced.insert(id);
        Some(id)
    }

    pub(crate) fn is_unplaced(&self, id: ContextId) -> bool {
        self.unplaced.contains(&id)
    }

    pub(crate) fn is_placed_now(&mut self, id: ContextId) {
        self.unplaced.remove(&id);
    }

    /// Takes in a block that we were granted; says whether it can be one.
    pub(crate) fn receive(&mut self, first: u32, count: u32) -> bool {
        let Some(ids) = block(first, count) else {
            return false;
        };
        let room = self.had.len() < ID_BLOCKS_MAX as usize;
        let fresh = room && self.had.iter().all(|had| apart(had, &ids)) && self.is_free(&ids);
        if fresh {
            self.had.push(ids.clone());
            self.own.push_back(ids);
        }
        fresh
    }

    /// Whether `id` is, or was, for this context to give away, and for no other one.
    pub(crate) fn is_ours(&self, id: ContextId) -> bool {
        self.had.iter().any(|had| had.contains(&id.0)) && self.block_of(id).is_none()
    }

    /// Whether `owner`, behind `link`, may have another block of the controller's.
    pub(crate) fn may_have(&self, owner: ContextId, link: LinkId) -> Result<(), NoBlock> {
        let account = self.accounts.get(&owner).copied().unwrap_or_default();
        let Account {
            blocks,
            granted,
            announced,
        } = account;
        if blocks >= ID_BLOCKS_MAX {
            return Err(NoBlock::OwnQuota);
        }
        if announced < granted.div_ceil(2) {
            return Err(NoBlock::HasEnough { announced, granted });
        }
        if self.through.get(&link).copied().unwrap_or(0) >= ID_BLOCKS_PER_LINK_MAX {
            return Err(NoBlock::LinkQuota);
        }
        match self.own.front() {
            Some(ids) if ids.end - ids.start >= ID_BLOCK => Ok(()),
            _ => Err(NoBlock::NoIds),
        }
    }

    /// Cuts a block off our own ids for `owner`, behind `link`. Gives its first id.
    pub(crate) fn grant(&mut self, owner: ContextId, link: LinkId) -> Result<u32, NoBlock> {
        self.may_have(owner, link)?;
        let ids = self.own.front_mut().ok_or(NoBlock::NoIds)?;
        let first = ids.start;
        ids.start += ID_BLOCK;
        self.drop_empty();
        *self.through.entry(link).or_default() += 1;
        if !self.note(owner, first, ID_BLOCK) {
            return Err(NoBlock::NoIds);
        }
        Ok(first)
    }

    /// Notes that somebody above granted a block to `owner`, below us; says whether it can be one.
    pub(crate) fn note(&mut self, owner: ContextId, first: u32, count: u32) -> bool {
        let Some(ids) = block(first, count) else {
            return false;
        };
        let ours = self.own.iter().any(|own| !apart(own, &ids));
        if ours || !self.is_free(&ids) {
            return false;
        }
        let block = Block {
            owner,
            count,
            announced: [0; WORDS],
        };
        self.granted.insert(first, block);
        self.unannounced += count as usize;
        let account = self.accounts.entry(owner).or_default();
        account.blocks += 1;
        account.granted += count;
        true
    }

    /// Who was granted `id`, if it was granted and has never been announced.
    pub(crate) fn owner(&self, id: ContextId) -> Option<ContextId> {
        let (first, block) = self.block_of(id)?;
        let (word, bit) = Block::place(id.0 - first);
        (block.announced[word] & bit == 0).then_some(block.owner)
    }

    /// Notes that `id` was announced: it will never be new again.
    pub(crate) fn use_up(&mut self, id: ContextId) {
        let Some((&first, block)) = self.granted.range_mut(..=id.0).next_back() else {
            return;
        };
        let offset = id.0 - first;
        if offset >= block.count {
            return;
        }
        let (word, bit) = Block::place(offset);
        if block.announced[word] & bit == 0 {
            block.announced[word] |= bit;
            self.unannounced -= 1;
            if let Some(account) = self.accounts.get_mut(&block.owner) {
                account.announced += 1;
            }
        }
    }

    /// Forgets the blocks of contexts that are gone. `lost` is sorted.
    pub(crate) fn remove_owners(&mut self, lost: &[ContextId]) {
        let is_lost = |owner: &ContextId| lost.binary_search(owner).is_ok();
        if !self.accounts.keys().any(is_lost) {
            return;
        }
        self.accounts.retain(|owner, _| !is_lost(owner));
        let mut burnt = 0;
        self.granted.retain(|_, block| {
            let gone = is_lost(&block.owner);
            burnt += if gone { block.unannounced() } else { 0 };
            !gone
        });
        self.unannounced -= burnt;
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.through.remove(&link);
    }

    /// Ids of contexts below that may still be announced.
    pub(crate) fn unannounced(&self) -> usize {
        self.unannounced
    }

    /// Blocks of contexts below: owner, first id, how many.
    pub(crate) fn granted(&self) -> impl ExactSizeIterator<Item = (ContextId, u32, u32)> {
        self.granted
            .iter()
            .map(|(&first, block)| (block.owner, first, block.count))
    }

    fn drop_empty(&mut self) {
        self.own.pop_front_if(|ids| ids.start >= ids.end);
    }

    fn block_of(&self, id: ContextId) -> Option<(u32, &Block)> {
        let (&first, block) = self.granted.range(..=id.0).next_back()?;
        (id.0 - first < block.count).then_some((first, block))
    }

    /// Whether no context below was granted one of `ids`.
    fn is_free(&self, ids: &Range<u32>) -> bool {
        let before = self.granted.range(..ids.end).next_back();
        before.is_none_or(|(&first, block)| apart(&(first..first + block.count), ids))
    }
}

/// The ids of a block that can be one.
fn block(first: u32, count: u32) -> Option<Range<u32>> {
    let end = first.checked_add(count)?;
    (first > 0 && count > 0 && count <= ID_BLOCK).then_some(first..end)
}

fn apart(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.end <= other.start || other.end <= one.start
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: ContextId = ContextId(1);
    const LINK: LinkId = LinkId(0);

    fn announce(blocks: &mut Blocks, first: u32, count: u32) {
        for id in (first..first + count).map(ContextId) {
            assert_eq!(blocks.owner(id), Some(OWNER));
            blocks.use_up(id);
            assert_eq!(blocks.owner(id), None, "an id is new once");
        }
    }

    #[test]
    fn s074_ids_run_out_instead_of_starting_again() {
        let mut blocks = Blocks::all();
        blocks.own = iter::once(u32::MAX - 2..u32::MAX).collect();
        assert_eq!(blocks.grant(OWNER, LINK), Err(NoBlock::NoIds));
        assert_eq!(blocks.take(), Some(ContextId(u32::MAX - 2)));
        assert_eq!(blocks.take(), Some(ContextId(u32::MAX - 1)));
        assert_eq!((blocks.take(), blocks.next()), (None, None));
    }

    #[test]
    fn t2_the_next_block_comes_once_half_of_the_ids_were_announced() {
        let mut blocks = Blocks::all();
        let first = blocks.grant(OWNER, LINK).unwrap();
        announce(&mut blocks, first, ID_BLOCK / 2 - 1);
        let refused = blocks.grant(OWNER, LINK);
        assert!(matches!(refused, Err(NoBlock::HasEnough { .. })));
        announce(&mut blocks, first + ID_BLOCK / 2, 1);
        assert_eq!(blocks.grant(OWNER, LINK), Ok(first + ID_BLOCK));
        assert_eq!(blocks.unannounced(), 3 * ID_BLOCK as usize / 2);
        blocks.remove_owners(&[OWNER]);
        assert_eq!((blocks.unannounced(), blocks.granted().len()), (0, 0));
        let again = blocks.grant(OWNER, LINK).unwrap();
        assert_eq!(again, first + 2 * ID_BLOCK, "ids stay burnt");
    }

    #[test]
    fn t2_neither_a_context_nor_those_behind_a_link_get_blocks_without_end() {
        let mut blocks = Blocks::all();
        for _ in 0..ID_BLOCKS_MAX {
            let first = blocks.grant(OWNER, LINK).unwrap();
            announce(&mut blocks, first, ID_BLOCK);
        }
        assert_eq!(blocks.grant(OWNER, LINK), Err(NoBlock::OwnQuota));
        for other in ID_BLOCKS_MAX..ID_BLOCKS_PER_LINK_MAX {
            blocks.grant(ContextId(other + 2), LINK).unwrap();
        }
        let (other, elsewhere) = (ContextId(9000), LinkId(1));
        assert_eq!(blocks.grant(other, LINK), Err(NoBlock::LinkQuota));
        assert!(blocks.grant(other, elsewhere).is_ok());
    }

    #[test]
    fn blocks_do_not_overlap() {
        let mut blocks = Blocks::default();
        assert!(blocks.note(OWNER, 100, 10) && blocks.receive(110, 10));
        for (first, count) in [(95, 6), (109, 1), (100, 10), (119, 5), (90, 100)] {
            assert!(!blocks.note(OWNER, first, count), "{first} {count}");
            assert!(!blocks.receive(first, count), "{first} {count}");
        }
        for (first, count) in [(0, 10), (200, 0), (200, ID_BLOCK + 1), (u32::MAX, 1)] {
            assert!(!blocks.note(OWNER, first, count), "{first} {count}");
        }
        assert!(blocks.note(OWNER, 90, 10) && blocks.note(OWNER, 120, 1));
    }
}
