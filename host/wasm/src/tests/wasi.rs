//! WASI: what is printed, what is waited for, what is granted.

use super::*;

/// `fd_write` of the text at `$at`, with its own little vector, until all of it is taken.
const PRINT: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (func $print (param $fd i32) (param $at i32) (param $len i32)
        (loop $rest
            (i32.store (i32.const 100) (local.get $at))
            (i32.store (i32.const 104) (local.get $len))
            (if (call $fd_write (local.get $fd) (i32.const 100) (i32.const 1) (i32.const 108))
                (then (unreachable)))
            (local.set $at (i32.add (local.get $at) (i32.load (i32.const 108))))
            (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 108))))
            (br_if $rest (local.get $len))))
"#;

const DONE: &str = r#"
    (i32.store8 (i32.const 2000) (i32.const 0))
    (call $packed (i32.const 2000) (i32.const 1))
"#;

#[test]
fn printed_lines_become_records() {
    let body = format!(
        r#"{PRINT}
        (data (i32.const 3000) "one\ntw" "o\nrest")
        (func (export "offshoot.call.f") (param i32) (result i64)
            (call $print (i32.const 1) (i32.const 3000) (i32.const 6))
            (call $print (i32.const 2) (i32.const 3000) (i32.const 3))
            (call $print (i32.const 1) (i32.const 3006) (i32.const 6))
            {DONE})"#
    );
    let loader = Loader::default();
    let plugin = loader.load(&module(&[("f", 0)], &body)).unwrap();
    assert_eq!(call(&plugin, "f", b""), Completion::Value(Vec::new()));
    let want = [
        "3 demo::stdout: one",
        "3 demo::stdout: two",
        "3 demo::stdout: rest",
        "3 demo::stderr: one",
    ];
    assert_eq!(loader.records.take(), want);
}

#[test]
fn g9_a_plugin_that_prints_waits_for_room_and_can_be_ended_then() {
    let body = format!(
        r#"{PRINT}
        (import "offshoot/v1" "log" (func $log (param i32 i32 i32 i32 i32)))
        (data (i32.const 3000) "line")
        (func (export "offshoot.call.prints") (param i32) (result i64)
            (call $print (i32.const 1) (i32.const 3000) (i32.const 4))
            {DONE})
        (func (export "offshoot.call.logs") (param i32) (result i64)
            (call $log (i32.const 3) (i32.const 3000) (i32.const 1) (i32.const 3000) (i32.const 4))
            {DONE})"#
    );
    let loader = Loader::default();
    let plugin = loader
        .load(&module(&[("prints", 0), ("logs", 0)], &body))
        .unwrap();
    loader.records.full.store(true, Ordering::Relaxed);
    for function in ["prints", "logs"] {
        let timeout = Some(Duration::from_millis(30));
        let end = start(&plugin, function, b"", timeout).wait();
        assert_eq!(end, Completion::DeadlineExceeded);
        assert!(loader.records.take().is_empty());
    }
    loader.records.full.store(false, Ordering::Relaxed);
    for function in ["prints", "logs"] {
        assert_eq!(call(&plugin, function, b""), Completion::Value(Vec::new()));
    }
    let lines = loader.records.take();
    assert_eq!(lines, ["3 demo::stdout: line", "3 l: line"]);
}

#[test]
fn g9_each_line_waits_for_room_also_when_many_are_printed_at_once() {
    let body = format!(
        r#"{PRINT}
        (data (i32.const 3000) "one\ntwo\nthree\n")
        (func (export "offshoot.call.f") (param i32) (result i64)
            (call $print (i32.const 1) (i32.const 3000) (i32.const 14))
            {DONE})"#
    );
    let loader = Loader::default();
    let plugin = loader.load(&module(&[("f", 0)], &body)).unwrap();
    loader.records.fills.store(true, Ordering::Relaxed);
    let timeout = Some(Duration::from_millis(30));
    let end = start(&plugin, "f", b"", timeout).wait();
    assert_eq!(end, Completion::DeadlineExceeded);
    assert_eq!(loader.records.take(), ["3 demo::stdout: one"]);
}

#[test]
fn what_is_printed_before_a_trap_is_not_lost() {
    let body = format!(
        r#"{PRINT}
        (data (i32.const 3000) "dying")
        (func (export "offshoot.call.f") (param i32) (result i64)
            (call $print (i32.const 2) (i32.const 3000) (i32.const 5))
            (unreachable))"#
    );
    let loader = Loader::default();
    let plugin = loader.load(&module(&[("f", 0)], &body)).unwrap();
    assert!(matches!(
        call(&plugin, "f", b""),
        Completion::Trapped { .. }
    ));
    assert_eq!(loader.records.take(), ["3 demo::stderr: dying"]);
}

#[test]
fn exit_ends_the_call_only() {
    let body = r#"
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (func (export "offshoot.call.f") (param i32) (result i64)
            (call $exit (i32.const 3)) (unreachable))
    "#;
    let finish = call(&one(body), "f", b"");
    assert!(
        matches!(&finish, Completion::Trapped { message, .. } if message == "the plugin called exit(3)"),
        "{finish:?}"
    );
}

/// Sleeps for that many milliseconds.
fn sleeper(milliseconds: u64) -> Arc<Plugin> {
    let nanoseconds = milliseconds * 1_000_000;
    one(&format!(
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (func (export "offshoot.call.f") (param i32) (result i64)
            (i64.store (i32.const 4000) (i64.const 77))
            (i32.store (i32.const 4016) (i32.const 1))
            (i64.store (i32.const 4024) (i64.const {nanoseconds}))
            (if (call $poll (i32.const 4000) (i32.const 5000) (i32.const 1) (i32.const 6000))
                (then (unreachable)))
            (if (i64.ne (i64.load (i32.const 5000)) (i64.const 77)) (then (unreachable)))
            (if (i32.ne (i32.load (i32.const 6000)) (i32.const 1)) (then (unreachable)))
            {DONE})"#
    ))
}

