//! Files that are no plugins, or not for this host: each is told what it is instead.

use std::time::Duration;

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::Plugin;
use offshoot_abi::record::{FunctionRecord, function, function_len};
use offshoot_abi::{ABI_VERSION, MODULE_MAX};

use super::{ARGUMENTS, F, MEMORY, PLAIN, RECORD, bytes_of, module, of_parts};

fn refusal(wasm: Vec<u8>) -> String {
    let error = Plugin::from_bytes("bad.wasm", wasm).expect_err("it is no plugin");
    let text = error.to_string();
    let reason = text.strip_prefix("`bad.wasm` is not a usable plugin: ");
    reason.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[track_caller]
fn check_refused(body: &str, manifest: &[u8], want: &str) {
    assert_eq!(refusal(module(body, manifest)), want);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Plugin::open("/no/such/plugin.wasm")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read plugin `/no/such/plugin.wasm`: No such file"),
        "{error}"
    );
    let error = Plugin::open("/").unwrap_err().to_string();
    assert!(error.starts_with("cannot read plugin `/`: "), "{error}");
}

#[test]
fn a_plugin_that_is_cut_off_is_refused_wherever_that_is() {
    let wasm = std::fs::read(e2e::plugin_file()).unwrap();
    let whole = Plugin::from_bytes("whole", wasm.clone()).unwrap();
    let tail = wasm.len().saturating_sub(300)..wasm.len();
    let head = 0..300.min(wasm.len());
    let between = (0..wasm.len()).step_by(wasm.len() / 300 + 1);
    for length in head.chain(between).chain(tail) {
        match Plugin::from_bytes("bad.wasm", wasm[..length].to_vec()) {
            // What is missing says nothing that a plugin needs, such as the names of its functions.
            Ok(plugin) => assert_eq!(plugin.manifest(), whole.manifest(), "{length} bytes"),
            Err(error) => {
                let text = error.to_string();
                let known = [
                    "is cut off",
                    "no Offshoot manifest",
                    "not a WebAssembly module",
                ];
                assert!(
                    known.iter().any(|known| text.contains(known)),
                    "{length} bytes: {text}"
                );
            }
        }
    }
}

#[test]
fn a_plugin_with_a_changed_byte_hurts_nobody() {
    let wasm = std::fs::read(e2e::plugin_file()).unwrap();
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let mut accepted = 0;
        for index in (0..wasm.len()).step_by(wasm.len() / 500 + 1) {
            let mut wasm = wasm.clone();
            wasm[index] ^= 1 << (index % 8);
            let Ok(plugin) = Plugin::from_bytes("changed", wasm) else {
                continue;
            };
            accepted += 1;
            // Compiling each would take minutes.
            if accepted % 16 == 1 {
                let context = context.with_timeout(Duration::from_secs(5));
                let _ = context
                    .call_named::<u64>(&plugin, "add", &(1_u64, 2_u64))
                    .await;
                assert_eq!(
                    context.call::<guest::add>((1, 2)).await.unwrap(),
                    3,
                    "byte {index}"
                );
            }
        }
        assert!(accepted > 0, "some bytes do not matter");
    });
}

#[test]
fn files_of_other_kinds_are_told_apart() {
    let text =
        "it is text, not a compiled module: WebAssembly text is turned into one by `wat2wasm`";
    assert_eq!(refusal(b"(module)".to_vec()), text);
    assert_eq!(refusal(b"#!/bin/sh\nexit 0\n".to_vec()), text);
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let native = "it is a native program or library, not a WebAssembly module: build the plugin \
                  with `offshoot plugin build`";
    assert_eq!(refusal(program[..1000].to_vec()), native);
    assert_eq!(refusal(Vec::new()), "it is not a WebAssembly module");
    assert_eq!(
        refusal(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        "it is not a WebAssembly module"
    );
    let component = wat::parse_str("(component)").unwrap();
    assert_eq!(
        refusal(component),
        "it is a WebAssembly component, not a core module: build it for `wasm32-wasip1`, as \
         `offshoot plugin build` does"
    );
    let future = b"\0asm\x02\0\0\0".to_vec();
    assert!(refusal(future).contains("a version of WebAssembly that does not exist yet"));
}

#[test]
fn a_module_that_is_too_large_is_refused() {
    assert_eq!(
        refusal(vec![0; MODULE_MAX + 1]),
        "the module has 67108865 bytes, more than the 64 MiB that a host takes"
    );
}

#[test]
fn a_large_module_is_a_plugin_like_any_other() {
    let data = format!(r#"(data (i32.const 70000) "{}")"#, "x".repeat(16 << 20));
    let memory = r#"(memory (export "memory") 300)"#;
    let plugin = of_parts(&[memory, ARGUMENTS, &data, ONE]);
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let one: u64 = context.call_named(&plugin, "f", &()).await.unwrap();
        assert_eq!(one, 1);
    });
}

