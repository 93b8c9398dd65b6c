//! The queues of the library, compiled with the locks of a scheduler that chooses each
//! interleaving of their threads. The tests of this package play them in thousands of schedules, and
//! print the schedule of one that ends wrongly or not at all.
//!
//! The files are those of the product. What they name as `crate::sync` is here the scheduler's, whose
//! locks are the points at which it switches threads. What they name of the rest of the product is in
//! `stand_ins`. There is no driver here, and no runtime of a broker: both move bytes.
//!
//! The bounds: two or three threads with up to four operations each, and the number of schedules in
//! `tests/queues/main.rs`. A schedule is a sequence of whole critical sections; the order of memory
//! accesses within one is not varied.

// So that `offshoot_node::mailbox`, as the product's files say, is the module below.
extern crate self as offshoot_node;

mod blocking;
#[path = "../../../host/src/latch.rs"]
pub mod latch;
#[path = "../../../host/node/src/mailbox/mod.rs"]
pub mod mailbox;
#[path = "../../../host/src/select/mod.rs"]
pub mod select;
mod stand_ins;
mod sync;

use stand_ins::context;
pub use stand_ins::{error, messages};