#[test]
fn a_sleep_takes_its_time_and_not_the_starters() {
    let plugin = sleeper(40);
    let began = Instant::now();
    let call = start(&plugin, "f", b"", None);
    assert!(
        began.elapsed() < Duration::from_millis(30),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(call.wait(), Completion::Value(Vec::new()));
    assert!(began.elapsed() >= Duration::from_millis(40));
}

#[test]
fn a_sleep_ends_at_the_deadline_and_on_cancel() {
    let plugin = sleeper(1_000_000);
    let began = Instant::now();
    let timeout = Some(Duration::from_millis(30));
    assert_eq!(
        start(&plugin, "f", b"", timeout).wait(),
        Completion::DeadlineExceeded
    );
    let call = start(&plugin, "f", b"", None);
    call.cancel.cancel();
    assert_eq!(call.wait(), Completion::Cancelled);
    assert!(began.elapsed() < PATIENCE);
}

/// Opens `PATH` below the first granted directory and answers the errno.
fn opener(path: &str, directory: bool) -> Vec<u8> {
    let flags = if directory { 2 } else { 0 };
    let body = format!(
        r#"(import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (data (i32.const 3000) "{path}")
        (func (export "offshoot.call.f") (param i32) (result i64)
            (i32.store8 (i32.const 2000) (i32.const 0))
            (i32.store8 (i32.const 2001)
                (call $open (i32.const 3) (i32.const 1) (i32.const 3000) (i32.const {length})
                    (i32.const {flags}) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 100)))
            (call $packed (i32.const 2000) (i32.const 2)))"#,
        length = path.len(),
    );
    // The import's type is on a line of its own, so it is put first by hand.
    let (import, rest) = body.split_once("(data").unwrap();
    bare(
        &[("f", 0)],
        &format!("{import} {PREAMBLE} {PACKED} (data {rest}"),
    )
}

const SUCCESS: u8 = 0;
const BADF: u8 = 8;

#[test]
fn only_granted_directories_exist() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "text").unwrap();
    let wasm = opener("file", false);
    let plugin = Loader::default().load(&wasm).unwrap();
    assert_eq!(call(&plugin, "f", b""), Completion::Value(vec![BADF]));

    let loader = Loader {
        grants: vec![Grant::Read(directory.path().to_str().unwrap().to_owned())],
        ..Loader::default()
    };
    let plugin = loader.load(&wasm).unwrap();
    assert_eq!(call(&plugin, "f", b""), Completion::Value(vec![SUCCESS]));
    for outside in ["../file", "/etc/passwd"] {
        let plugin = loader.load(&opener(outside, false)).unwrap();
        let finish = call(&plugin, "f", b"");
        assert!(
            matches!(&finish, Completion::Value(errno) if errno[0] != SUCCESS),
            "{finish:?}"
        );
    }
}

#[test]
fn a_link_that_is_turned_after_the_grant_leads_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["granted", "other"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    std::fs::write(at("granted").join("file"), "text").unwrap();
    std::os::unix::fs::symlink(at("granted"), at("link")).unwrap();
    let loader = Loader {
        grants: vec![Grant::Read(at("link").to_str().unwrap().to_owned())],
        ..Loader::default()
    };
    let plugin = loader.load(&opener("file", false)).unwrap();
    std::fs::remove_file(at("link")).unwrap();
    std::os::unix::fs::symlink(at("other"), at("link")).unwrap();
    assert_eq!(call(&plugin, "f", b""), Completion::Value(vec![SUCCESS]));
}

#[test]
fn a_grant_that_gives_something_else_than_it_says_is_refused() {
    for path in ["/etc/../root", "/etc//", "/etc ", "/\u{202e}cte", "etc"] {
        let loader = Loader {
            grants: vec![Grant::Read(path.to_owned())],
            ..Loader::default()
        };
        let error = loader.load(&opener("file", false)).err().unwrap();
        assert!(matches!(error, LoadError::Grant { .. }), "{path}: {error}");
    }
}

/// A new file that others wait to open until this is dropped, as from a server that is gone.
fn lease(path: &std::path::Path) -> std::fs::File {
    use std::os::fd::AsRawFd;
    let file = std::fs::File::create_new(path).unwrap();
    // SAFETY: the descriptor is open, and no memory is involved.
    let leased = unsafe {
        // The system tells who holds the lease that somebody waits.
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
    };
    assert_eq!(leased, 0, "{}", std::io::Error::last_os_error());
    file
}

#[test]
fn a_file_system_that_does_not_answer_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let lease = lease(&directory.path().join("leased"));
    let loader = Loader {
        grants: vec![Grant::Read(directory.path().to_str().unwrap().to_owned())],
        ..Loader::default()
    };
    let plugin = loader.load(&opener("leased", false)).unwrap();
    let timeout = Some(Duration::from_millis(30));
    let began = Instant::now();
    let waiting = start(&plugin, "f", b"", timeout);
    assert!(
        began.elapsed() < Duration::from_millis(30),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(waiting.wait(), Completion::DeadlineExceeded);
    // The next call does not find the slot taken.
    let next = start(&plugin, "f", b"", timeout).wait();
    assert_eq!(next, Completion::DeadlineExceeded);
    // Lets both threads go.
    drop(lease);
}
