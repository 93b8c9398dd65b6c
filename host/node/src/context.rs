//! Puts a context together: the driver below, and what it calls up to.

use std::sync::Arc;

use offshoot_proto::control::{CallOutcome, Connect};
use offshoot_proto::{CallKey, ContextId, Handle, Node, Run};
use tokio::runtime;

use crate::driver::{Driver, Upcalls};
use crate::executor::Executor;
use crate::launch;

/// Starts a context without links. Its tasks run in `runtime`, or in a thread of their own.
pub fn start(node: Node, log_level: u8, runtime: Option<runtime::Handle>) -> Arc<Driver> {
    Driver::new(node, log_level, runtime, Box::new(Services::default()))
}

/// The executor and the launcher of one context.
#[derive(Default)]
struct Services {
    executor: Executor,
}

impl Upcalls for Services {
    fn run(&self, driver: &Driver, run: Run) -> Option<CallOutcome> {
        self.executor.run(driver, run)
    }

    fn cancel(&self, key: CallKey) {
        self.executor.cancel(key);
    }

    fn connect(&self, driver: &Driver, src: ContextId, reply_to: Handle, connect: Connect) {
        let weak = driver.weak();
        driver.spawn_background(launch::serve_connect(weak, src, reply_to, connect));
    }
}
