//! Calls that are ended from outside.

use super::*;

const SPIN: &str = "(loop (br 0)) (unreachable)";

#[test]
fn a_loop_ends_at_its_deadline() {
    let plugin = function(SPIN);
    let began = Instant::now();
    let timeout = Duration::from_millis(60);
    assert_eq!(
        start(&plugin, "f", b"", Some(timeout)).wait(),
        Completion::DeadlineExceeded
    );
    assert!(began.elapsed() >= timeout);
}

#[test]
fn the_starter_gets_its_thread_back_after_a_tick() {
    let plugin = function(SPIN);
    let began = Instant::now();
    let call = start(&plugin, "f", b"", None);
    // Ten ticks of slack for a busy machine.
    assert!(
        began.elapsed() < Duration::from_millis(110),
        "{:?}",
        began.elapsed()
    );
    call.cancel.cancel();
    assert_eq!(call.wait(), Completion::Cancelled);
}

#[test]
fn a_loop_in_the_start_function_ends_too() {
    let plugin = one(&format!(
        r#"(func $spin {SPIN}) (start $spin)
        (func (export "offshoot.call.f") (param i32) (result i64) (i64.const 0))"#
    ));
    let timeout = Some(Duration::from_millis(30));
    assert_eq!(
        start(&plugin, "f", b"", timeout).wait(),
        Completion::DeadlineExceeded
    );
}

#[test]
fn a_loop_in_initialize_ends_too() {
    let plugin = one(&format!(
        r#"(func (export "_initialize") {SPIN})
        (func (export "offshoot.call.f") (param i32) (result i64) (i64.const 0))"#
    ));
    let timeout = Some(Duration::from_millis(30));
    assert_eq!(
        start(&plugin, "f", b"", timeout).wait(),
        Completion::DeadlineExceeded
    );
}

#[test]
fn a_deadline_that_has_passed_runs_nothing() {
    let plugin = function("(unreachable)");
    let timeout = Some(Duration::ZERO);
    assert_eq!(
        start(&plugin, "f", b"", timeout).wait(),
        Completion::DeadlineExceeded
    );
}

#[test]
fn a_cancelled_call_that_did_not_begin_runs_nothing() {
    let plugin = function("(unreachable)");
    let cancel = CancelHandle::new();
    cancel.cancel();
    let invocation = Invocation {
        function: "f",
        signature: 0,
        arguments: Bytes::new(),
        deadline: None,
    };
    let finish = plugin.start(invocation, cancel, |_| panic!("it ended in place"));
    assert_eq!(finish, Some(Completion::Cancelled));
}

#[test]
fn an_ended_call_costs_the_instance_and_nothing_else() {
    let body = format!(
        r#"(global $dirty (mut i32) (i32.const 0))
        (func (export "offshoot.call.spin") (param i32) (result i64)
            (global.set $dirty (i32.const 1)) {SPIN})
        (func (export "offshoot.call.dirty") (param i32) (result i64)
            (i32.store8 (i32.const 2000) (i32.const 0))
            (i32.store8 (i32.const 2001) (global.get $dirty))
            (call $packed (i32.const 2000) (i32.const 2)))"#
    );
    let functions = [("spin", 0), ("dirty", 0)];
    let plugin = Loader::default().load(&module(&functions, &body)).unwrap();
    let spinning = start(&plugin, "spin", b"", None);
    assert_eq!(call(&plugin, "dirty", b""), Completion::Busy);
    spinning.cancel.cancel();
    assert_eq!(spinning.wait(), Completion::Cancelled);
    assert_eq!(call(&plugin, "dirty", b""), Completion::Value(vec![0]));
}

#[test]
fn a_long_call_that_ends_by_itself_keeps_the_instance() {
    let body = r#"
        (global $count (mut i32) (i32.const 0))
        (func (export "offshoot.call.f") (param $len i32) (result i64)
            (local $left i64)
            (local.set $left (i64.const 200000000))
            (loop
                (local.set $left (i64.sub (local.get $left) (i64.const 1)))
                (br_if 0 (i64.ne (local.get $left) (i64.const 0))))
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (i32.store8 (i32.const 2000) (i32.const 0))
            (i32.store8 (i32.const 2001) (global.get $count))
            (call $packed (i32.const 2000) (i32.const 2)))
    "#;
    let plugin = one(body);
    assert_eq!(call(&plugin, "f", b""), Completion::Value(vec![1]));
    assert_eq!(call(&plugin, "f", b""), Completion::Value(vec![2]));
}

#[test]
fn more_calls_than_there_are_workers_are_refused() {
    let runtime = Runtime::new(Profile::Wide).unwrap();
    let spin = format!(r#"(func (export "offshoot.call.f") (param i32) (result i64) {SPIN})"#);
    let image = image(&module(&[("f", record::FLAG_CONCURRENT)], &spin));
    let host = HostInfo {
        context_id: 1,
        parent_ids: vec![0],
        name: String::new(),
    };
    let limits = Limits::default();
    let sink = Arc::new(Records::default());
    let plugin = Plugin::load(
        &runtime,
        &image.bytes,
        &image.hash,
        &[],
        &limits,
        PluginEnv {
            host: &host,
            sink,
            sessions: None,
        },
    )
    .unwrap();
    let calls: Vec<_> = (0..executor::CALLS_MAX)
        .map(|_| start(&plugin, "f", b"", None))
        .collect();
    let refused = start(&plugin, "f", b"", None).wait();
    assert!(
        matches!(&refused, Completion::Limit(text) if text.contains("64 calls")),
        "{refused:?}"
    );
    for call in &calls {
        call.cancel.cancel();
    }
    for call in calls {
        assert_eq!(call.wait(), Completion::Cancelled);
    }
}
