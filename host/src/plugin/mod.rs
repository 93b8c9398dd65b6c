//! Plugins as their users hold them: a module, what it may touch, and its images.

mod error;
mod ownership;
mod registry;
mod search;

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use offshoot_abi::{FunctionInfo, Grant, Inspection, MODULE_MAX, Manifest, inspect};
use offshoot_proto::control::{self, Bind, BindingKey, PluginLimits};

pub use error::PluginError;
pub use ownership::NotOurs;
pub(crate) use registry::Registry;
pub use search::{SearchPlace, search_path, search_places};

use offshoot_wasm::{ImageCache, ParseTargetError, Target, compile};

/// A compiled plugin, with the grants and limits that it gets where it runs.
///
/// Cheap to clone. Two values with different grants are two plugins to the contexts that run
/// them: each has its own instance, and its own state.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let refused = offshoot::Plugin::from_bytes("empty", Vec::new());
/// assert!(refused.unwrap_err().to_string().contains("`empty` is not a usable plugin"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Plugin {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    module: Arc<Module>,
    grants: Vec<Grant>,
    limits: PluginLimits,
    /// What was made ready of it, for each target. Shared by clones with the same grants.
    ready: Arc<Mutex<Vec<Arc<Ready>>>>,
}

#[derive(Debug)]
struct Module {
    wasm: Bytes,
    inspection: Inspection,
    /// Images do not depend on grants, and are compiled once for all of them.
    images: Mutex<Vec<Image>>,
}

#[derive(Clone, Debug)]
struct Image {
    target: Arc<str>,
    hash: control::ImageHash,
    bytes: Bytes,
}

/// A plugin that is ready to be called in contexts of one target.
#[derive(Debug)]
pub(crate) struct Ready {
    target: Arc<str>,
    pub(crate) bind: Arc<Bind>,
    pub(crate) image: Bytes,
}

impl Plugin {
    /// Reads a plugin from a `.wasm` file.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is not a plugin for this host; nothing of it runs.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PluginError> {
        let path = path.as_ref();
        let wasm = read_module(path).map_err(|source| PluginError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&path.display().to_string(), wasm)
    }

    /// A plugin from the bytes of a module; `name` is for errors.
    ///
    /// # Errors
    ///
    /// Fails when it is not a plugin for this host; nothing of it runs.
    pub fn from_bytes(name: &str, wasm: impl Into<Bytes>) -> Result<Self, PluginError> {
        let wasm = wasm.into();
        let inspection = inspect(&wasm).map_err(|source| PluginError::Invalid {
            name: name.to_owned(),
            source,
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                module: Arc::new(Module {
                    wasm,
                    inspection,
                    images: Mutex::default(),
                }),
                grants: Vec::new(),
                limits: PluginLimits::default(),
                ready: Arc::default(),
            }),
        })
    }

    /// The same plugin with one more grant.
    #[must_use]
    pub fn grant(mut self, grant: Grant) -> Self {
        if !self.inner.grants.contains(&grant) {
            let inner = Arc::make_mut(&mut self.inner);
            inner.grants.push(grant);
            inner.grants.sort();
            inner.ready = Arc::default();
        }
        self
    }

    /// The same plugin with another bound for the memory of an instance, in bytes. The default
    /// is 256 MiB.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        inner.limits.memory = bytes;
        inner.ready = Arc::default();
        self
    }

    /// What the plugin says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.module.inspection.manifest
    }

    /// What was found out about the module without running it.
    pub fn inspection(&self) -> &Inspection {
        &self.inner.module.inspection
    }

    /// What it may touch.
    pub fn grants(&self) -> &[Grant] {
        &self.inner.grants
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.manifest().plugin
    }

    /// One of its functions.
    ///
    /// # Errors
    ///
    /// Fails when there is none of that name; the error lists those that there are.
    pub fn function(&self, name: &str) -> Result<&FunctionInfo, PluginError> {
        let index = self.function_index(name)?;
        Ok(&self.manifest().functions[index])
    }

    /// Where a function is in the manifest.
    pub(crate) fn function_index(&self, name: &str) -> Result<usize, PluginError> {
        let manifest = self.manifest();
        let index = manifest.position(name);
        index.ok_or_else(|| PluginError::UnknownFunction {
            plugin: manifest.plugin.clone(),
            function: name.to_owned(),
            known: manifest
                .functions
                .iter()
                .map(|function| function.name.clone())
                .collect(),
        })
    }

    /// The plugin for contexts of that target, if it was made ready before.
    pub(crate) fn if_ready(&self, target: &str) -> Option<Arc<Ready>> {
        let ready = lock(&self.inner.ready);
        ready.iter().find(|ready| &*ready.target == target).cloned()
    }

    /// Makes the plugin ready for contexts of that target.
    ///
    /// Cancel-safe: a compilation that has begun goes on, and the next caller finds its result.
    pub(crate) async fn prepare(&self, target: &Arc<str>) -> Result<Arc<Ready>, PluginError> {
        if let Some(ready) = self.if_ready(target) {
            return Ok(ready);
        }
        let (plugin, target) = (self.clone(), target.clone());
        let prepared = tokio::task::spawn_blocking(move || plugin.prepare_now(&target));
        prepared.await.unwrap_or_else(|error| {
            Err(PluginError::Compile {
                name: self.name().to_owned(),
                reason: error.to_string(),
            })
        })
    }

    fn prepare_now(&self, target: &Arc<str>) -> Result<Arc<Ready>, PluginError> {
        let image = self.inner.module.image(target)?;
        let mut bind = Bind {
            key: BindingKey::default(),
            plugin: self.name().to_owned(),
            image: image.hash,
            grants: self.inner.grants.clone(),
            limits: self.inner.limits,
        };
        let digest = blake3::hash(&control::encode(&bind));
        let half = digest.as_bytes().first_chunk::<16>();
        bind.key = half.copied().unwrap_or_default();
        let ready = Arc::new(Ready {
            target: target.clone(),
            bind: Arc::new(bind),
            image: image.bytes,
        });
        lock(&self.inner.ready).push(ready.clone());
        Ok(ready)
    }
}

