//! Who this process is in the tree.
//!
//! It is decided before any code of a user runs, and never changes. This module imports nothing of
//! the crate, so that every other one can.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_CHILD: AtomicBool = AtomicBool::new(false);
static IDENTITY: OnceLock<Identity> = OnceLock::new();

/// What a child's parent has told it about itself.
#[derive(Debug)]
pub struct Identity {
    /// The context's id.
    pub id: u32,
    /// Ids from the parent to the controller.
    pub parents: Vec<u32>,
    /// The context's name.
    pub name: String,
}

/// Whether this process is a child; every other process is a controller.
pub fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// This child's identity, once its parent has sent the welcome; `None` in a controller.
pub fn identity() -> Option<&'static Identity> {
    IDENTITY.get()
}

/// This context's name.
pub fn name() -> String {
    identity().map_or_else(|| "controller".to_owned(), |it| it.name.clone())
}

/// Marks this process as a child.
pub(crate) fn become_child() {
    IS_CHILD.store(true, Ordering::Relaxed);
}

/// Stores the identity; the first one stays.
pub(crate) fn set(identity: Identity) {
    let _ = IDENTITY.set(identity);
}
