//! Calls that go well, and what outlives them.

use super::*;

/// Answers how often it ran, in one byte.
const COUNT: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (func $count_up (result i64)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store8 (i32.const 2000) (i32.const 0))
        (i32.store8 (i32.const 2001) (global.get $count))
        (call $packed (i32.const 2000) (i32.const 2)))
"#;

fn value(bytes: &[u8]) -> Completion {
    Completion::Value(bytes.to_vec())
}

#[test]
fn arguments_and_result_travel() {
    let plugin = Loader::default()
        .load(&module(&[("echo", 0)], ECHO))
        .unwrap();
    assert_eq!(call(&plugin, "echo", b""), value(b""));
    assert_eq!(call(&plugin, "echo", b"hello"), value(b"hello"));
    let large = vec![7; 1000];
    assert_eq!(call(&plugin, "echo", &large), value(&large));
    assert_eq!(call(&plugin, "echo", b"again"), value(b"again"));
}

#[test]
fn statics_persist_between_calls() {
    let body = format!(
        r#"{COUNT} (func (export "offshoot.call.f") (param i32) (result i64) (call $count_up))"#
    );
    let plugin = one(&body);
    for count in 1..=3 {
        assert_eq!(call(&plugin, "f", b""), value(&[count]));
    }
}

#[test]
fn a_concurrent_function_has_a_fresh_instance_each_time() {
    let body = format!(
        r#"{COUNT}
        (func (export "offshoot.call.fresh") (param i32) (result i64) (call $count_up))
        (func (export "offshoot.call.kept") (param i32) (result i64) (call $count_up))"#
    );
    let functions = [("fresh", record::FLAG_CONCURRENT), ("kept", 0)];
    let plugin = Loader::default().load(&module(&functions, &body)).unwrap();
    for count in 1..=3 {
        assert_eq!(call(&plugin, "fresh", b""), value(&[1]));
        assert_eq!(call(&plugin, "kept", b""), value(&[count]));
    }
}

#[test]
fn concurrent_calls_run_side_by_side() {
    let functions = [("spin", record::FLAG_CONCURRENT), ("echo", 0)];
    let spin = r#"(func (export "offshoot.call.spin") (param i32) (result i64) (loop (br 0)) (unreachable))"#;
    let body = format!("{spin} {ECHO}");
    let plugin = Loader::default().load(&module(&functions, &body)).unwrap();
    let spinning: Vec<_> = (0..3).map(|_| start(&plugin, "spin", b"", None)).collect();
    assert_eq!(call(&plugin, "echo", b"now"), value(b"now"));
    for call in spinning {
        call.cancel.cancel();
        assert_eq!(call.wait(), Completion::Cancelled);
    }
}

#[test]
fn the_guests_own_error_arrives_whole() {
    let error = offshoot_abi::GuestError {
        type_name: "io::Error".to_owned(),
        message: "no such file".to_owned(),
        ..Default::default()
    };
    let mut envelope = vec![1];
    envelope.extend(postcard::to_allocvec(&error).unwrap());
    let plugin = Loader::default().load(&raw_echo()).unwrap();
    assert_eq!(call(&plugin, "raw", &envelope), Completion::Error(error));
    assert_eq!(
        call(&plugin, "raw", b"\x02expected a number"),
        Completion::BadArguments("expected a number".to_owned())
    );
}

#[test]
fn a_malformed_envelope_is_the_guests_fault() {
    let plugin = Loader::default().load(&raw_echo()).unwrap();
    for envelope in [&b""[..], b"\x03", b"\xff\x00", b"\x01", b"\x01\x05abc"] {
        let finish = call(&plugin, "raw", envelope);
        assert!(
            matches!(finish, Completion::BadGuest(_)),
            "{envelope:?}: {finish:?}"
        );
    }
}

/// Returns its arguments as the envelope itself.
fn raw_echo() -> Vec<u8> {
    let body = r#"
        (func (export "offshoot.call.raw") (param $len i32) (result i64)
            (call $packed (i32.const 1024) (local.get $len)))
    "#;
    module(&[("raw", 0)], body)
}

#[test]
fn unknown_functions_and_stale_callers_are_told() {
    let plugin = Loader::default()
        .load(&module(&[("echo", 0)], ECHO))
        .unwrap();
    let known = vec!["echo".to_owned()];
    assert_eq!(
        call(&plugin, "ecko", b""),
        Completion::UnknownFunction { known }
    );
    let with_signature = |signature| {
        let invocation = Invocation {
            function: "echo",
            signature,
            arguments: Bytes::new(),
            deadline: None,
        };
        plugin
            .start(invocation, CancelHandle::new(), |_| {})
            .unwrap()
    };
    assert_eq!(with_signature(1), Completion::SignatureMismatch);
    let own = plugin.manifest().function("echo").unwrap().signature;
    assert_eq!(with_signature(own), value(b""));
}

#[test]
fn initialize_runs_once_before_the_first_call() {
    let body = format!(
        r#"{COUNT}
        (func (export "_initialize") (drop (call $count_up)))
        (func (export "offshoot.call.f") (param i32) (result i64) (call $count_up))"#
    );
    let plugin = one(&body);
    assert_eq!(call(&plugin, "f", b""), value(&[2]));
    assert_eq!(call(&plugin, "f", b""), value(&[3]));
}

#[test]
fn a_guest_logs_and_learns_where_it_runs() {
    let body = r#"
        (import "offshoot/v1" "log" (func $log (param i32 i32 i32 i32 i32)))
        (import "offshoot/v1" "log_level" (func $log_level (result i32)))
        (import "offshoot/v1" "host_info" (func $host_info (param i32 i32) (result i32)))
        (data (i32.const 3000) "demo::modhello")
        (func (export "offshoot.call.f") (param i32) (result i64)
            (call $log (i32.const 3) (i32.const 3000) (i32.const 9) (i32.const 3009) (i32.const 5))
            (call $log (i32.const 5) (i32.const 3000) (i32.const 9) (i32.const 3009) (i32.const 5))
            (i32.store8 (i32.const 2000) (i32.const 0))
            (i32.store8 (i32.const 2001) (call $log_level))
            (i32.store8 (i32.const 2002) (call $host_info (i32.const 4000) (i32.const 0)))
            (call $packed (i32.const 2000)
                (i32.add (i32.const 3) (call $host_info (i32.const 2003) (i32.const 100)))))
    "#;
    let loader = Loader::default();
    let plugin = loader.load(&module(&[("f", 0)], body)).unwrap();
    let Completion::Value(bytes) = call(&plugin, "f", b"") else {
        panic!("it returns a value");
    };
    let (level, size, info) = (bytes[0], bytes[1], &bytes[2..]);
    assert_eq!(level, 4);
    assert_eq!(usize::from(size), info.len());
    let info: HostInfo = postcard::from_bytes(info).unwrap();
    assert_eq!(info.name, "local.1");
    assert_eq!(info.parent_ids, [3, 0]);
    assert_eq!(loader.records.take(), ["3 demo::mod: hello"]);
}
