//! Guests that do what no guest should. Each ends its own call, by name, and nothing else.

use super::*;

#[track_caller]
fn trapped(plugin: &Arc<Plugin>) -> (String, Vec<String>) {
    match call(plugin, "f", b"") {
        Completion::Trapped { message, backtrace } => (message, backtrace),
        other => panic!("it traps, not {other:?}"),
    }
}

#[track_caller]
fn check_bad_guest(plugin: &Arc<Plugin>, want: &str) {
    match call(plugin, "f", b"") {
        Completion::BadGuest(text) => assert!(text.contains(want), "{text}"),
        other => panic!("it breaks the contract, not {other:?}"),
    }
}

#[test]
fn recursion_without_end() {
    let plugin = one(r#"
        (func $again (param i32) (result i64) (call $again (local.get 0)))
        (export "offshoot.call.f" (func $again))
    "#);
    let (message, _) = trapped(&plugin);
    assert!(message.contains("stack"), "{message}");
}

#[test]
fn a_read_outside_the_memory() {
    let plugin = function("(i64.load (i32.const -8))");
    let (message, backtrace) = trapped(&plugin);
    assert!(message.contains("out of bounds memory access"), "{message}");
    assert_eq!(backtrace.len(), 1);
}

#[test]
fn memory_without_end() {
    let grow =
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let finish = call(&function(grow), "f", b"");
    assert!(
        matches!(&finish, Completion::Limit(text) if text.contains("memory")),
        "{finish:?}"
    );
}

#[test]
fn a_refused_growth_that_the_guest_survives_is_no_error() {
    let body = r#"
        (drop (memory.grow (i32.const 60000)))
        (i32.store8 (i32.const 2000) (i32.const 0))
        (call $packed (i32.const 2000) (i32.const 1))
    "#;
    assert_eq!(
        call(&function(body), "f", b""),
        Completion::Value(Vec::new())
    );
}

#[test]
fn more_memory_from_the_start_than_allowed() {
    let body = r#"
        (memory (export "memory") 10000)
        (func (export "offshoot.arguments") (param i32) (result i32) (i32.const 1024))
        (func (export "offshoot.call.f") (param i32) (result i64) (i64.const 0))
    "#;
    let plugin = Loader::default().load(&bare(&[("f", 0)], body)).unwrap();
    let finish = call(&plugin, "f", b"");
    assert!(
        matches!(&finish, Completion::Limit(text) if text.contains("memory")),
        "{finish:?}"
    );
}

#[test]
fn a_table_without_end() {
    let plugin = one(r#"
        (table $t 1 funcref)
        (func (export "offshoot.call.f") (param i32) (result i64)
            (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))))
            (unreachable))
    "#);
    let finish = call(&plugin, "f", b"");
    assert!(
        matches!(&finish, Completion::Limit(text) if text.contains("table")),
        "{finish:?}"
    );
}

#[test]
fn a_result_larger_than_may_be_sent() {
    let finish = call(
        &function("(call $packed (i32.const 0) (i32.const 1026))"),
        "f",
        b"",
    );
    assert_eq!(
        finish,
        Completion::ResultTooLarge {
            size: 1025,
            max: 1024
        }
    );
    let finish = call(
        &function("(call $packed (i32.const 0) (i32.const 1025))"),
        "f",
        b"",
    );
    assert_eq!(finish, Completion::Value(vec![0; 1024]));
}

#[test]
fn a_result_outside_the_memory() {
    for lie in [
        "(call $packed (i32.const 131072) (i32.const 1))",
        "(call $packed (i32.const 131071) (i32.const 2))",
        "(i64.const -1)",
    ] {
        check_bad_guest(&function(lie), "result is outside its memory");
    }
}

#[test]
fn a_buffer_outside_the_memory() {
    for (at, want) in [(131_072, "outside its memory"), (-1, "outside its memory")] {
        let body = format!(
            r#"(memory (export "memory") 2)
            (func (export "offshoot.arguments") (param i32) (result i32) (i32.const {at}))
            (func (export "offshoot.call.f") (param i32) (result i64) (i64.const 0))"#
        );
        let plugin = Loader::default().load(&bare(&[("f", 0)], &body)).unwrap();
        match call(&plugin, "f", b"arguments") {
            Completion::BadGuest(text) => assert!(text.contains(want), "{text}"),
            other => panic!("it breaks the contract, not {other:?}"),
        }
    }
}

