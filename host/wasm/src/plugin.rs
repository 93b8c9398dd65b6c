//! A plugin made ready to run, and the entry to its calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use offshoot_abi::{FunctionInfo, Grant, HostInfo, IMPORT_MODULE, Manifest, exports, imports};
use wasmtime::{ExternType, InstancePre, Module, ModuleExport, UnknownImportError, ValType};

use super::error::LoadError;
use super::executor::{Job, Running};
use super::files::Granted;
use super::finish::Completion;
use super::image::{self, ImageHash};
use super::instance::Instance;
use super::limits::Limits;
use super::log_sink::LogSink;
use super::runtime::Runtime;
use super::session::PluginRouters;
use super::state::{Interrupt, State};
use super::task::{CancelHandle, Task};
use super::ticker::{TICK, Ticking};
use super::{grants, wasi};

/// A call that a caller asks for.
pub struct Invocation<'a> {
    /// Name of the function inside the plugin.
    pub function: &'a str,
    /// Signature that the caller was built with; 0 is not compared.
    pub signature: u64,
    /// The arguments, in postcard.
    pub arguments: Bytes,
    /// When the caller stops to wait.
    pub deadline: Option<Instant>,
}

/// What a plugin runs in.
pub struct PluginEnv<'a> {
    /// Who and where the context is.
    pub host: &'a HostInfo,
    /// Where its log records go.
    pub sink: Arc<dyn LogSink>,
    /// The way to the router; without one, whatever needs it fails.
    pub sessions: Option<Arc<dyn PluginRouters>>,
}

/// An image made ready, with its grants and limits.
///
/// Serial functions share one instance, which is made for the first call and lives until a call
/// breaks it. Each call of a concurrent function has an instance of its own.
pub struct Plugin {
    runtime: Arc<Runtime>,
    blueprint: Blueprint,
    slot: Mutex<Slot>,
}

/// All that it takes to make an instance.
pub(super) struct Blueprint {
    pub(super) pre: InstancePre<State>,
    pub(super) manifest: Manifest,
    pub(super) functions: Vec<Function>,
    pub(super) grants: Vec<Grant>,
    pub(super) directories: Vec<Granted>,
    pub(super) limits: Limits,
    pub(super) host: Arc<[u8]>,
    pub(super) sink: Arc<dyn LogSink>,
    pub(super) sessions: Option<Arc<dyn PluginRouters>>,
    /// Whether it was granted the router.
    pub(super) reaches_router: bool,
    pub(super) uses_wasi: bool,
    pub(super) initializes: bool,
    /// Whether a call may wait for a file system, and so must never run in the router's thread.
    may_block: bool,
}

/// A function of the plugin, in the order of the manifest.
pub(super) struct Function {
    pub(super) index: usize,
    pub(super) export: ModuleExport,
    /// Whether its arguments may hold senders that the plugin can use only because it was handed
    /// them.
    pub(super) takes_senders: bool,
    /// Whether its last call outlived a tick. The next one then goes to a worker at once, and the
    /// starter's thread does not lose a tick to each.
    slow: AtomicBool,
}

/// Where the persistent instance is.
#[derive(Default)]
struct Slot {
    /// Counts the calls that were given the slot, so that one that was given up cannot bring an
    /// old instance back.
    calls: u64,
    busy: bool,
    instance: Option<Box<Instance>>,
}

/// The right to run one call of a plugin.
pub(super) struct Lease {
    plugin: Arc<Plugin>,
    /// Which call of the slot it is; a concurrent call does not use the slot.
    call: Option<u64>,
}

impl Lease {
    /// Gives the right back, and the instance if it can serve another call.
    pub(super) fn release(self, instance: Option<Box<Instance>>) {
        let Some(call) = self.call else {
            return;
        };
        let mut slot = self.plugin.slot();
        if slot.calls == call {
            slot.busy = false;
            slot.instance = instance;
        }
    }
}

