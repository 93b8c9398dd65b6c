//! Files that are no plugins, and plugins that break their contract while they run: each is an
//! error of its own, and the context that met it goes on.

mod files;
mod running;

use offshoot::Plugin;
use offshoot_abi::record::{FunctionRecord, function, function_len};
use offshoot_abi::{ABI_VERSION, SECTION, Shape};

/// The record of a function that takes nothing and returns a number.
const RECORD: FunctionRecord = FunctionRecord {
    abi: ABI_VERSION,
    sdk: "0.1.0",
    plugin: "bad",
    version: "1.0.0",
    name: "f",
    docs: "",
    flags: 0,
    arguments: &[],
    result: Shape::U64,
    error: "",
};

/// Bytes of a record that is known when the test is compiled.
macro_rules! bytes_of {
    ($record:expr) => {{
        const RECORD_OF_IT: FunctionRecord = $record;
        const BYTES: [u8; function_len(&RECORD_OF_IT)] = function(&RECORD_OF_IT);
        &BYTES
    }};
}

use bytes_of;

const PLAIN: &[u8] = bytes_of!(RECORD);

/// A module in WebAssembly's text format, with a manifest behind it.
fn module(body: &str, manifest: &[u8]) -> Vec<u8> {
    let mut wasm = wat::parse_str(format!("(module {body})")).expect("the test's own text");
    let name = SECTION.as_bytes();
    wasm.push(0);
    leb128(&mut wasm, 1 + name.len() + manifest.len());
    leb128(&mut wasm, name.len());
    wasm.extend_from_slice(name);
    wasm.extend_from_slice(manifest);
    wasm
}

fn leb128(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const MEMORY: &str = r#"(memory (export "memory") 2)"#;
const ARGUMENTS: &str =
    r#"(func (export "offshoot.arguments") (param i32) (result i32) (i32.const 1024))"#;
const F: &str = r#"(func (export "offshoot.call.f") (param i32) (result i64) (i64.const 0))"#;

/// A plugin whose function `f` runs `code`, which may use `$packed` to return an envelope.
fn plugin(code: &str) -> Plugin {
    let packed = "(func $packed (param i32 i32) (result i64)
        (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))
                (i64.extend_i32_u (local.get 1))))";
    let f = format!(r#"(func (export "offshoot.call.f") (param i32) (result i64) {code})"#);
    of_parts(&[MEMORY, ARGUMENTS, packed, &f])
}

fn of_parts(parts: &[&str]) -> Plugin {
    Plugin::from_bytes("bad.wasm", module(&parts.concat(), PLAIN)).expect("a plugin so far")
}
