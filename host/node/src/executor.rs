//! Runs the calls that others make to this context: from the node's words to the wasm engine's,
//! and back.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Instant;

use foldhash::HashMap;
use offshoot_abi::{CallErrorKind, CallFailure, HostInfo};
use offshoot_proto::CallKey;
use offshoot_proto::Run;
use offshoot_proto::control::{BindingKey, CallOutcome};

use crate::allocator;
use crate::driver::Driver;
use crate::plugin_router::InstanceRouters;
use offshoot_wasm::{
    CancelHandle, Completion, EngineError, ImageHash, Invocation, Limits, LoadError, LogSink,
    Plugin, PluginEnv, Profile, Runtime,
};

/// The plugins of this context and the calls that run in other threads.
#[derive(Default)]
pub(crate) struct Executor {
    runtime: OnceLock<Arc<Runtime>>,
    plugins: Mutex<HashMap<BindingKey, Arc<Plugin>>>,
    moved: Arc<Mutex<OffloadedCalls>>,
}

/// The calls that went on in another thread.
#[derive(Default)]
struct OffloadedCalls {
    running: HashMap<CallKey, CancelHandle>,
    /// For the next call: most calls end before anyone could cancel them.
    spare: Option<CancelHandle>,
}

impl Executor {
    /// Runs a call. Gives its outcome if it ended at once; otherwise the driver is told later.
    pub(crate) fn run(&self, driver: &Driver, run: Run) -> Option<CallOutcome> {
        let noted = CallRecord::if_wanted(driver, &run);
        let plugin = match self.plugin(driver, &run) {
            Ok(plugin) => plugin,
            Err(reason) => {
                let outcome =
                    CallOutcome::Failed(CallFailure::new(CallErrorKind::CannotLoad, reason));
                return Some(end(driver, noted.as_ref(), outcome));
            }
        };
        let key = run.key;
        let weak = driver.weak();
        let elsewhere = noted.clone();
        let moved = self.moved.clone();
        let done = move |finish| {
            if let Some(driver) = weak.upgrade() {
                lock(&moved).running.remove(&key);
                let outcome = end(&driver, elsewhere.as_ref(), outcome(finish));
                driver.finish(key, outcome);
            }
        };
        let invocation = Invocation {
            function: run.body.function(),
            signature: run.body.signature,
            deadline: run.deadline.map(|deadline| driver.system_time(deadline)),
            arguments: run.body.clone().into_arguments(),
        };
        // Held until the call is noted, so that a call that moves and ends at once is not noted
        // after its end. It moves a tick after its start at the latest.
        let mut moved = lock(&self.moved);
        let cancel = moved.spare.take().unwrap_or_default();
        let finish = plugin.start(invocation, cancel.clone(), done);
        match finish {
            Some(_) => moved.spare = Some(cancel),
            None => {
                moved.running.insert(key, cancel);
            }
        }
        drop(moved);
        Some(end(driver, noted.as_ref(), outcome(finish?)))
    }

    /// Ends a call that runs in another thread.
    pub(crate) fn cancel(&self, key: CallKey) {
        if let Some(cancel) = lock(&self.moved).running.get(&key) {
            cancel.cancel();
        }
    }

    /// The plugin of the call's binding, made ready on the first call.
    fn plugin(&self, driver: &Driver, run: &Run) -> Result<Arc<Plugin>, String> {
        let mut plugins = lock(&self.plugins);
        if let Some(plugin) = plugins.get(&run.bind.key) {
            return Ok(plugin.clone());
        }
        let runtime = self.runtime().map_err(|error| error.to_string())?;
        let (host, message_max, image) = {
            let state = driver.lock();
            let image = state.node.image(&run.bind.image).cloned();
            let parents = state.node.parent_ids().iter().map(|id| id.0);
            let host = HostInfo {
                context_id: state.node.id().0,
                parent_ids: parents.collect(),
                name: crate::identity::name(),
            };
            (
                host,
                state.node.message_max(),
                image.ok_or("its image is gone")?,
            )
        };
        let limits = Limits {
            memory: usize::try_from(run.bind.limits.memory).unwrap_or(usize::MAX),
            result: message_max as usize,
            ..Limits::default()
        };
        let sink = Arc::new(Log {
            driver: driver.weak(),
            level: driver.log_level,
        });
        let hash = ImageHash(run.bind.image);
        let plugin = Plugin::load(
            &runtime,
            &image,
            &hash,
            &run.bind.grants,
            &limits,
            PluginEnv {
                host: &host,
                sink,
                sessions: Some(Arc::new(InstanceRouters::new(
                    driver.weak(),
                    run.bind.clone(),
                ))),
            },
        );
        match plugin {
            Ok(plugin) => {
                plugins.insert(run.bind.key, plugin.clone());
                Ok(plugin)
            }
            Err(error) => {
                if matches!(error, LoadError::HashMismatch { .. }) {
                    driver.lock().node.discard_image(&run.bind.image);
                }
                Err(error.to_string())
            }
        }
    }