impl Plugin {
    /// Makes an image ready. Loads native code: the image must come from an ancestor, who named
    /// it by its hash.
    pub fn load(
        runtime: &Arc<Runtime>,
        image: &[u8],
        expected: &ImageHash,
        grants: &[Grant],
        limits: &Limits,
        around: PluginEnv<'_>,
    ) -> Result<Arc<Self>, LoadError> {
        let (module, manifest) = image::load(&runtime.engine, &runtime.target(), image, expected)?;
        let manifest = Manifest::parse(manifest)?;
        let initializes = check_exports(&module)?;
        let reaches_router = grants.contains(&Grant::Router);
        let functions = functions(&module, &manifest)?;
        let pre = runtime
            .linker
            .instantiate_pre(&module)
            .map_err(|error| match error.downcast_ref::<UnknownImportError>() {
                Some(unknown) => LoadError::UnknownImport {
                    module: unknown.module().to_owned(),
                    name: unknown.name().to_owned(),
                },
                None => LoadError::Refused(format!("{error:#}")),
            })?;
        let directories = grants::find(grants)?;
        let host = postcard::to_allocvec(around.host)
            .expect("ids and a name always encode")
            .into();
        Ok(Arc::new(Self {
            runtime: runtime.clone(),
            blueprint: Blueprint {
                uses_wasi: module
                    .imports()
                    .any(|import| import.module() == wasi::MODULE),
                may_block: grants::may_block(grants),
                pre,
                manifest,
                functions,
                grants: grants.to_vec(),
                directories,
                limits: limits.clone(),
                host,
                sink: around.sink,
                sessions: around.sessions,
                reaches_router,
                initializes,
            },
            slot: Mutex::default(),
        }))
    }

    #[cfg(test)]
    pub(super) fn manifest(&self) -> &Manifest {
        &self.blueprint.manifest
    }

    /// Runs the call.
    ///
    /// Returns its end when it ended in this thread at once. Otherwise the call goes on in
    /// another thread, and `done` is called from there exactly once.
    ///
    /// A call of a serial function while another one runs is [`Completion::Busy`].
    pub fn start(
        self: &Arc<Self>,
        invocation: Invocation<'_>,
        cancel: CancelHandle,
        done: impl FnOnce(Completion) + Send + 'static,
    ) -> Option<Completion> {
        let begun = match self.begin(invocation, cancel) {
            Ok(begun) => begun,
            Err(finish) => return Some(finish),
        };
        let StartedCall {
            mut running,
            lease,
            ticking,
            watch,
            index,
        } = begun;
        if !watch.moved {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready((finish, instance)) = running.as_mut().poll(&mut context) {
                lease.release(instance);
                return Some(finish);
            }
            self.blueprint.functions[index]
                .slow
                .store(true, Ordering::Relaxed);
        }
        let task = Task::new(watch, lease, Box::new(done));
        ticking.look_after(task.clone());
        let job = Job {
            running,
            task,
            ticking,
        };
        let (job, reason) = self.runtime.executor.submit(job).err()?;
        drop(job.running);
        let (_, lease) = job.task.take_ending()?;
        lease.release(None);
        Some(Completion::Limit(reason))
    }

    fn begin(
        self: &Arc<Self>,
        invocation: Invocation<'_>,
        cancel: CancelHandle,
    ) -> Result<StartedCall, Completion> {
        let index = self.resolve(&invocation)?;
        let function = &self.blueprint.functions[index];
        let watch = Interrupt {
            deadline: invocation.deadline,
            cancel,
            moved: self.blueprint.may_block || function.slow.load(Ordering::Relaxed),
        };
        if let Some(stop) = watch.stop() {
            return Err(stop.into());
        }
        let ticking = self.runtime.ticker.begin(invocation.deadline);
        let ticking = ticking
            .map_err(|error| Completion::Failed(format!("cannot start a thread: {error}")))?;
        let (lease, instance) = self.lease(index)?;
        let plugin = self.clone();
        let inside = watch.clone();
        let arguments = invocation.arguments;
        Ok(StartedCall {
            running: Box::pin(async move { plugin.run(index, instance, arguments, inside).await }),
            lease,
            ticking,
            watch,
            index,
        })
    }

    /// Finds the function and checks that the caller means this one.
    fn resolve(&self, invocation: &Invocation<'_>) -> Result<usize, Completion> {
        let functions = &self.blueprint.manifest.functions;
        let found =
            functions.binary_search_by(|known| known.name.as_str().cmp(invocation.function));
        let Ok(index) = found else {
            let known = functions.iter().map(|known| known.name.clone());
            return Err(Completion::UnknownFunction {
                known: known.collect(),
            });
        };
        if invocation.signature != 0 && invocation.signature != functions[index].signature {
            return Err(Completion::SignatureMismatch);
        }
        Ok(index)
    }

