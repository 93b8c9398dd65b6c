//! One running copy of a plugin, and the steps of a call in it.

use std::sync::Arc;

use offshoot_abi::exports;
use wasmtime::{Memory, Store, TypedFunc};

use super::exchange::RouterAccess;
use super::finish::{Completion, Stop};
use super::limits::Limiter;
use super::plugin::Blueprint;
use super::state::{Interrupt, State, on_tick};
use super::{grants, plugin};

/// Least size of the buffer that is asked for, so that calls of slightly growing arguments do not
/// each ask again.
const BUFFER_MIN: u32 = 1 << 10;

/// Size up to which the guest keeps its buffer between calls.
const BUFFER_KEPT: u32 = exports::ARGUMENTS_KEPT_MAX as u32;

pub(super) struct Instance {
    store: Store<State>,
    instance: wasmtime::Instance,
    memory: Memory,
    arguments: TypedFunc<u32, u32>,
    /// Functions called before, by their index in the plugin.
    functions: Vec<Option<TypedFunc<u32, u64>>>,
    /// The guest's buffer for arguments.
    buffer: Buffer,
}

/// Where the guest takes its arguments; its word, checked at each use.
#[derive(Clone, Copy, Default)]
struct Buffer {
    address: u32,
    capacity: u32,
}

impl Instance {
    /// Makes a copy of the plugin, and runs what it runs before its first call.
    pub(super) async fn new(
        blueprint: &Blueprint,
        watch: Interrupt,
    ) -> Result<Box<Self>, Completion> {
        let wasi = if blueprint.uses_wasi {
            let wasi = grants::wasi(
                &blueprint.manifest.plugin,
                &blueprint.grants,
                &blueprint.directories,
                &blueprint.sink,
            );
            Some(wasi.map_err(Completion::Failed)?)
        } else {
            None
        };
        let state = State {
            wasi,
            limiter: Limiter::new(&blueprint.limits),
            sink: blueprint.sink.clone(),
            host: Arc::clone(&blueprint.host),
            panic: None,
            desk: RouterAccess::new(
                blueprint.reaches_router,
                blueprint.limits.result,
                blueprint.sessions.clone(),
            ),
            watch,
        };
        let mut store = Store::new(blueprint.pre.module().engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(on_tick);
        // The start function runs in here, and may loop like any other.
        store.set_epoch_deadline(1);
        let made = Self::enter(&mut store, blueprint).await;
        flush(&store);
        let (instance, memory, arguments) =
            made.map_err(|error| Completion::from_failure(&error, store.data_mut()))?;
        Ok(Box::new(Self {
            store,
            instance,
            memory,
            arguments,
            functions: vec![None; blueprint.functions.len()],
            buffer: Buffer::default(),
        }))
    }

    async fn enter(
        store: &mut Store<State>,
        blueprint: &Blueprint,
    ) -> wasmtime::Result<(wasmtime::Instance, Memory, TypedFunc<u32, u32>)> {
        let instance = blueprint.pre.instantiate_async(&mut *store).await?;
        let memory = instance
            .get_memory(&mut *store, exports::MEMORY)
            .ok_or(Stop::BadGuest("it exports no memory"))?;
        let arguments = instance.get_typed_func(&mut *store, exports::ARGUMENTS)?;
        if blueprint.initializes {
            let initialize = instance.get_typed_func::<(), ()>(&mut *store, exports::INITIALIZE)?;
            initialize.call_async(&mut *store, ()).await?;
        }
        Ok((instance, memory, arguments))
    }

    /// Sets what ends the next call.
    pub(super) fn watch(&mut self, watch: Interrupt) {
        self.store.data_mut().watch = watch;
    }

    /// Runs one call.
    pub(super) async fn call(
        &mut self,
        function: &plugin::Function,
        arguments: &[u8],
        result_max: usize,
    ) -> Completion {
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.panic = None;
        state.limiter.take_refused();
        if let Some(wasi) = &mut state.wasi {
            wasi.files.take_refused();
        }
        if function.takes_senders {
            state.desk.handed.note(arguments);
        }
        let finish = match self.run(function, arguments, result_max).await {
            Ok(finish) => finish,
            Err(error) => Completion::from_failure(&error, self.store.data_mut()),
        };
        flush(&self.store);
        finish
    }

    async fn run(
        &mut self,
        function: &plugin::Function,
        arguments: &[u8],
        result_max: usize,
    ) -> wasmtime::Result<Completion> {
        let Ok(length) = u32::try_from(arguments.len()) else {
            return Ok(Completion::Limit(
                "the arguments are larger than 4 GiB".to_owned(),
            ));
        };
        if length > self.buffer.capacity {
            let capacity = if length <= BUFFER_KEPT {
                length.next_power_of_two().max(BUFFER_MIN)
            } else {
                length
            };
            self.buffer = Buffer::default();
            let address = self.arguments.call_async(&mut self.store, capacity).await?;
            if address == 0 {
                return Ok(Completion::Limit(format!(
                    "the plugin has no room for {length} bytes of arguments"
                )));
            }
            self.buffer = Buffer { address, capacity };
        }
        let written = self
            .memory
            .write(&mut self.store, self.buffer.address as usize, arguments);
        written.map_err(|_| Stop::BadGuest("its buffer for arguments is outside its memory"))?;
        if self.buffer.capacity > BUFFER_KEPT {
            // The guest gives a large one back after the call.
            self.buffer = Buffer::default();
        }

        let slot = &mut self.functions[function.index];
        let entry = match slot {
            Some(entry) => entry,
            None => {
                let export = self
                    .instance
                    .get_module_export(&mut self.store, &function.export)
                    .and_then(wasmtime::Extern::into_func)
                    .ok_or(Stop::BadGuest("a function's export is gone"))?;
                slot.insert(export.typed(&self.store)?)
            }
        };
        let packed = entry.call_async(&mut self.store, length).await?;

        let (address, size) = ((packed >> 32) as usize, packed as u32 as usize);
        let envelope = self
            .memory
            .data(&self.store)
            .get(address..address.saturating_add(size))
            .ok_or(Stop::BadGuest("its result is outside its memory"))?;
        // The first byte is the envelope's own.
        if size > result_max.saturating_add(1) {
            return Ok(Completion::ResultTooLarge {
                size: size - 1,
                max: result_max,
            });
        }
        Ok(Completion::from_envelope(envelope))
    }
}

fn flush(store: &Store<State>) {
    if let Some(wasi) = &store.data().wasi {
        wasi.stdout.flush();
        wasi.stderr.flush();
    }
}
