//! Plugins that pass for good ones until they run.

use std::time::Duration;

use e2e::with_router;
use e2e_plugin as guest;
use offshoot::{CallError, CallErrorKind, Context, Error, Plugin, PluginError};
use offshoot_abi::record::{FLAG_CONCURRENT, FunctionRecord, function, function_len};
use offshoot_abi::{Field, Shape};

use super::{ARGUMENTS, F, MEMORY, RECORD, bytes_of, module, of_parts, plugin};

/// The error of a call of `f`; the context serves a well-made plugin before and after it.
async fn call_f(context: &Context, plugin: &Plugin) -> Error {
    // The argument is more than it says it takes, so that it is asked for a buffer.
    let result = context.call_named::<u64>(plugin, "f", &(1_u64,)).await;
    let sum = context.call::<guest::add>((1, 2)).await;
    assert_eq!(sum.unwrap(), 3, "after {result:?}");
    result.expect_err("it fails")
}

fn call_error(error: Error) -> CallError {
    match error {
        Error::Call(error) => *error,
        other => panic!("not the call's own error: {other:?}"),
    }
}

/// Runs each plugin's `f` in one context, and compares how that ends.
fn check_ends(cases: &[(Plugin, CallErrorKind, &str)]) {
    with_router(async |router| {
        let context = router
            .local()
            .await
            .unwrap()
            .with_timeout(Duration::from_secs(30));
        for (plugin, kind, want) in cases {
            // Twice: the first time leaves nothing behind that makes the second one different.
            for _ in 0..2 {
                let error = call_error(call_f(&context, plugin).await);
                assert_eq!(error.failure.kind, *kind, "{want}: {error:#}");
                assert!(error.to_string().contains(want), "{want}: {error}");
            }
        }
    });
}

#[test]
fn a_plugin_that_lies_about_its_memory_is_told_so() {
    let outside = "broke its contract: its result is outside its memory";
    let malformed = "broke its contract: it returned a malformed envelope";
    let byte_at_0 = |byte| {
        plugin(&format!(
            "(i32.store8 (i32.const 0) (i32.const {byte})) (call $packed (i32.const 0) (i32.const 3))"
        ))
    };
    let buffer = |at: &str| {
        let arguments = format!(
            r#"(func (export "offshoot.arguments") (param i32) (result i32) (i32.const {at}))"#
        );
        of_parts(&[MEMORY, &arguments, F])
    };
    let with_import = |import: &str, call: &str| {
        let f = format!(
            r#"(func (export "offshoot.call.f") (param i32) (result i64) {call} (i64.const 0))"#
        );
        of_parts(&[import, MEMORY, ARGUMENTS, &f])
    };
    let log = r#"(import "offshoot/v1" "log" (func $log (param i32 i32 i32 i32 i32)))"#;
    let misbehaved = CallErrorKind::Misbehaved;
    check_ends(&[
        (plugin("(i64.const -1)"), misbehaved, outside),
        (
            plugin("(call $packed (i32.const 131071) (i32.const 2))"),
            misbehaved,
            outside,
        ),
        (
            plugin("(call $packed (i32.const 0) (i32.const -1))"),
            misbehaved,
            outside,
        ),
        (plugin("(i64.const 0)"), misbehaved, malformed),
        (byte_at_0(3), misbehaved, malformed),
        (byte_at_0(255), misbehaved, malformed),
        (
            byte_at_0(1),
            misbehaved,
            "it returned an error that does not decode",
        ),
        (byte_at_0(2), CallErrorKind::BadArguments, "bad arguments: "),
        (
            buffer("0"),
            CallErrorKind::LimitExceeded,
            "no room for 1 bytes of arguments",
        ),
        (
            buffer("-1"),
            misbehaved,
            "its buffer for arguments is outside its memory",
        ),
        (
            with_import(
                log,
                "(call $log (i32.const 3) (i32.const -1) (i32.const 9) (i32.const 0) (i32.const 0))",
            ),
            misbehaved,
            "it passed a pointer outside its memory",
        ),
        (
            with_import(
                log,
                "(call $log (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            ),
            misbehaved,
            "it logged at a level that does not exist",
        ),
    ]);
}

#[test]
fn a_plugin_that_crashes_is_told_how() {
    let trapped = CallErrorKind::Trapped;
    let recursion = r#"(func $again (param i32) (result i64) (call $again (local.get 0)))
        (export "offshoot.call.f" (func $again))"#;
    let start = r#"(func $start (unreachable)) (start $start)"#;
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let exits = r#"(func (export "offshoot.call.f") (param i32) (result i64)
        (call $exit (i32.const 0)) (unreachable))"#;
    check_ends(&[
        (plugin("(unreachable)"), trapped, "unreachable"),
        (
            plugin("(i64.load (i32.const -8))"),
            trapped,
            "out of bounds memory access",
        ),
        (
            plugin("(i64.div_u (i64.const 1) (i64.const 0))"),
            trapped,
            "divide by zero",
        ),
        (of_parts(&[MEMORY, ARGUMENTS, recursion]), trapped, "stack"),
        (
            of_parts(&[MEMORY, ARGUMENTS, F, start]),
            trapped,
            "unreachable",
        ),
        (
            of_parts(&[exit, MEMORY, ARGUMENTS, exits]),
            trapped,
            "called exit(0)",
        ),
    ]);
}

