//! The descriptors of one instance.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};

use super::{Access, Place};

/// Descriptors of one instance.
const INSTANCE_MAX: usize = 256;

/// Descriptors that the instances of this process have together.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What a number of the plugin's stands for.
pub(crate) enum Descriptor {
    /// Standard input, output or error, by its number.
    Standard(u32),
    /// A directory. A granted one has the name that it was granted under.
    Directory {
        place: Place,
        granted: Option<String>,
    },
    /// A file.
    File { file: OwnedFd, access: Access },
}

/// The plugin's descriptors by their numbers.
pub(crate) struct Table {
    slots: Vec<Option<Descriptor>>,
    held: usize,
    refused: Option<String>,
}

/// There is no room for another descriptor.
#[derive(Debug)]
pub(crate) struct Full;

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..3)
                .map(|number| Some(Descriptor::Standard(number)))
                .collect(),
            held: 0,
            refused: None,
        }
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Descriptor> {
        self.slots.get(number as usize)?.as_ref()
    }

    /// Gives the descriptor the lowest free number.
    pub(crate) fn push(&mut self, descriptor: Descriptor) -> Result<u32, Full> {
        self.reserve()?;
        let free = self.slots.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[number] = Some(descriptor);
        Ok(number as u32)
    }

    /// Closes a descriptor.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Descriptor> {
        let removed = self.slots.get_mut(number as usize)?.take()?;
        if !matches!(removed, Descriptor::Standard(_)) {
            self.release(1);
        }
        Some(removed)
    }

    /// Gives one descriptor the number of another one, which is closed.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Option<()> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.slots[from as usize].take();
            self.remove(to);
            self.slots[to as usize] = moved;
        }
        Some(())
    }

    /// What was refused since the last time this was asked.
    pub(crate) fn take_refused(&mut self) -> Option<String> {
        self.refused.take()
    }

    fn reserve(&mut self) -> Result<(), Full> {
        if self.held >= INSTANCE_MAX {
            self.refused = Some(format!(
                "the plugin wanted more than {INSTANCE_MAX} open files and directories, which is \
                 the limit of an instance: close some"
            ));
            return Err(Full);
        }
        let max = process_max();
        if HELD.fetch_add(1, Ordering::Relaxed) >= max {
            HELD.fetch_sub(1, Ordering::Relaxed);
            self.refused = Some(format!(
                "the plugins of this context have {max} files and directories open, which is \
                 half of what the process may have"
            ));
            return Err(Full);
        }
        self.held += 1;
        Ok(())
    }

    fn release(&mut self, count: usize) {
        self.held -= count;
        HELD.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.release(self.held);
    }
}

/// Half of the descriptors that this process may have: the other half is its own.
fn process_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 2).unwrap_or(usize::MAX)
}