impl Module {
    /// The image for that target. Callers at the same time wait for one compilation.
    fn image(&self, target: &Arc<str>) -> Result<Image, PluginError> {
        let mut images = lock(&self.images);
        if let Some(image) = images.iter().find(|image| image.target == *target) {
            return Ok(image.clone());
        }
        let failed = |reason: String| PluginError::Compile {
            name: self.inspection.manifest.plugin.clone(),
            reason,
        };
        let parsed: Result<Target, ParseTargetError> = target.parse();
        let parsed = parsed.map_err(|error| failed(error.to_string()))?;
        let cache = ImageCache::of_user()
            .inspect_err(|error| tracing::debug!(%error, "images are not cached on disk"))
            .ok();
        let compiled = compile(&self.wasm, &parsed, cache.as_ref());
        let compiled = compiled.map_err(|error| failed(error.to_string()))?;
        let image = Image {
            target: target.clone(),
            hash: compiled.hash.0,
            bytes: compiled.bytes.into(),
        };
        images.push(image.clone());
        Ok(image)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a file that is no larger than a module may be, and does not wait for what is no file.
fn read_module(path: &Path) -> std::io::Result<Vec<u8>> {
    let refused = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
    let mut options = std::fs::OpenOptions::new();
    // A pipe would be waited for.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = options
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(refused(
            "it is a device, pipe or socket: name a `.wasm` file".to_owned(),
        ));
    }
    let max = MODULE_MAX as u64;
    if metadata.len() > max {
        let size = metadata.len();
        return Err(refused(format!(
            "it has {size} bytes, a module at most {max}"
        )));
    }
    let mut wasm = Vec::with_capacity(metadata.len() as usize);
    // One more than the limit, so that a file that grows meanwhile is noticed by who looks inside.
    file.take(max + 1).read_to_end(&mut wasm)?;
    Ok(wasm)
}
