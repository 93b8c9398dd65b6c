//! Compiles a plugin for a target.

use std::hash::{DefaultHasher, Hash, Hasher};

use offshoot_abi::{Manifest, ManifestError, SECTION};
use wasmtime::Engine;

use super::cache::{ImageCache, Key};
use super::engine;
use super::image::{ImageHash, Parts};
use super::sections::custom_section;
use super::target::Target;

/// Bytes of a module. A hundred times what a large plugin takes.
const WASM_MAX: usize = 256 << 20;

/// A plugin compiled for one target.
#[derive(Clone, Debug)]
pub struct CompiledImage {
    /// The image, as [`Plugin::load`](super::Plugin::load) takes it.
    pub bytes: Vec<u8>,
    /// Its name.
    pub hash: ImageHash,
    /// Whether it came from the cache.
    pub cached: bool,
}

/// A module that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are no core module.
    #[error(
        "not a core WebAssembly module{}: build the plugin for `wasm32-wasip1`",
        if *.component { " but a component" } else { "" }
    )]
    NotAModule {
        /// Whether they are a component.
        component: bool,
    },
    /// The module is beyond all sense.
    #[error("the module has {0} bytes, the limit is {WASM_MAX}")]
    TooLarge(usize),
    /// The manifest is missing or not sound.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// This build has no code generator for the target.
    #[error("this build cannot compile for `{target}`: {reason}")]
    UnsupportedTarget {
        /// The target.
        target: String,
        /// What the code generator says.
        reason: String,
    },
    /// The module is not valid, or uses a proposal that is switched off.
    #[error("the module does not compile: {0}")]
    Invalid(String),
}

/// Compiles `wasm` for `target`, or takes the image from the cache.
///
/// Takes all cores for some milliseconds for each 10 KiB: call it where that disturbs nobody.
pub fn compile(
    wasm: &[u8],
    target: &Target,
    cache: Option<&ImageCache>,
) -> Result<CompiledImage, CompileError> {
    if wasm.len() > WASM_MAX {
        return Err(CompileError::TooLarge(wasm.len()));
    }
    let manifest = custom_section(wasm, SECTION).ok_or(CompileError::NotAModule {
        component: wasm.starts_with(b"\0asm\x0d\0\x01\0"),
    })?;
    Manifest::parse(manifest)?;
    let engine = compiler(target)?;
    let key = Key::of(wasm, &target.to_string(), settings(&engine));
    if let Some(bytes) = cache.and_then(|cache| cache.get(&key)) {
        return Ok(CompiledImage {
            hash: ImageHash::of(&bytes),
            bytes,
            cached: true,
        });
    }
    let code = engine
        .precompile_module(wasm)
        .map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
    let bytes = Parts {
        target: &target.to_string(),
        manifest,
        code: &code,
    }
    .join();
    if let Some(cache) = cache {
        cache.put(&key, &bytes);
    }
    Ok(CompiledImage {
        hash: ImageHash::of(&bytes),
        bytes,
        cached: false,
    })
}

fn compiler(target: &Target) -> Result<Engine, CompileError> {
    let unsupported = |error: wasmtime::Error| CompileError::UnsupportedTarget {
        target: target.to_string(),
        reason: format!("{error:#}"),
    };
    let mut config = engine::config(target.profile);
    config.target(target.triple()).map_err(unsupported)?;
    for flag in target.cpu.flags() {
        // SAFETY: the flags only name instructions, and an image that uses one loads only where
        // the CPU has it: the engine compares them with the machine that it runs on.
        unsafe { config.cranelift_flag_enable(flag) };
    }
    Engine::new(&config).map_err(unsupported)
}

/// Digest of every setting that the code depends on, as the engine counts them.
fn settings(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}