#[test]
fn a_plugin_that_wants_too_much_is_told_what() {
    let limit = CallErrorKind::LimitExceeded;
    let grow =
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let table = r#"(table $t 1 funcref)
        (func (export "offshoot.call.f") (param i32) (result i64)
            (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
            (unreachable))"#;
    let wide = r#"(memory (export "memory") 65536)"#;
    let result = r#"(memory (export "memory") 2049)
        (func (export "offshoot.call.f") (param i32) (result i64) (i64.const 134217730))"#;
    check_ends(&[
        (
            plugin(grow),
            limit,
            "bytes of memory, the limit is 268435456",
        ),
        (
            of_parts(&[MEMORY, ARGUMENTS, table]),
            limit,
            "the plugin wanted a table of",
        ),
        (
            of_parts(&[wide, ARGUMENTS, F]),
            limit,
            "wanted 4294967296 bytes of memory",
        ),
        (
            of_parts(&[ARGUMENTS, result]),
            limit,
            "a result of 134217729 bytes is too large (max 134217728)",
        ),
    ]);
}

#[test]
fn a_plugin_that_imports_what_wasi_has_not_cannot_be_loaded() {
    let unknown = r#"(import "wasi_snapshot_preview1" "fd_juggle" (func))"#;
    let wrong = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param f64)))"#;
    let cannot = CallErrorKind::CannotLoad;
    check_ends(&[
        (
            of_parts(&[unknown, MEMORY, ARGUMENTS, F]),
            cannot,
            "imports `wasi_snapshot_preview1::fd_juggle`, which this host does not offer",
        ),
        (
            of_parts(&[wrong, MEMORY, ARGUMENTS, F]),
            cannot,
            "incompatible import type",
        ),
    ]);
}

#[test]
fn a_loop_without_end_is_ended_wherever_it_is() {
    let forever = "(loop (br 0)) (unreachable)";
    let start = format!("(func $start {forever}) (start $start)");
    let initialize = format!(r#"(func (export "_initialize") {forever})"#);
    let arguments =
        format!(r#"(func (export "offshoot.arguments") (param i32) (result i32) {forever})"#);
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let below = router.local().via(&context).await.unwrap();
        let hasty = context.with_timeout(Duration::from_millis(100));
        for plugin in [
            plugin(forever),
            of_parts(&[MEMORY, ARGUMENTS, F, &start]),
            of_parts(&[MEMORY, ARGUMENTS, F, &initialize]),
            of_parts(&[MEMORY, &arguments, F]),
        ] {
            let call = hasty.call_named::<u64>(&plugin, "f", &(1_u64,));
            // The loop is not between anyone and anyone else.
            let (looping, other) = both(call, below.call::<guest::add>((1, 2))).await;
            assert_eq!(other.unwrap(), 3);
            assert!(matches!(looping, Err(Error::Timeout { .. })), "{looping:?}");
            assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
        }
    });
}

/// Waits for two futures at once.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut from_a, mut from_b) = (None, None);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if from_a.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            from_a = Some(value);
        }
        if from_b.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            from_b = Some(value);
        }
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (from_a, from_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn a_loop_that_may_run_beside_others_does_not_stop_them() {
    let record = bytes_of!(FunctionRecord {
        flags: FLAG_CONCURRENT,
        ..RECORD
    });
    let f = r#"(func (export "offshoot.call.f") (param i32) (result i64)
        (loop (br 0)) (unreachable))"#;
    let wasm = module(&[MEMORY, ARGUMENTS, f].concat(), record);
    let plugin = Plugin::from_bytes("bad.wasm", wasm).unwrap();
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let context = context.with_timeout(Duration::from_millis(300));
        let mut loops = Vec::new();
        for _ in 0..8 {
            let (context, plugin) = (context.clone(), plugin.clone());
            loops.push(tokio::spawn(async move {
                context.call_raw(&plugin, "f", b"").await
            }));
        }
        tokio::task::yield_now().await;
        let patient = context.with_timeout(Duration::from_secs(30));
        assert_eq!(patient.call::<guest::add>((1, 2)).await.unwrap(), 3);
        for looping in loops {
            let end = looping.await.unwrap();
            assert!(matches!(end, Err(Error::Timeout { .. })), "{end:?}");
        }
    });
}

#[test]
fn a_manifest_that_promises_another_type_is_a_decoding_error() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        // It says a number and returns none, or more than one.
        for (payload, why) in [(1, "Hit the end of buffer"), (4, "2 bytes are left over")] {
            let code = format!("(call $packed (i32.const 0) (i32.const {payload}))");
            let error = call_f(&context, &plugin(&code)).await;
            assert!(
                matches!(error, Error::Plugin(PluginError::Decode { .. })),
                "{error:?}"
            );
            let text = error.to_string();
            assert!(
                text.starts_with("cannot decode the result of `bad::f`: "),
                "{text}"
            );
            assert!(text.contains(why), "{text}");
        }
    });
}

#[test]
fn a_plugin_of_the_right_name_and_the_wrong_types_is_not_called() {
    let record = bytes_of!(FunctionRecord {
        plugin: "e2e-plugin",
        name: "add",
        arguments: &[Field {
            name: "a",
            shape: Shape::Str,
        }],
        ..RECORD
    });
    let add = r#"(func (export "offshoot.call.add") (param i32) (result i64) (unreachable))"#;
    let wasm = module(&[MEMORY, ARGUMENTS, add].concat(), record);
    let other = Plugin::from_bytes("bad.wasm", wasm).unwrap();
    with_router(async |router| {
        let context = router.local().await.unwrap();
        router.add_plugin(other);
        let error = context.call::<guest::add>((1, 2)).await.unwrap_err();
        assert!(
            matches!(error, Error::Plugin(PluginError::Signature { .. })),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            "`e2e-plugin::add` takes or returns other types than the caller was compiled with; \
             the plugin's are `fn add(a: String) -> u64`: rebuild the caller or the plugin"
        );
        let error = context.call::<guest::count>(()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "plugin `e2e-plugin` has no function `count`; it has add"
        );
    });
}
