//! A plugin that shows what calls can do, built once for all tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Ended, offshoot, path};

const SOURCE: &str = r#"
//! What calls can do.

use offshoot_guest::{Result, data, function, wants};

wants! {
    "read:/etc" = "tell what is in it",
}

/// Something to count.
#[data]
pub struct Item {
    pub name: String,
    pub count: u32,
    pub label: Option<String>,
}

/// Something to see.
#[data]
pub enum Colour {
    Red,
    Mixed(u8, u8, u8),
}

/// Greets someone.
#[function]
pub fn greet(name: String) -> String {
    format!("hello, {name}")
}

/// Adds up numbers.
#[function]
pub fn sum(values: Vec<i64>) -> i64 {
    values.iter().sum()
}

/// Counts things,
/// several times over.
#[function]
pub fn total(items: Vec<Item>, times: u32) -> u32 {
    items.iter().map(|item| item.count * times).sum()
}

/// Gives a colour back.
#[function]
pub fn paint(colour: Colour) -> Colour {
    colour
}

/// A `Result` by another name.
type Parsed<T> = Result<T>;

#[function]
pub fn parse(text: String) -> Parsed<i32> {
    Ok(text.parse::<i32>()?)
}

#[function]
pub fn crash() {
    panic!("on purpose");
}

#[function]
pub fn say(text: String) {
    println!("{text}");
}

/// Prints lines, and a last one without an end.
#[function]
pub fn table(rows: u32) {
    for row in 0..rows {
        println!("row {row} of the table");
    }
    print!("end of the table");
}

/// When it began and ended, in milliseconds of the clock.
#[function]
pub fn nap(millis: u64) -> Vec<u64> {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    };
    let began = now();
    std::thread::sleep(std::time::Duration::from_millis(millis));
    vec![began, now()]
}

#[function]
pub fn hang() {
    println!("hanging");
    loop {
        std::hint::black_box(());
    }
}

#[function]
pub fn first_line(file: String) -> Result<String> {
    Ok(std::fs::read_to_string(file)?.lines().next().unwrap_or_default().to_owned())
}
"#;

/// The plugin's file, found and not found by name in the directory that it lies in.
pub(crate) fn wasm() -> &'static Path {
    static WASM: OnceLock<PathBuf> = OnceLock::new();
    WASM.get_or_init(build)
}

/// Builds it once for each build of the command: a runner may give every test a process of its
/// own, and they all want it at the same time.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&root).expect("the directory can be made");
    let lock = fs::File::create(root.join("lock")).expect("it can be made");
    lock.lock().expect("the file system has locks");

    let command = fs::metadata(env!("CARGO_BIN_EXE_offshoot")).expect("it was built");
    let made_of = format!("{:?}\n{SOURCE}", command.modified().expect("it has a date"));
    let (stamp, wasm) = (root.join("stamp"), root.join("target/plugins/sample.wasm"));
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_of) && wasm.is_file() {
        return wasm;
    }
    make(&root, &wasm);
    fs::write(stamp, made_of).expect("it can be written");
    wasm
}

fn make(root: &Path, wasm: &Path) {
    let krate = root.join("sample");
    let _ = fs::remove_dir_all(&krate);
    let made: Ended = offshoot(&["plugin", "new", path(&krate)])
        .output()
        .expect("it starts")
        .into();
    assert_eq!(made.code, Some(0), "{}", made.stderr);

    // The tests' target directory may lie outside of the checkout, where `new` finds no SDK.
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk");
    let sdk = sdk.canonicalize().expect("the SDK is beside the host");
    let manifest = fs::read_to_string(krate.join("Cargo.toml")).expect("`new` made it");
    let (start, rest) = manifest
        .split_once("offshoot-guest = ")
        .expect("it names the SDK");
    let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    let mut patched = format!("{start}offshoot-guest = {{ path = {sdk:?} }}\n{rest}");
    if !patched.contains("[workspace]") {
        patched += "\n[workspace]\n";
    }
    fs::write(krate.join("Cargo.toml"), patched).expect("it can be written");
    fs::write(krate.join("src/lib.rs"), SOURCE).expect("it can be written");

    let output = root.join("target");
    let built: Ended = offshoot(&["plugin", "build", path(&krate)])
        .env("OFFSHOOT_TARGET_DIR", &output)
        .output()
        .expect("it starts")
        .into();
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    assert!(wasm.is_file(), "{}", built.stdout);
    assert!(
        built.stdout.starts_with("built sample 0.1.0: "),
        "{}",
        built.stdout
    );
    assert!(
        built
            .stdout
            .contains("  fn greet(name: String) -> String\n"),
        "{}",
        built.stdout
    );
}