/// A function that returns 1.
const ONE: &str = r#"(data (i32.const 2048) "\00\01")
    (func (export "offshoot.call.f") (param i32) (result i64)
        (i64.or (i64.shl (i64.const 2048) (i64.const 32)) (i64.const 2)))"#;

#[test]
fn a_module_that_asks_for_what_no_host_has_is_refused() {
    for (import, named) in [
        (r#"(import "env" "puts" (func))"#, "`env` `puts`"),
        (
            r#"(import "offshoot/v1" "exec" (func))"#,
            "`offshoot/v1` `exec`",
        ),
        (
            r#"(import "offshoot/v2" "log" (func))"#,
            "`offshoot/v2` `log`",
        ),
        (r#"(import "env" "memory" (memory 1))"#, "`env` `memory`"),
    ] {
        // A module has one memory, and this one may import it.
        let memory = if import.contains("(memory 1)") {
            r#"(export "memory" (memory 0))"#
        } else {
            MEMORY
        };
        check_refused(
            &[import, memory, ARGUMENTS, F].concat(),
            PLAIN,
            &format!(
                "the module imports {named}, which no host offers: there are `offshoot/v1` and \
                 WASI preview 1"
            ),
        );
    }
    check_refused(
        &[
            r#"(import "offshoot/v1" "log_level" (func (param i32)))"#,
            MEMORY,
            ARGUMENTS,
            F,
        ]
        .concat(),
        PLAIN,
        "the module imports `offshoot/v1` `log_level` as (i32), the host offers () -> i32: rebuild \
         it with a matching `offshoot-guest`",
    );
}

#[test]
fn a_module_without_its_exports_is_refused() {
    let missing = "the module does not export `memory`";
    check_refused(&[ARGUMENTS, F].concat(), PLAIN, missing);
    let missing = "the module does not export `offshoot.arguments`";
    check_refused(&[MEMORY, F].concat(), PLAIN, missing);
    let missing = "the manifest names a function `f`, but the module does not export \
                   `offshoot.call.f`";
    check_refused(&[MEMORY, ARGUMENTS].concat(), PLAIN, missing);
    let wrong = r#"(func (export "offshoot.call.f") (param f64))"#;
    let text = "the module exports `offshoot.call.f` as (f64) instead of (i32) -> i64";
    check_refused(&[MEMORY, ARGUMENTS, wrong].concat(), PLAIN, text);
    let wrong = r#"(table (export "offshoot.call.f") 1 funcref)"#;
    let text = "the module exports `offshoot.call.f` as a table instead of (i32) -> i64";
    check_refused(&[MEMORY, ARGUMENTS, wrong].concat(), PLAIN, text);
}

#[test]
fn a_module_without_a_sound_manifest_is_refused() {
    let body = [MEMORY, ARGUMENTS, F].concat();
    let none = wat::parse_str(format!("(module {body})")).unwrap();
    let text = "the module has no Offshoot manifest: mark at least one function with \
                `#[function]` and build it with `offshoot plugin build`";
    assert_eq!(refusal(none), text);
    check_refused(&body, b"", text);
    let future = bytes_of!(FunctionRecord {
        abi: ABI_VERSION + 1,
        sdk: "9.0.0",
        ..RECORD
    });
    check_refused(
        &body,
        future,
        "the module was built for ABI 2 by SDK 9.0.0, this host speaks ABI 1: rebuild it with a \
         matching `offshoot-guest`",
    );
    let twice = [PLAIN, PLAIN].concat();
    let text = "the manifest contradicts itself: two functions are named `f`";
    check_refused(&body, &twice, text);
    for length in 1..PLAIN.len() {
        let text = refusal(module(&body, &PLAIN[..length]));
        assert!(
            text.starts_with("malformed manifest at byte "),
            "{length}: {text}"
        );
    }
}

#[test]
fn features_that_hosts_lack_are_refused_by_name() {
    for (part, named) in [
        (r#"(memory $m 1 1 shared)"#, "multiple memories"),
        ("(func (result i32) (return_call 0))", "tail calls"),
        ("(tag)", "exceptions"),
        ("(type (struct))", "gc"),
        ("(table i64 1 funcref)", "memory64"),
        (
            "(func (drop (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))) drop)",
            "wide arithmetic",
        ),
    ] {
        let text = refusal(module(&[MEMORY, ARGUMENTS, F, part].concat(), PLAIN));
        assert!(
            text.starts_with("the module is not valid at byte "),
            "{part}: {text}"
        );
        assert!(text.contains(named), "{part}: {text}");
    }
}
