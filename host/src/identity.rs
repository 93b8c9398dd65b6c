//! Which context this process is.

use offshoot_node::identity;

/// Whether this process is the controller: the root of its tree. So is every program that embeds
/// this library; plugins learn it from their SDK's function of the same name.
///
/// ```
/// assert!(offshoot::is_controller());
/// ```
pub fn is_controller() -> bool {
    !identity::is_child()
}

/// This context's id; 0 in the controller.
///
/// ```
/// assert_eq!(offshoot::context_id(), 0);
/// ```
pub fn context_id() -> u32 {
    identity::identity().map_or(0, |identity| identity.id)
}

/// The parent's id; none in the controller.
///
/// ```
/// assert_eq!(offshoot::parent_id(), None);
/// ```
pub fn parent_id() -> Option<u32> {
    parent_ids().first().copied()
}

/// Ids from the parent to the controller; none in the controller.
///
/// ```
/// assert!(offshoot::parent_ids().is_empty());
/// ```
pub fn parent_ids() -> &'static [u32] {
    identity::identity().map_or(&[], |identity| &identity.parents)
}
