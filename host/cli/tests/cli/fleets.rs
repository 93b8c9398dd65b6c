//! Many targets: how many at a time, what is told on the way, and what at the end.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use crate::{Ended, call, child_program, offshoot, path, sample, scratch, script, terminal};

/// How many naps overlapped at most.
fn most_at_once(ended: &Ended) -> usize {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let naps: Vec<Vec<u64>> = ended
        .stdout
        .lines()
        .map(|line| {
            let (_, value) = line.split_once('\t').expect("a target and a value");
            serde_json::from_str(value).expect("it is JSON")
        })
        .collect();
    let at_once = |at: u64| naps.iter().filter(|it| it[0] <= at && at < it[1]).count();
    naps.iter().map(|nap| at_once(nap[0])).max().unwrap_or(0)
}

#[test]
fn forks_bound_how_many_run_at_a_time() {
    let one = call(&["local*4", "sample::nap", "100", "--forks", "1"]);
    assert_eq!(most_at_once(&one), 1);
    // A context on the way belongs to its target's turn.
    let two = call(&[
        "local/local,local/local,local*3",
        "sample::nap",
        "200",
        "-f",
        "2",
    ]);
    assert_eq!(most_at_once(&two), 2);
    let all = call(&["local*6", "sample::nap", "1000"]);
    assert_eq!(most_at_once(&all), 6);
    let none = call(&["local", "sample::nap", "1", "--forks", "0"]);
    assert_eq!(none.code, Some(2));
}

#[test]
fn what_cannot_be_reached_has_its_own_status() {
    let ended = call(&["local*2", "sample::sum", "[1]"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr, "");
    let directory = scratch("unreachable");
    let child = directory.join("child");
    script(&child, "echo no luck >&2; exit 7");
    let plugin = path(sample::wasm());
    let run = |arguments: &[&str]| -> Ended {
        let output = offshoot(&[&["call", "--plugin", plugin], arguments].concat())
            .env("OFFSHOOT_CHILD", &child)
            .output();
        output.expect("it starts").into()
    };
    let ended = run(&["local*5", "sample::sum", "[1]"]);
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stdout, "");
    let shown = child.display();
    let reason = format!(
        "`{shown}` is not a usable child: it exited with return code 7; it printed: no luck"
    );
    let summary = ended
        .stderr
        .split_once("note: ")
        .expect("it is summed up")
        .1;
    let (counts, reasons) = summary.split_once('\n').expect("it has reasons");
    assert_eq!(counts, "5 targets: 0 ok, 5 unreachable");
    assert!(
        reasons.starts_with(&format!("  5 unreachable: {reason} (local#")),
        "{reasons}"
    );
    assert!(reasons.ends_with(" and 2 more)\n"), "{reasons}");

    let below = run(&["local/local", "sample::sum", "[1]", "--json"]);
    let object: Value = serde_json::from_str(&below.stdout).expect("it is JSON");
    assert_eq!(object["error"]["unreachable"], true);
    assert_eq!(object["error"]["kind"], "connect");
    assert_eq!(below.code, Some(3));
}

#[test]
fn a_call_that_fails_counts_for_more() {
    let directory = scratch("some");
    let child = directory.join("child");
    let once = directory.join("once");
    // The first to come is a context, all others are none.
    let text = format!(
        "mkdir {} 2>/dev/null && exec {} \"$@\"; exit 7",
        once.display(),
        child_program().display()
    );
    script(&child, &text);
    let plugin = path(sample::wasm());
    let run = |arguments: &[&str]| -> Ended {
        let _ = std::fs::remove_dir(&once);
        let output = offshoot(&[&["call", "--plugin", plugin], arguments].concat())
            .env("OFFSHOOT_CHILD", &child)
            .output();
        output.expect("it starts").into()
    };
    let fine = run(&["local*3", "sample::sum", "[1]"]);
    assert_eq!(fine.code, Some(3), "{}", fine.stderr);
    assert_eq!(fine.stdout.lines().count(), 1);
    assert!(
        fine.stderr.contains("3 targets: 1 ok, 2 unreachable\n"),
        "{}",
        fine.stderr
    );
    let failing = run(&["local*3", "sample::parse", "x", "--grant", "read:/etc"]);
    assert_eq!(failing.code, Some(1), "{}", failing.stderr);
    let counts = "3 targets: 0 ok, 1 failed, 2 unreachable\n";
    assert!(failing.stderr.contains(counts), "{}", failing.stderr);
    let reason = "  1 failed: invalid digit found in string (local#";
    assert!(failing.stderr.contains(reason), "{}", failing.stderr);
    // A single target needs no summary, and quiet people want none.
    let single = run(&["local", "sample::parse", "x", "--grant", "read:/etc"]);
    assert!(!single.stderr.contains("targets:"), "{}", single.stderr);
    let quiet = run(&["local*3", "sample::sum", "[1]", "-q"]);
    assert!(!quiet.stderr.contains("targets:"), "{}", quiet.stderr);
}

/// Runs the command with a terminal for its standard error; gives what both showed.
pub(crate) fn on_a_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let (mut master, terminal) = terminal();
    let plugin = path(sample::wasm());
    let child = offshoot(&[&["call", "--plugin", plugin], arguments].concat())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(terminal)
        .spawn()
        .expect("it starts");
    let reader = std::thread::spawn(move || {
        let mut shown = Vec::new();
        // A terminal that everyone has left is an error to its reader.
        let _ = master.read_to_end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let output = child.wait_with_output().expect("it ends");
    let stdout = String::from_utf8(output.stdout).expect("it is UTF-8");
    (stdout, reader.join().expect("it ends"))
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let nap = ["local*3", "sample::nap", "900", "--forks", "2"];
    let (stdout, shown) = on_a_terminal(&nap, &[]);
    assert_eq!(stdout.lines().count(), 3);
    assert!(!stdout.contains(['\r', '\x1b']), "{stdout:?}");
    assert!(
        shown.contains("\r0 of 3 done, 2 running, 1 waiting  "),
        "{shown:?}"
    );
    assert!(shown.contains("\r2 of 3 done, 1 running  "), "{shown:?}");
    // The line is gone before the last word.
    let end = "\r\x1b[K\x1b[1;36mnote:\x1b[0m 3 targets: 3 ok\r\n";
    assert!(shown.ends_with(end), "{shown:?}");

    let (_, plain) = on_a_terminal(&nap, &[("NO_COLOR", "1")]);
    assert!(
        plain.ends_with("\r\x1b[Knote: 3 targets: 3 ok\r\n"),
        "{plain:?}"
    );
    let (_, dumb) = on_a_terminal(&nap, &[("TERM", "dumb")]);
    assert_eq!(dumb, "note: 3 targets: 3 ok\r\n");
    let quiet = [&nap[..], &["--quiet"]].concat();
    assert_eq!(on_a_terminal(&quiet, &[]).1, "");
}