#[test]
fn a_refused_buffer() {
    let body = r#"
        (memory (export "memory") 2)
        (func (export "offshoot.arguments") (param i32) (result i32) (i32.const 0))
        (func (export "offshoot.call.f") (param i32) (result i64) (i64.const 0))
    "#;
    let plugin = Loader::default().load(&bare(&[("f", 0)], body)).unwrap();
    let finish = call(&plugin, "f", b"arguments");
    assert!(
        matches!(&finish, Completion::Limit(text) if text.contains("9 bytes")),
        "{finish:?}"
    );
}

#[test]
fn lies_to_host_functions() {
    let log = r#"(import "offshoot/v1" "log" (func $log (param i32 i32 i32 i32 i32)))"#;
    for (arguments, want) in [
        (
            "(i32.const 3) (i32.const -1) (i32.const 4) (i32.const 0) (i32.const 0)",
            "outside",
        ),
        (
            "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const -1)",
            "outside",
        ),
        (
            "(i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            "level",
        ),
    ] {
        let plugin = one(&format!(
            "{log}\n(func (export \"offshoot.call.f\") (param i32) (result i64) \
             (call $log {arguments}) (i64.const 0))"
        ));
        check_bad_guest(&plugin, want);
    }
    for name in ["host_info", "backtrace"] {
        let plugin = one(&format!(
            "(import \"offshoot/v1\" \"{name}\" (func $g (param i32 i32) (result i32)))\n\
             (func (export \"offshoot.call.f\") (param i32) (result i64) \
             (drop (call $g (i32.const 131000) (i32.const 1000))) (i64.const 0))"
        ));
        check_bad_guest(&plugin, "outside");
    }
}

#[test]
fn a_panic_says_what_and_where() {
    let plugin = one(r#"
        (import "offshoot/v1" "panic" (func $panic (param i32 i32 i32 i32)))
        (data (i32.const 3000) "no diskfree.rs:12:5")
        (func $core::panicking::panic_fmt
            (call $panic (i32.const 3000) (i32.const 7) (i32.const 3007) (i32.const 12))
            (unreachable))
        (func $demo::free::h0123456789abcdef (call $core::panicking::panic_fmt))
        (func $shim (export "offshoot.call.f") (param i32) (result i64)
            (call $demo::free::h0123456789abcdef) (i64.const 0))
    "#);
    let (message, backtrace) = trapped(&plugin);
    assert_eq!(message, "panicked at free.rs:12:5: no disk");
    assert_eq!(backtrace, ["demo::free", "shim"]);
}

#[test]
fn a_panics_text_does_not_outlive_its_call() {
    let plugin = one(r#"
        (import "offshoot/v1" "panic" (func $panic (param i32 i32 i32 i32)))
        (global $again (mut i32) (i32.const 0))
        (data (i32.const 3000) "survived")
        (func (export "offshoot.call.f") (param i32) (result i64)
            (if (global.get $again) (then (unreachable)))
            (global.set $again (i32.const 1))
            (call $panic (i32.const 3000) (i32.const 8) (i32.const 0) (i32.const 0))
            (i32.store8 (i32.const 2000) (i32.const 0))
            (call $packed (i32.const 2000) (i32.const 1)))
    "#);
    assert_eq!(call(&plugin, "f", b""), Completion::Value(Vec::new()));
    let (message, _) = trapped(&plugin);
    assert!(!message.contains("survived"), "{message}");
}

#[test]
fn a_guest_reads_its_own_stack() {
    let plugin = one(r#"
        (import "offshoot/v1" "backtrace" (func $backtrace (param i32 i32) (result i32)))
        (func $inner (result i64)
            (i32.store8 (i32.const 2000) (i32.const 0))
            (call $packed (i32.const 2000)
                (i32.add (i32.const 1) (call $backtrace (i32.const 2001) (i32.const 14)))))
        (func $outer::f (export "offshoot.call.f") (param i32) (result i64) (call $inner))
    "#);
    // The second name would not fit whole.
    assert_eq!(
        call(&plugin, "f", b""),
        Completion::Value(b"inner\n".to_vec())
    );
}

#[test]
fn the_process_outlives_them_all() {
    for body in [
        "(unreachable)",
        "(i64.load (i32.const -8))",
        "(i64.const -1)",
    ] {
        let plugin = function(body);
        for _ in 0..3 {
            let finish = call(&plugin, "f", b"");
            assert!(
                !matches!(finish, Completion::Value(_) | Completion::Busy),
                "{finish:?}"
            );
        }
    }
}
