//! Puts a context together: the driver below, and what it calls up to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offshoot_proto::control::{CallOutcome, Connect};
use offshoot_proto::{CallKey, ContextId, Handle, Node, Run};
use tokio::runtime;
use tokio::task::AbortHandle;

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
    /// Tasks that make children for ancestors, by the child's id.
    connecting: Mutex<HashMap<ContextId, AbortHandle>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upcalls for Services {
    fn run(&self, driver: &Driver, run: Run) -> Option<CallOutcome> {
        self.executor.run(driver, run)
    }

    fn cancel(&self, key: CallKey) {
        self.executor.cancel(key);
    }

    fn connect(&self, driver: &Driver, src: ContextId, reply_to: Handle, connect: Connect) {
        let (weak, id) = (driver.weak(), connect.id);
        let mut connecting = lock(&self.connecting);
        connecting.retain(|_, task| !task.is_finished());
        let task = driver.spawn_background(launch::serve_connect(weak, src, reply_to, connect));
        connecting.insert(id, task);
    }

    fn cancel_connect(&self, id: ContextId) {
        if let Some(task) = lock(&self.connecting).remove(&id) {
            task.abort();
        }
    }
}
