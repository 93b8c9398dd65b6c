use super::*;
use crate::record::{self, FunctionRecord, function, function_len};
use crate::schema::Shape;
use crate::{ABI_VERSION, ManifestError};
use std::format;
use std::vec;

const RECORD: FunctionRecord = FunctionRecord {
    abi: ABI_VERSION,
    sdk: "0.1.0",
    plugin: "demo",
    version: "1.2.3",
    name: "ping",
    docs: "",
    flags: record::FLAG_CONCURRENT,
    arguments: &[],
    result: Shape::Unit,
    error: "",
};
const BYTES: [u8; function_len(&RECORD)] = function(&RECORD);

const ARGUMENTS: &str =
    r#"(func (export "offshoot.arguments") (param i32) (result i32) i32.const 8)"#;
const PING: &str = r#"(func (export "offshoot.call.ping") (param i32) (result i64) i64.const 1)"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// A module of these parts, with a manifest that promises `ping`.
fn module(parts: &[&str]) -> Vec<u8> {
    let mut wasm = wat::parse_str(format!("(module {})", parts.concat())).unwrap();
    append_section(&mut wasm, &BYTES);
    wasm
}

fn append_section(wasm: &mut Vec<u8>, bytes: &[u8]) {
    let content = [&[SECTION.len() as u8], SECTION.as_bytes(), bytes].concat();
    assert!(content.len() < 128, "its length is one byte");
    wasm.extend_from_slice(&[0, content.len() as u8]);
    wasm.extend_from_slice(&content);
}

#[track_caller]
fn check_refused(wasm: &[u8], want: &str) {
    assert_eq!(inspect(wasm).unwrap_err().to_string(), want);
}

#[test]
fn a_plugin_is_read() {
    let wasm = module(&[
        r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
        r#"(import "offshoot/v1" "log_level" (func (result i32)))"#,
        MEMORY,
        ARGUMENTS,
        PING,
        r#"(func (export "_initialize"))"#,
    ]);
    let inspection = inspect(&wasm).unwrap();
    assert_eq!(inspection.manifest.plugin, "demo");
    assert!(inspection.manifest.function("ping").unwrap().concurrent);
    assert!(inspection.uses_wasi);
    let name = |(module, name): &(String, String)| format!("{module} {name}");
    let imports: Vec<String> = inspection.imports.iter().map(name).collect();
    assert_eq!(
        imports,
        ["wasi_snapshot_preview1 fd_write", "offshoot/v1 log_level"]
    );
    assert_eq!(inspection.size, wasm.len());
}

#[test]
fn a_manifest_in_two_sections_is_one() {
    let mut wasm = module(&[MEMORY, ARGUMENTS, PING]);
    append_section(&mut wasm, &BYTES);
    check_refused(
        &wasm,
        "the manifest contradicts itself: two functions are named `ping`",
    );
}

#[test]
fn every_truncation_is_refused() {
    let wasm = module(&[MEMORY, ARGUMENTS, PING]);
    for length in 1..wasm.len() {
        let error = inspect(&wasm[..length]).unwrap_err();
        let manifest_missing = InvalidModule::Manifest(ManifestError::Empty);
        let is_cut = matches!(error, InvalidModule::Truncated { .. });
        // Cut between two sections it is a whole module, with less in it.
        assert!(is_cut || error == manifest_missing, "{length}: {error:?}");
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    let wasm = module(&[MEMORY, ARGUMENTS, PING]);
    for index in 0..wasm.len() {
        for bit in 0..8 {
            let mut wasm = wasm.clone();
            wasm[index] ^= 1 << bit;
            let _ = inspect(&wasm);
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    assert_eq!(inspect(b"").unwrap_err(), InvalidModule::Foreign);
    assert_eq!(
        inspect(b"\x89PNG\r\n\x1a\n").unwrap_err(),
        InvalidModule::Foreign
    );
    assert_eq!(inspect(b"(module)").unwrap_err(), InvalidModule::Text);
    assert_eq!(inspect(b"\x7fELF\x02\x01").unwrap_err(), InvalidModule::Elf);
    let component = wat::parse_str("(component)").unwrap();
    assert_eq!(inspect(&component).unwrap_err(), InvalidModule::Component);
    let large = vec![0; MODULE_MAX + 1];
    let size = large.len();
    assert_eq!(
        inspect(&large).unwrap_err(),
        InvalidModule::TooLarge { size }
    );
}

#[test]
fn features_that_hosts_lack_are_refused() {
    let threads = r#"(memory (export "memory") 1 1 shared)"#;
    let error = inspect(&module(&[threads, ARGUMENTS, PING])).unwrap_err();
    assert!(error.to_string().contains("threads"), "{error}");
}

#[test]
fn a_broken_body_is_refused() {
    let broken = r#"(func (result i32) i64.const 0)"#;
    let error = inspect(&module(&[MEMORY, ARGUMENTS, PING, broken])).unwrap_err();
    assert!(matches!(error, InvalidModule::Invalid { .. }), "{error:?}");
}

#[test]
fn imports_that_no_host_offers_are_refused() {
    check_refused(
        &module(&[r#"(import "env" "puts" (func))"#, MEMORY, ARGUMENTS, PING]),
        "the module imports `env` `puts`, which no host offers: there are `offshoot/v1` and WASI \
         preview 1",
    );
    check_refused(
        &module(&[
            r#"(import "offshoot/v1" "exec" (func))"#,
            MEMORY,
            ARGUMENTS,
            PING,
        ]),
        "the module imports `offshoot/v1` `exec`, which no host offers: there are `offshoot/v1` \
         and WASI preview 1",
    );
    check_refused(
        &module(&[
            r#"(import "offshoot/v1" "log_level" (func))"#,
            MEMORY,
            ARGUMENTS,
            PING,
        ]),
        "the module imports `offshoot/v1` `log_level` as (), the host offers () -> i32: rebuild \
         it with a matching `offshoot-guest`",
    );
    check_refused(
        &module(&[
            r#"(import "wasi_snapshot_preview1" "m" (memory 1))"#,
            ARGUMENTS,
            PING,
        ]),
        "the module imports `wasi_snapshot_preview1` `m`, which no host offers: there are \
         `offshoot/v1` and WASI preview 1",
    );
}

#[test]
fn exports_must_be_what_the_manifest_says() {
    check_refused(
        &module(&[ARGUMENTS, PING]),
        "the module does not export `memory`",
    );
    check_refused(
        &module(&[MEMORY, PING]),
        "the module does not export `offshoot.arguments`",
    );
    check_refused(
        &module(&[MEMORY, ARGUMENTS]),
        "the manifest names a function `ping`, but the module does not export \
         `offshoot.call.ping`",
    );
    let wrong = r#"(func (export "offshoot.call.ping") (param i32 f32))"#;
    check_refused(
        &module(&[MEMORY, ARGUMENTS, wrong]),
        "the module exports `offshoot.call.ping` as (i32, f32) instead of (i32) -> i64",
    );
    let wrong = r#"(global (export "memory") i32 (i32.const 0))"#;
    check_refused(
        &module(&[wrong, ARGUMENTS, PING]),
        "the module exports `memory` as a global instead of a memory",
    );
    let wrong = r#"(func (export "_initialize") (param i32))"#;
    check_refused(
        &module(&[MEMORY, ARGUMENTS, PING, wrong]),
        "the module exports `_initialize` as (i32) instead of ()",
    );
}
