//! `offshoot doctor`: good health, and each thing that can be wrong on this machine.

use serde_json::Value;

use crate::{Ended, child_program, offshoot, run, scratch, script};

const FIRST: [&str; 6] = [
    "binary",
    "program",
    "connect",
    "round-trip",
    "call",
    "memory",
];

/// State, hop and step of each line.
fn steps(ended: &Ended) -> Vec<(String, u64, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    ended
        .stdout
        .lines()
        .map(|line| {
            let it: Value = serde_json::from_str(line).expect("a line is JSON");
            let hop = it["hop"].as_u64().expect("a number");
            (text(&it["state"]), hop, text(&it["step"]))
        })
        .collect()
}

#[test]
fn a_way_that_works_is_well_in_every_step() {
    let ended = run(&["doctor", "local/local", "--json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "");
    let first = FIRST.iter().map(|step| (1, *step));
    let second = FIRST[2..].iter().map(|step| (2, *step));
    let want: Vec<_> = first
        .chain(second)
        .chain([(2, "shutdown")])
        .map(|(hop, step)| ("ok".to_owned(), hop, step.to_owned()))
        .collect();
    assert_eq!(steps(&ended), want);
    for line in ended.stdout.lines() {
        let it: Value = serde_json::from_str(line).expect("a line is JSON");
        assert!(it["elapsed_us"].is_u64(), "{line}");
        assert!(
            it["detail"].as_str().is_some_and(|it| !it.is_empty()),
            "{line}"
        );
    }
}

#[test]
fn people_get_a_table() {
    let ended = run(&["doctor", "local"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 7, "{}", ended.stdout);
    for (line, step) in lines.iter().zip(FIRST.iter().chain(&["shutdown"])) {
        assert!(
            line.starts_with(&format!("ok      1 local     {step:<10}  ")),
            "{line}"
        );
    }
    assert!(lines[0].contains(" MiB"), "{}", lines[0]);
    assert!(lines[1].contains("offshoot-child "), "{}", lines[1]);
    assert!(lines[5].contains(" occupies "), "{}", lines[5]);
}

/// Runs it with another child; gives the step that fails, and what is said of it.
fn ill(child: &std::path::Path) -> (String, String, String) {
    let output = offshoot(&["doctor", "local", "--json", "--connect-timeout", "500ms"])
        .env("OFFSHOOT_CHILD", child)
        .output();
    let ended: Ended = output.expect("it starts").into();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    assert_eq!(lines.len(), 7);
    let at = lines.iter().position(|it| it["state"] == "failed");
    let at = at.expect("a step fails");
    assert!(lines[..at].iter().all(|it| it["state"] == "ok"));
    assert!(lines[at + 1..].iter().all(|it| it["state"] == "skipped"));
    let text = |key: &str| lines[at][key].as_str().expect("a text").to_owned();
    (text("step"), text("error"), text("help"))
}

#[test]
fn the_step_that_fails_is_named_with_a_remedy() {
    let directory = scratch("doctor");
    let child = directory.join("child");
    let shown = child.display();

    let (step, error, help) = ill(&child);
    assert_eq!(step, "binary");
    assert_eq!(
        error,
        format!("{shown}: No such file or directory (os error 2)")
    );
    assert!(help.contains("OFFSHOOT_CHILD"), "{help}");

    std::fs::write(&child, "text").expect("it can be written");
    let (step, error, _) = ill(&child);
    assert_eq!(step, "program");
    assert!(
        error.starts_with(&format!("cannot start {shown}: ")),
        "{error}"
    );

    script(&child, "echo something else");
    let (step, error, help) = ill(&child);
    assert_eq!(step, "program");
    assert_eq!(error, format!("{shown} --version says `something else`"));
    assert_eq!(
        help,
        "it is another program; use the `offshoot-child` of this build"
    );

    script(&child, "echo 'offshoot-child 0.0.1 (build 0)'");
    let (step, error, _) = ill(&child);
    assert_eq!(step, "program");
    assert!(
        error.contains("is offshoot-child 0.0.1 (build 0), and this program"),
        "{error}"
    );

    let real = child_program();
    script(
        &child,
        &format!(
            "[ \"$1\" = --version ] && exec {} --version; exec sleep 60",
            real.display()
        ),
    );
    let (step, error, _) = ill(&child);
    assert_eq!(step, "connect");
    assert!(error.contains("did not say hello within 500 ms"), "{error}");
}

#[test]
fn it_looks_at_one_way_only() {
    let ended = run(&["doctor", "local*2"]);
    assert_eq!(
        ended.stderr,
        "error: `local*2` is more than one target\nhelp: name one target, such as `local/local`, or one host of an inventory\n"
    );
    assert_eq!(ended.code, Some(2));
    let ended = run(&["doctor", "local,local"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .stderr
            .starts_with("error: `local,local` stands for 2 targets\n"),
        "{}",
        ended.stderr
    );
}
