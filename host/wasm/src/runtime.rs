//! What all plugins of a process share.

use std::sync::Arc;

use wasmtime::{Engine, Linker};

use super::error::EngineError;
use super::executor::Executor;
use super::state::State;
use super::target::{Profile, Target};
use super::ticker::Ticker;
use super::{engine, exchange, imports, wasi};

/// The engine, its ticker and its workers: one for each process. It has no thread until a call
/// needs one.
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Linker<State>,
    pub(super) ticker: Ticker,
    pub(super) executor: Executor,
    target: Target,
}

impl Runtime {
    /// Makes the engine for that layout of memories.
    pub fn new(profile: Profile) -> Result<Arc<Self>, EngineError> {
        let fail = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let config = engine::config(profile);
        // A controller has a compiler linked in. What it runs itself takes the same path as what
        // its children run.
        #[cfg(feature = "compiler")]
        let config = {
            let mut config = config;
            config.enable_compiler(false);
            config
        };
        let engine = Engine::new(&config).map_err(fail)?;
        let mut linker = Linker::new(&engine);
        imports::add_to_linker(&mut linker).map_err(fail)?;
        exchange::add_to_linker(&mut linker).map_err(fail)?;
        wasi::add_to_linker(&mut linker).map_err(fail)?;
        Ok(Arc::new(Self {
            ticker: Ticker::new(&engine),
            executor: Executor::default(),
            target: Target::native(profile),
            engine,
            linker,
        }))
    }

    /// What images must be compiled for to run here.
    pub fn target(&self) -> Target {
        self.target.clone()
    }
}
