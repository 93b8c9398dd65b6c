//! Who this process is (`S001`).
//!
//! It is decided before anything of a user's can run, and never changes.

use crate::child;

/// Whether this process is the controller: the root of its tree (`S002`). So is every program that
/// embeds this library; plugins learn it from their SDK's function of the same name.
///
/// ```
/// assert!(offshoot::is_controller());
/// ```
pub fn is_controller() -> bool {
    !child::is_child()
}

/// This context's id; 0 in the controller (`S003`).
///
/// ```
/// assert_eq!(offshoot::context_id(), 0);
/// ```
pub fn context_id() -> u32 {
    child::identity().map_or(0, |identity| identity.id)
}

/// The parent's id; none in the controller (`S004`).
///
/// ```
/// assert_eq!(offshoot::parent_id(), None);
/// ```
pub fn parent_id() -> Option<u32> {
    parent_ids().first().copied()
}

/// Ids from the parent to the controller; none in the controller (`S005`).
///
/// ```
/// assert!(offshoot::parent_ids().is_empty());
/// ```
pub fn parent_ids() -> &'static [u32] {
    child::identity().map_or(&[], |identity| &identity.parents)
}
