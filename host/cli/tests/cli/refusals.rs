//! Command lines that cannot work: each says what is wrong and what to do, and starts nothing.

use std::fs;

use crate::{call, path, run, sample};

#[track_caller]
fn refused(arguments: &[&str], want: &str) {
    let ended = call(arguments);
    assert_eq!(ended.stderr, want);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.code, Some(2));
}

#[test]
fn a_bad_target_has_a_caret() {
    refused(
        &["local/loca*3", "sample::greet", "you"],
        "\
error: bad target: unknown kind of hop `loca`
  | local/loca*3
  |       ^^^^
note: the kinds of hops are `local`, `ssh`, `sudo`, `su`, `doas`
help: did you mean `local`?
",
    );
    refused(
        &["local*x", "sample::greet", "you"],
        "\
error: bad target: a count has digits only
  | local*x
  |       ^
help: write hops joined by `/`, such as `ssh:bob@web1/sudo`, and `local*8` for eight of them; join targets by `,`
",
    );
}

#[test]
fn an_unknown_function_lists_the_known_ones() {
    refused(
        &["local", "sample::tootal"],
        "\
error: plugin `sample` has no function `tootal`
note: its functions are
  fn total(items: Vec<Item>, times: u32) -> u32
  fn crash()
  fn first_line(file: String) -> Result<String, Error>
  fn greet(name: String) -> String
  fn hang()
  fn nap(millis: u64) -> Vec<u64>
  fn paint(colour: Colour) -> Colour
  fn parse(text: String) -> Result<i32, _>
  fn say(text: String)
  fn sum(values: Vec<i64>) -> i64
  fn table(rows: u32)
help: did you mean `sample::total`?
",
    );
}

#[test]
fn a_function_without_a_plugin_is_refused() {
    refused(
        &["local", "greet", "you"],
        "\
error: `greet` names no function
help: write `PLUGIN::FUNCTION`, such as `facts::uptime`
",
    );
}

#[test]
fn wrong_arguments_show_the_signature_and_the_place() {
    refused(
        &["local", "sample::total", "[]"],
        "\
error: bad arguments of `sample::total`: expected 2 arguments, found 1
note: it is fn total(items: Vec<Item>, times: u32) -> u32
  struct Item { name: String, count: u32, label: Option<String> }
",
    );
    refused(
        &["local", "sample::total", "[{\"name\": \"a\", \"count\": -1}]", "1"],
        "\
error: bad arguments of `sample::total`: args[0][0].count: expected u32 (0 to 4294967295), found the number -1
note: it is fn total(items: Vec<Item>, times: u32) -> u32
  struct Item { name: String, count: u32, label: Option<String> }
",
    );
    refused(
        &["local", "sample::total", "[{\"nmae\": \"a\", \"count\": 1}]", "1"],
        "\
error: bad arguments of `sample::total`: args[0][0].nmae: `Item` has no field `nmae` (did you mean `name`?); its fields are `name`, `count`, `label`
note: it is fn total(items: Vec<Item>, times: u32) -> u32
  struct Item { name: String, count: u32, label: Option<String> }
",
    );
    refused(
        &["local", "sample::paint", "red"],
        "\
error: bad arguments of `sample::paint`: args[0]: `Colour` has no variant `red` (did you mean `Red`?); its variants are `Red`, `Mixed`
note: it is fn paint(colour: Colour) -> Colour
  enum Colour { Red, Mixed(u8, u8, u8) }
",
    );
    refused(
        &["local", "sample::paint", "{\"Mixed\": [1, 2, 3]"],
        "\
error: bad arguments of `sample::paint`: args[0]: expected Colour as JSON, found `{\"Mixed\": [1, 2, 3]`: EOF while parsing an object at line 1 column 19
note: it is fn paint(colour: Colour) -> Colour
  enum Colour { Red, Mixed(u8, u8, u8) }
help: an argument is JSON, such as 42, '[1, 2]' or '{\"name\": \"x\"}'
",
    );
    refused(
        &["local", "sample::sum", "one"],
        "\
error: bad arguments of `sample::sum`: args[0]: expected Vec<i64> as JSON, found `one`: expected value at line 1 column 1
note: it is fn sum(values: Vec<i64>) -> i64
help: an argument is JSON, such as 42, '[1, 2]' or '{\"name\": \"x\"}'
",
    );
}

#[test]
fn an_unknown_plugin_says_where_we_looked() {
    let directory = path(sample::wasm().parent().expect("a file is in a directory"));
    let ended = run(&[
        "call",
        "local",
        "smaple::greet",
        "you",
        "--plugin-dir",
        directory,
    ]);
    let want =
        format!("error: unknown plugin `smaple`\nnote: no `smaple.wasm` is in {directory}\n");
    assert!(ended.stderr.starts_with(&want), "{}", ended.stderr);
    let help = "\
help: did you mean `sample`?
help: name the file with `--plugin FILE`, or its directory with `--plugin-dir DIR` or OFFSHOOT_PLUGIN_PATH; `offshoot plugin build` makes one from a crate
";
    assert!(ended.stderr.ends_with(help), "{}", ended.stderr);
    assert_eq!(ended.code, Some(2));
}

#[test]
fn a_file_with_another_plugin_is_refused() {
    let file = path(sample::wasm());
    refused(
        &["local", "facts::greet", "you"],
        &format!("error: {file} is the plugin `sample`, not `facts`\nhelp: call `sample::greet`\n"),
    );
}

#[test]
fn a_file_that_is_no_plugin_is_refused() {
    let missing = run(&["call", "local", "x::f", "--plugin", "none.wasm"]);
    assert_eq!(
        missing.stderr,
        "error: there is no file none.wasm\nhelp: `offshoot plugin build` prints where it puts a plugin\n"
    );
    let native = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("native.wasm");
    fs::write(&native, b"\x7fELF\x02\x01\x01").expect("it can be written");
    let native = path(&native);
    let ended = run(&["call", "local", "x::f", "--plugin", native]);
    let want =
        format!("error: `{native}` is not a usable plugin: it is a native program or library");
    assert!(ended.stderr.starts_with(&want), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
}

#[test]
fn a_plugin_of_another_abi_is_refused() {
    let mut wasm = fs::read(sample::wasm()).expect("it was built");
    // A function's record starts with its tag, the ABI and the SDK's version.
    let record = [&[1, 1, 5][..], env!("CARGO_PKG_VERSION").as_bytes()].concat();
    let places: Vec<usize> = (0..wasm.len())
        .filter(|&at| wasm[at..].starts_with(&record))
        .collect();
    assert!(!places.is_empty(), "the manifest is where we think");
    for at in places {
        wasm[at + 1] = 9;
    }
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("other-abi.wasm");
    fs::write(&file, wasm).expect("it can be written");
    let ended = run(&[
        "call",
        "local",
        "sample::greet",
        "you",
        "--plugin",
        path(&file),
    ]);
    assert_eq!(
        ended.stderr,
        format!(
            "error: `{}` is not a usable plugin: the module was built for ABI 9 by SDK {}, this \
             host speaks ABI 1: rebuild it with a matching `offshoot-guest`\n",
            file.display(),
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn clap_refuses_with_the_same_status() {
    let ended = run(&["call", "local", "sample::greet", "--grant", "fly"]);
    assert_eq!(ended.code, Some(2));
    let want = "error: invalid value 'fly' for '--grant <GRANT>': `fly` is not a grant: write \
                `read:/DIR`, `write:/DIR`, `env:NAME` or `router`\n";
    assert!(ended.stderr.starts_with(want), "{}", ended.stderr);
}
