//! Small guests in the text format, most of them hostile.

mod caching;
mod calls;
mod ending;
mod forest;
mod hostile;
mod loading;
mod routing;
mod speed;
mod wasi;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offshoot_abi::{Grant, HostInfo, record};

use super::compile::{CompileError, CompiledImage};
use super::error::LoadError;
use super::*;

/// Longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shared, as in a real process.
static RUNTIME: LazyLock<Arc<Runtime>> =
    LazyLock::new(|| Runtime::new(Profile::Wide).expect("this machine runs wasm"));

/// What every guest needs: a memory of two pages, and room for arguments at 1024.
const PREAMBLE: &str = r#"
    (memory (export "memory") 2)
    (func (export "offshoot.arguments") (param i32) (result i32) (i32.const 1024))
"#;

/// Returns its arguments: the envelope's first byte goes just before them.
const ECHO: &str = r#"
    (func (export "offshoot.call.echo") (param $len i32) (result i64)
        (i32.store8 (i32.const 1023) (i32.const 0))
        (call $packed (i32.const 1023) (i32.add (local.get $len) (i32.const 1))))
"#;

/// Packs an address and a length as the contract wants.
const PACKED: &str = r#"
    (func $packed (param $at i32) (param $len i32) (result i64)
        (i64.or
            (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
            (i64.extend_i32_u (local.get $len))))
"#;

/// A module with these functions in its manifest, and nothing else that is not in `body`.
fn bare(functions: &[(&str, u8)], body: &str) -> Vec<u8> {
    bare_taking(&[0], functions, body)
}

/// The same; all functions take `arguments`, encoded as in a manifest.
fn bare_taking(arguments: &[u8], functions: &[(&str, u8)], body: &str) -> Vec<u8> {
    let mut section = Vec::new();
    for (name, flags) in functions {
        let mut payload = vec![record::TAG_FUNCTION, offshoot_abi::ABI_VERSION as u8];
        for text in ["0.1.0", "demo", "1.0.0", name, ""] {
            payload.push(text.len() as u8);
            payload.extend_from_slice(text.as_bytes());
        }
        payload.push(*flags);
        payload.extend_from_slice(arguments);
        // A result of no value, no error type.
        payload.extend_from_slice(&[0, 0]);
        section.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        section.append(&mut payload);
    }
    let mut escaped = String::new();
    for byte in section {
        write!(escaped, "\\{byte:02x}").unwrap();
    }
    let text = format!(r#"(module {body} (@custom "offshoot.v1" "{escaped}"))"#);
    wat::parse_str(text).unwrap()
}

/// A module with the usual exports.
fn module(functions: &[(&str, u8)], body: &str) -> Vec<u8> {
    module_taking(&[0], functions, body)
}

fn module_taking(arguments: &[u8], functions: &[(&str, u8)], body: &str) -> Vec<u8> {
    // Imports come first in a module.
    let (imports, rest): (Vec<&str>, Vec<&str>) = body
        .lines()
        .partition(|line| line.trim_start().starts_with("(import"));
    let (imports, rest) = (imports.join("\n"), rest.join("\n"));
    let body = format!("{imports} {PREAMBLE} {PACKED} {rest}");
    bare_taking(arguments, functions, &body)
}

fn image(wasm: &[u8]) -> CompiledImage {
    compile(wasm, &RUNTIME.target(), None).unwrap()
}

/// Log records, as `level target: text`.
#[derive(Default)]
struct Records {
    lines: Mutex<Vec<String>>,
    /// Whether there is no room for more.
    full: AtomicBool,
    /// Whether the next record takes the room.
    fills: AtomicBool,
}

impl Records {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl LogSink for Records {
    fn log(&self, level: u8, target: &str, text: &str) {
        self.lines
            .lock()
            .unwrap()
            .push(format!("{level} {target}: {text}"));
        if self.fills.load(Ordering::Relaxed) {
            self.full.store(true, Ordering::Relaxed);
        }
    }

    fn level(&self) -> u8 {
        4
    }

    fn room_at(&self) -> Option<Instant> {
        let later = Instant::now() + Duration::from_secs(3600);
        self.full.load(Ordering::Relaxed).then_some(later)
    }
}

/// How a guest is loaded.
struct Loader {
    grants: Vec<Grant>,
    limits: Limits,
    records: Arc<Records>,
    sessions: Option<Arc<dyn PluginRouters>>,
}

impl Default for Loader {
    fn default() -> Self {
        let limits = Limits {
            memory: 4 << 20,
            table_elements: 1000,
            result: 1 << 10,
        };
        Self {
            grants: Vec::new(),
            limits,
            records: Arc::default(),
            sessions: None,
        }
    }
}

impl Loader {
    fn load(&self, wasm: &[u8]) -> Result<Arc<Plugin>, LoadError> {
        let image = image(wasm);
        self.load_image(&image.bytes, &image.hash)
    }

    fn load_image(&self, image: &[u8], hash: &ImageHash) -> Result<Arc<Plugin>, LoadError> {
        let host = HostInfo {
            context_id: 7,
            parent_ids: vec![3, 0],
            name: "local.1".to_owned(),
        };
        let sink = self.records.clone();
        Plugin::load(
            &RUNTIME,
            image,
            hash,
            &self.grants,
            &self.limits,
            PluginEnv {
                host: &host,
                sink,
                sessions: self.sessions.clone(),
            },
        )
    }
}

/// A guest with one function `f`.
fn one(body: &str) -> Arc<Plugin> {
    Loader::default().load(&module(&[("f", 0)], body)).unwrap()
}

/// A guest whose function `f` is that body.
fn function(body: &str) -> Arc<Plugin> {
    one(&format!(
        r#"(func (export "offshoot.call.f") (param $len i32) (result i64) {body})"#
    ))
}

struct Pending {
    cancel: CancelHandle,
    finish: mpsc::Receiver<Completion>,
}

impl Pending {
    #[track_caller]
    fn wait(self) -> Completion {
        let finish = self.finish.recv_timeout(PATIENCE);
        finish.expect("a call ends")
    }
}

fn start(
    plugin: &Arc<Plugin>,
    function: &str,
    arguments: &[u8],
    timeout: Option<Duration>,
) -> Pending {
    let (sender, finish) = mpsc::channel();
    let cancel = CancelHandle::new();
    let invocation = Invocation {
        function,
        signature: 0,
        arguments: Bytes::copy_from_slice(arguments),
        deadline: timeout.map(|timeout| Instant::now() + timeout),
    };
    let done = sender.clone();
    let ended = plugin.start(invocation, cancel.clone(), move |finish| {
        let _ = done.send(finish);
    });
    if let Some(ended) = ended {
        sender.send(ended).unwrap();
    }
    Pending { cancel, finish }
}

#[track_caller]
fn call(plugin: &Arc<Plugin>, function: &str, arguments: &[u8]) -> Completion {
    start(plugin, function, arguments, None).wait()
}
