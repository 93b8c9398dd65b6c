//! Calls that do not end by themselves, and readers that do not read to the end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{call, offshoot, path, sample};

/// How long an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(arguments: &[&str]) -> Child {
    let file = path(sample::wasm());
    offshoot(&[&["call", "--plugin", file], arguments].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

#[track_caller]
fn code_in_time(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("it can be killed");
    panic!("it is still running");
}

#[test]
fn a_timeout_ends_a_call_that_hangs() {
    let ended = call(&[
        "local",
        "sample::hang",
        "--timeout",
        "1500ms",
        "--grant",
        "read:/etc",
    ]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error: local: "), "{}", ended.stderr);
}

#[test]
fn an_interrupt_ends_in_order() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut child = start(&["local/local", "sample::hang"]);
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("it can be read");
        assert_eq!(line, "local.local: info: hanging\n");
        let id = Pid::from_child(&child);
        kill_process(id, signal).expect("it is our child");
        assert_eq!(code_in_time(child), Some(code));
        // All holders of the pipe are gone, so no descendant is left behind.
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).expect("it can be read");
        assert_eq!(rest, "");
    }
}

#[test]
fn a_reader_that_goes_away_hears_no_complaint() {
    let mut child = start(&["local*3", "sample::greet", "you"]);
    drop(child.stdout.take());
    let mut stderr = child.stderr.take().expect("it is piped");
    assert_eq!(code_in_time(child), Some(141));
    let mut text = String::new();
    stderr.read_to_string(&mut text).expect("it can be read");
    assert_eq!(text, "");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let mut child = start(&["local", "sample::hang"]);
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it can be read");
    assert_eq!(line, "local: info: hanging\n");
    let id = Pid::from_child(&child);
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let children = std::fs::read_to_string(children).expect("it runs");
    let context = children.trim().parse().expect("it has one child");
    let context = Pid::from_raw(context).expect("it is a process");
    // One that does not hear that it shall end.
    kill_process(context, Signal::STOP).expect("it is our child's");
    kill_process(id, Signal::INT).expect("it is our child");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().expect("it can be waited for"), None);
    let began = Instant::now();
    kill_process(id, Signal::INT).expect("it is our child");
    assert_eq!(code_in_time(child), Some(130));
    assert!(began.elapsed() < Duration::from_secs(2));
    let _ = kill_process(context, Signal::KILL);
}