    fn runtime(&self) -> Result<Arc<Runtime>, EngineError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime.clone());
        }
        let runtime = Runtime::new(Profile::detect())?;
        Ok(self.runtime.get_or_init(|| runtime).clone())
    }
}

/// A call whose end is of interest to others than its caller.
#[derive(Clone)]
struct CallRecord {
    function: String,
    began: Instant,
    is_awaited: bool,
}

impl CallRecord {
    fn if_wanted(driver: &Driver, run: &Run) -> Option<Self> {
        let wanted = driver.profile.get().is_some() || !run.is_awaited;
        wanted.then(|| Self {
            function: format!("{}::{}", run.bind.plugin, run.body.function()),
            began: Instant::now(),
            is_awaited: run.is_awaited,
        })
    }
}

/// Notes the end of a call in the profile, and, if nobody waits for it, its failure in the log.
fn end(driver: &Driver, noted: Option<&CallRecord>, outcome: CallOutcome) -> CallOutcome {
    let Some(noted) = noted else {
        return outcome;
    };
    if let Some(profile) = driver.profile.get() {
        profile.note(&noted.function, noted.began.elapsed());
    }
    if let (CallOutcome::Failed(failure), false) = (&outcome, noted.is_awaited) {
        driver.log(
            1,
            &noted.function,
            &format!("a call that nobody waits for failed: {failure}"),
        );
    }
    outcome
}

/// Sends a plugin's words to the controller.
struct Log {
    driver: Weak<Driver>,
    level: u8,
}

impl LogSink for Log {
    fn log(&self, level: u8, target: &str, text: &str) {
        if let Some(driver) = self.driver.upgrade() {
            driver.log(level, target, text);
        }
    }

    fn level(&self) -> u8 {
        self.level
    }

    fn room_at(&self) -> Option<Instant> {
        self.driver.upgrade()?.log_room_at()
    }
}

/// What the caller is told of a call's end.
fn outcome(completion: Completion) -> CallOutcome {
    let failed = CallFailure::new;
    CallOutcome::Failed(match completion {
        Completion::Value(value) => {
            if value.len() > allocator::LARGE {
                allocator::keep();
            }
            return CallOutcome::Value(value.into());
        }
        Completion::Error(error) => error.into(),
        Completion::BadArguments(reason) => failed(CallErrorKind::BadArguments, reason),
        Completion::UnknownFunction { known } => failed(
            CallErrorKind::UnknownFunction,
            format!("the plugin has {}", known.join(", ")),
        ),
        Completion::SignatureMismatch => failed(
            CallErrorKind::SignatureMismatch,
            "the function's types are not those that the caller knows".to_owned(),
        ),
        Completion::Trapped { message, backtrace } => {
            let mut failure = failed(CallErrorKind::Trapped, message);
            failure.error.backtrace = backtrace;
            failure
        }
        Completion::DeadlineExceeded => {
            failed(CallErrorKind::DeadlineExceeded, "time was up".to_owned())
        }
        Completion::Cancelled => failed(
            CallErrorKind::Cancelled,
            "the call was taken back".to_owned(),
        ),
        Completion::ResultTooLarge { size, max } => failed(
            CallErrorKind::LimitExceeded,
            format!("a result of {size} bytes is too large (max {max})"),
        ),
        Completion::Limit(what) => failed(CallErrorKind::LimitExceeded, what),
        Completion::BadGuest(what) => failed(
            CallErrorKind::Misbehaved,
            format!("the plugin broke its contract: {what}"),
        ),
        Completion::Busy => failed(
            CallErrorKind::CannotLoad,
            "another call of it runs".to_owned(),
        ),
        Completion::Failed(reason) => failed(CallErrorKind::CannotLoad, reason),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