    fn lease(self: &Arc<Self>, index: usize) -> Result<(Lease, Option<Box<Instance>>), Completion> {
        let plugin = self.clone();
        if self.blueprint.manifest.functions[index].concurrent {
            return Ok((Lease { plugin, call: None }, None));
        }
        let mut slot = self.slot();
        if slot.busy {
            return Err(Completion::Busy);
        }
        slot.busy = true;
        slot.calls += 1;
        let call = Some(slot.calls);
        Ok((Lease { plugin, call }, slot.instance.take()))
    }

    async fn run(
        &self,
        index: usize,
        instance: Option<Box<Instance>>,
        arguments: Bytes,
        watch: Interrupt,
    ) -> (Completion, Option<Box<Instance>>) {
        let function = &self.blueprint.functions[index];
        let began = watch.moved.then(Instant::now);
        let mut instance = match instance {
            Some(mut instance) => {
                instance.watch(watch);
                instance
            }
            None => match Instance::new(&self.blueprint, watch).await {
                Ok(instance) => instance,
                Err(finish) => return (finish, None),
            },
        };
        let finish = instance
            .call(function, &arguments, self.blueprint.limits.result)
            .await;
        if began.is_some_and(|began| began.elapsed() < TICK / 10) {
            function.slow.store(false, Ordering::Relaxed);
        }
        let kept = finish.keeps_instance() && !self.blueprint.manifest.functions[index].concurrent;
        (finish, kept.then_some(instance))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A call that is ready to be polled.
struct StartedCall {
    running: Running,
    lease: Lease,
    ticking: Ticking,
    watch: Interrupt,
    index: usize,
}

/// Checks the exports that are not functions of the plugin; returns whether it initializes.
fn check_exports(module: &Module) -> Result<bool, LoadError> {
    let bad = |name: &str, expected| LoadError::BadExport {
        name: name.to_owned(),
        expected,
    };
    let memory = module.get_export(exports::MEMORY);
    if !matches!(memory, Some(ExternType::Memory(memory)) if !memory.is_64() && !memory.is_shared())
    {
        return Err(bad(exports::MEMORY, "a memory"));
    }
    if !is_function(module, exports::ARGUMENTS, &[ValType::I32], &[ValType::I32]) {
        return Err(bad(exports::ARGUMENTS, "a function `(i32) -> i32`"));
    }
    if module.get_export(exports::INITIALIZE).is_none() {
        return Ok(false);
    }
    if !is_function(module, exports::INITIALIZE, &[], &[]) {
        return Err(bad(exports::INITIALIZE, "a function `() -> ()`"));
    }
    Ok(true)
}

fn functions(module: &Module, manifest: &Manifest) -> Result<Vec<Function>, LoadError> {
    let sends = module
        .imports()
        .any(|import| import.module() == IMPORT_MODULE && import.name() == imports::SEND);
    let functions = manifest.functions.iter().enumerate();
    let function = |(index, info): (usize, &FunctionInfo)| {
        let name = info.export();
        let export = module
            .get_export_index(&name)
            .filter(|_| is_function(module, &name, &[ValType::I32], &[ValType::I64]));
        let mut arguments = info.arguments.iter();
        Ok(Function {
            index,
            takes_senders: sends && arguments.any(|argument| argument.ty.has_opaque()),
            slow: AtomicBool::new(false),
            export: export.ok_or(LoadError::BadExport {
                name,
                expected: "a function `(i32) -> i64`",
            })?,
        })
    };
    functions.map(function).collect()
}

fn is_function(module: &Module, name: &str, params: &[ValType], results: &[ValType]) -> bool {
    let Some(ExternType::Func(ty)) = module.get_export(name) else {
        return false;
    };
    let same = |found: &ValType, wanted: &ValType| ValType::eq(found, wanted);
    ty.params().len() == params.len()
        && ty.results().len() == results.len()
        && ty
            .params()
            .zip(params)
            .all(|(found, wanted)| same(&found, wanted))
        && ty
            .results()
            .zip(results)
            .all(|(found, wanted)| same(&found, wanted))
}
