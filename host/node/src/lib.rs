//! One context of a tree, as a process. Internal: no stable interface.
//!
//! Read from above: [`serve`] is the program at the other end of a link, and [`context`] puts a
//! context together. Above the driver, the `executor` runs calls, the `plugin_router` serves what
//! plugins ask of the tree, and [`launch`] makes children. The [`driver`] moves the bytes, the time
//! and the events of one [`Node`](offshoot_proto::Node). Below it are the [`transport`] of a link,
//! the [`mailbox`] where messages wait, and modules that know nothing of the others.

mod allocator;
pub mod async_fd;
pub mod context;
pub mod descriptors;
pub mod diagnostics;
pub mod driver;
mod executor;
pub mod identity;
pub mod launch;
pub mod logs;
pub mod mailbox;
mod plugin_router;
pub mod serve;
mod sync;
pub mod text;
pub mod transport;

/// Names the sources that this program was built from: parent and child must come from the same.
pub const BUILD_ID: &str = env!("OFFSHOOT_BUILD_ID");
