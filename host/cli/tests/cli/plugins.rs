//! `plugin new`, `plugin build` and `plugin inspect`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{path, run, sample};

#[test]
fn new_never_overwrites() {
    let krate = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-taken");
    let _ = fs::remove_dir_all(&krate);
    fs::create_dir(&krate).expect("it can be made");
    let ended = run(&["plugin", "new", "cli-taken"]);
    assert_eq!(
        ended.stderr,
        "error: cli-taken exists already\nhelp: choose another name, or remove it first\n"
    );
    assert_eq!(ended.code, Some(1));
    assert_eq!(fs::read_dir(&krate).expect("it is there").count(), 0);
}

#[test]
fn new_refuses_names_that_cargo_would() {
    let ended = run(&["plugin", "new", "9 lives"]);
    assert_eq!(
        ended.stderr,
        "\
error: `9 lives` cannot be a plugin's name: it must start with a letter
help: how about `lives`?
"
    );
    assert_eq!(ended.code, Some(2));
}

#[test]
fn build_says_when_there_is_no_crate() {
    let ended = run(&["plugin", "build", "no-such-crate"]);
    assert_eq!(
        ended.stderr,
        "\
error: no plugin crate at no-such-crate: there is no Cargo.toml
help: name the crate's directory, or make a crate with `offshoot plugin new NAME`
"
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn inspect_shows_what_a_plugin_offers_and_needs() {
    let file = path(sample::wasm());
    let ended = run(&["plugin", "inspect", file]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("plugin   sample 0.1.0\n"),
        "{}",
        ended.stdout
    );
    let functions = "
functions
  fn crash()
  fn first_line(file: String) -> Result<String, Error>
  fn greet(name: String) -> String
      Greets someone.
  fn hang()
  fn nap(millis: u64) -> Vec<u64>
      When it began and ended, in milliseconds of the clock.
  fn paint(colour: Colour) -> Colour
      Gives a colour back.
  fn parse(text: String) -> Result<i32, _>
  fn say(text: String)
  fn sum(values: Vec<i64>) -> i64
      Adds up numbers.
  fn table(rows: u32)
      Prints lines, and a last one without an end.
  fn total(items: Vec<Item>, times: u32) -> u32
      Counts things,
      several times over.

types
  enum Colour { Red, Mixed(u8, u8, u8) }
  struct Item { name: String, count: u32, label: Option<String> }

needs to be granted
  read:/etc  tell what is in it
";
    assert!(ended.stdout.ends_with(functions), "{}", ended.stdout);
}

#[test]
fn inspect_speaks_json() {
    let file = path(sample::wasm());
    let ended = run(&["plugin", "inspect", file, "--json"]);
    let object: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(object["plugin"], "sample");
    assert_eq!(object["file"], file);
    let size = fs::metadata(file).expect("it is there").len();
    assert_eq!(object["size"], size);
    let total = &object["functions"][10];
    assert_eq!(total["name"], "total");
    assert_eq!(total["arguments"][1]["type"], "u32");
    assert_eq!(object["wants"][0]["grant"], "read:/etc");
}
