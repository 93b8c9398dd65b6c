//! What a driver asks of the layers above it.

use offshoot_proto::control::{CallOutcome, Connect};
use offshoot_proto::{CallKey, ContextId, Handle, Run};

use super::Driver;

/// Runs calls and makes children for a driver.
///
/// Every function is called without the driver's lock, in the thread that read the request.
pub trait Upcalls: Send + Sync {
    /// Runs a call that another context makes. Gives its outcome if it ended at once; otherwise
    /// the driver learns it by [`finish`](Driver::finish), exactly once.
    fn run(&self, driver: &Driver, run: Run) -> Option<CallOutcome>;

    /// Ends a call that did not end at once.
    fn cancel(&self, key: CallKey);

    /// Makes a child for an ancestor that asked for one, and answers by
    /// [`answer_connect`](Driver::answer_connect). Must not wait: it spawns a task.
    fn connect(&self, driver: &Driver, src: ContextId, reply_to: Handle, connect: Connect);

    /// Gives up the making of a child, which the node does not expect any more.
    fn cancel_connect(&self, id: ContextId);
}
