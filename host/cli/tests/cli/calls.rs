//! Calls that work, and calls whose function does not.

use serde_json::Value;

use crate::{Ended, call, offshoot, path, sample};

#[track_caller]
fn answers(arguments: &[&str], want: &str) {
    let ended = call(arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, want);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_line_is_a_target_and_its_json() {
    answers(
        &["local", "sample::greet", "you"],
        "local\t\"hello, you\"\n",
    );
    answers(&["local", "sample::sum", "[1, 2, -4]"], "local\t-1\n");
    answers(
        &["local/local", "sample::paint", "Red"],
        "local/local\t\"Red\"\n",
    );
    answers(
        &["local", "sample::paint", "{\"Mixed\": [1, 2, 3]}"],
        "local\t{\"Mixed\":[1,2,3]}\n",
    );
    answers(
        &[
            "local",
            "sample::total",
            "[{\"name\": \"a\", \"count\": 20}]",
            "3",
        ],
        "local\t60\n",
    );
}

#[test]
fn every_target_answers() {
    let ended = call(&["local*3,local/local*2", "sample::greet", "all"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut lines: Vec<&str> = ended.stdout.lines().collect();
    lines.sort_unstable();
    let answer = "\t\"hello, all\"";
    let targets = [
        "local#1",
        "local#2",
        "local#3",
        "local#4/local#1",
        "local#4/local#2",
    ];
    let want: Vec<String> = targets
        .iter()
        .map(|target| format!("{target}{answer}"))
        .collect();
    assert_eq!(lines, want);
}

#[test]
fn a_plugin_is_found_by_its_name() {
    let directory = path(sample::wasm().parent().expect("a file is in a directory"));
    for arguments in [
        &[
            "call",
            "local",
            "sample::greet",
            "you",
            "--plugin-dir",
            directory,
        ][..],
        &["call", "local", "sample::greet", "you"],
    ] {
        let output = offshoot(arguments)
            .env("OFFSHOOT_PLUGIN_PATH", directory)
            .output();
        let output = output.expect("it starts");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "local\t\"hello, you\"\n"
        );
    }
}

#[test]
fn a_plugin_is_found_where_it_was_built_in_another_directory() {
    let built = tempfile::tempdir().expect("a directory");
    let plugins = built.path().join("offshoot/plugins");
    std::fs::create_dir_all(&plugins).expect("it can be made");
    std::fs::copy(sample::wasm(), plugins.join("sample.wasm")).expect("it can be copied");
    for (variable, target) in [
        ("CARGO_TARGET_DIR", built.path().to_owned()),
        ("OFFSHOOT_TARGET_DIR", built.path().join("offshoot")),
    ] {
        let ended: Ended = offshoot(&["call", "local", "sample::greet", "you"])
            .env(variable, target)
            .output()
            .expect("it starts")
            .into();
        assert_eq!(ended.stdout, "local\t\"hello, you\"\n", "{}", ended.stderr);
    }
}

#[test]
fn json_has_one_object_a_line() {
    let ended = call(&["local*2", "sample::sum", "[40, 2]", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut targets = Vec::new();
    for line in ended.stdout.lines() {
        let object: Value = serde_json::from_str(line).expect("a line is JSON");
        let keys: Vec<&str> = object
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["target", "ok", "value", "elapsed_us"]);
        assert_eq!(object["ok"], true);
        assert_eq!(object["value"], 42);
        assert!(
            object["elapsed_us"].as_u64().is_some_and(|it| it > 0),
            "{line}"
        );
        targets.push(object["target"].as_str().expect("text").to_owned());
    }
    targets.sort_unstable();
    assert_eq!(targets, ["local#1", "local#2"]);
}

#[test]
fn an_error_of_the_function_is_told_and_fails_the_command() {
    let ended = call(&["local", "sample::parse", "many", "--grant", "read:/etc"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr,
        "error: local: sample::parse in local: invalid digit found in string\n"
    );
}

#[test]
fn an_error_in_json_keeps_its_parts() {
    let ended = call(&[
        "local",
        "sample::parse",
        "many",
        "--json",
        "--grant",
        "read:/etc",
    ]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "");
    let object: Value = serde_json::from_str(&ended.stdout).expect("a line is JSON");
    assert_eq!(object["ok"], false);
    assert_eq!(object["error"]["kind"], "function");
    assert_eq!(object["error"]["message"], "invalid digit found in string");
    assert_eq!(object["error"]["type"], "core::num::error::ParseIntError");
    assert!(object.get("value").is_none());
}

#[test]
fn a_panic_is_told_with_its_words() {
    let ended = call(&["local", "sample::crash", "--json"]);
    assert_eq!(ended.code, Some(1));
    let object: Value = serde_json::from_str(&ended.stdout).expect("a line is JSON");
    assert_eq!(object["error"]["kind"], "trapped");
    let message = object["error"]["message"].as_str().expect("text");
    assert!(message.contains("on purpose"), "{message}");
}

#[test]
fn what_a_plugin_prints_goes_to_the_log() {
    let ended = call(&["local*2", "sample::say", "a word"]);
    assert_eq!(ended.code, Some(0));
    let mut lines: Vec<&str> = ended.stderr.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["local#1: info: a word", "local#2: info: a word"]);
    let rows = call(&["local", "sample::table", "10000"]);
    let lines: Vec<&str> = rows.stderr.lines().collect();
    assert_eq!(lines.len(), 10_001);
    assert_eq!(lines[9_999], "local: info: row 9999 of the table");
    assert_eq!(lines[10_000], "local: info: end of the table");
    let quiet = call(&["local", "sample::say", "a word", "-q"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_missing_grant_is_suggested() {
    let ended = call(&["local", "sample::first_line", "/etc/hostname"]);
    assert_eq!(ended.code, Some(1));
    let tail = "\
note: sample says that it needs grants which it was not given:
  read:/etc (tell what is in it)
help: add `--grant read:/etc`, or `--grant-wanted`
";
    assert!(ended.stderr.ends_with(tail), "{}", ended.stderr);
    let granted = call(&[
        "local",
        "sample::first_line",
        "/etc/passwd",
        "--grant-wanted",
    ]);
    assert_eq!(
        granted.stderr,
        "note: granting sample read:/etc (tell what is in it)\n"
    );
    assert_eq!(granted.code, Some(0));
    assert!(
        granted.stdout.starts_with("local\t\"root:"),
        "{}",
        granted.stdout
    );
}
