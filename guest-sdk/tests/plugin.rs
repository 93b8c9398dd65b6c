//! Builds plugins to WebAssembly and looks at what came out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use offshoot_abi::{Grant, InvalidModule, ManifestError};
use offshoot_build::{Build, BuildError, Profile};
use offshoot_guest::Function;

#[path = "fixtures/demo/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own elsewhere")]
mod demo;

fn build(path: impl Into<PathBuf>) -> Build {
    // One directory for all plugins that the workspace's tests build.
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Build::new(path).target_dir(tmp.join("../offshoot"))
}

/// A crate without dependencies, written for one test.
fn scratch(name: &str, lib: &str, source: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(path.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{lib}\n[workspace]\n"
    );
    fs::write(path.join("Cargo.toml"), manifest).unwrap();
    fs::write(path.join("src/lib.rs"), source).unwrap();
    path
}

const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]";

#[test]
fn a_plugin_is_built_and_says_what_it_is() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/demo");
    let artifact = build(demo).build().unwrap();
    let inspection = artifact.inspection;
    let manifest = &inspection.manifest;
    assert_eq!(manifest.plugin, "demo");
    assert_eq!(manifest.version, "1.2.3");
    let lines: Vec<_> = manifest.functions.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "fn Figure::moved(figure: Figure, by: Point) -> Result<Figure, Error>",
            "fn ask(children: u8) -> Result<Option<Context>, Error>",
            "fn count(out: Sender<u64>, up_to: u64) -> Result<(), Error>",
            "fn echo(bytes: Blob) -> Blob",
            "fn fail(text: String) -> Result<(), _>",
            "fn greet(name: String, times: u8) -> String",
            "fn panic(text: String)",
            "fn routed() -> bool",
            "fn size(path: String) -> Result<u64, Error>",
            "fn who() -> String",
        ]
    );
    let greet = manifest.function("greet").unwrap();
    assert_eq!(greet.docs, "Says hello.\n\nTwice if you like.");
    assert!(!greet.concurrent);
    assert!(manifest.function("size").unwrap().concurrent);
    assert!(manifest.function("who").unwrap().takes_host);
    assert_eq!(manifest.wants[0].grant, Grant::Read("/etc".to_owned()));
    assert_eq!(manifest.wants[1].grant, Grant::Router);
    assert_eq!(manifest.wants[1].reason, "`ask` takes `&Router`");
    assert_eq!(manifest.wants.len(), 2);
    for (function, takes) in [("ask", true), ("routed", true), ("count", false)] {
        assert_eq!(manifest.function(function).unwrap().takes_router, takes);
    }
    assert!(inspection.uses_wasi);

    let signature = |name| manifest.function(name).unwrap().signature;
    assert_eq!(signature("greet"), demo::greet::SIGNATURE);
    assert_eq!(signature("Figure::moved"), demo::Figure_moved::SIGNATURE);
    assert_eq!(signature("who"), demo::who::SIGNATURE);
    assert_eq!(signature("count"), demo::count::SIGNATURE);
    const { assert!(demo::size::CONCURRENT && !demo::count::CONCURRENT) };
}

#[test]
fn a_plugin_is_small_but_keeps_the_names_of_its_functions() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/demo");
    let wasm = fs::read(build(demo).build().unwrap().wasm).unwrap();
    let contains = |text: &str| wasm.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(contains("4demo4size"), "its mangled name is there");
    assert!(!contains(".debug_info"), "there is debug information");
    assert!(!contains("command_export"), "it is not a reactor");
    assert!(!contains("/registry/src/"), "it says where it was built");
    assert!(wasm.len() < 250_000, "it has {} bytes", wasm.len());
}

/// A crate that uses the SDK, and with `more` dependencies.
fn plugin(name: &str, more: &str, source: &str) -> PathBuf {
    let sdk = env!("CARGO_MANIFEST_DIR");
    let lib = format!("{CDYLIB}\n[dependencies]\noffshoot-guest = {{ path = {sdk:?} }}\n{more}");
    let path = scratch(name, &lib, source);
    // Without it cargo would look for newer versions of what the SDK needs.
    let locked = Path::new(sdk).join("tests/fixtures/demo/Cargo.lock");
    fs::copy(locked, path.join("Cargo.lock")).unwrap();
    path
}

const USED: &str = r#"
    use offshoot_guest::function;

    offshoot_guest::wants! { "read:/etc" = "how long names are" }

    /// How long the text is.
    #[function]
    pub fn measure(text: String) -> u64 { text.len() as u64 }

    #[function]
    pub fn only_used() {}
"#;

#[test]
fn a_plugin_that_uses_another_is_one_plugin_and_leaves_the_other_as_it_was() {
    let used = plugin("used", "", USED);
    let user = r#"
        use offshoot_guest::{Result, Router, function};

        /// Asks another context for it.
        #[function]
        pub fn measure(router: &Router, text: String) -> Result<u64> {
            let child = router.local().connect()?;
            Ok(child.call::<used::measure>((text,))? + used::measure(String::new()))
        }
    "#;
    let user = plugin("user", "used = { path = \"../used\" }", user);
    // Each finds what the other left in the directories that they share.
    for _ in 0..2 {
        for (path, functions, wants) in [(&used, 2, 1), (&user, 1, 1), (&used, 2, 1)] {
            let artifact = build(path).profile(Profile::Dev).build().unwrap();
            let manifest = artifact.inspection.manifest;
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(manifest.plugin, name);
            assert_eq!(manifest.functions.len(), functions, "{manifest:?}");
            assert_eq!(manifest.wants.len(), wants, "{manifest:?}");
            assert!(manifest.function("measure").is_some());
        }
    }
}

#[test]
fn plain_cargo_makes_of_them_a_module_that_is_refused() {
    let used = USED.replace("measure", "measure_plainly");
    plugin("used-plainly", "", &used);
    let user = "#[offshoot_guest::function]\npub fn ask() { used_plainly::only_used() }\n";
    let user = plugin(
        "user-plainly",
        "used-plainly = { path = \"../used-plainly\" }",
        user,
    );
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plainly");
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--target", offshoot_build::TARGET, "--target-dir"])
        .arg(&target)
        .current_dir(&user)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&cargo.stderr);
    assert!(cargo.status.success(), "{printed}");
    assert!(!printed.contains("warning"), "{printed}");
    let module = target.join("wasm32-wasip1/debug/user_plainly.wasm");
    let error = offshoot_abi::inspect(&fs::read(module).unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("and plugin `use"), "{text}");
    assert!(text.ends_with("with `offshoot plugin build`"), "{text}");
}

#[test]
fn what_is_no_crate_is_named() {
    let error = build("/no/such/crate").build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no plugin crate at /no/such/crate: there is no Cargo.toml"
    );
}

#[test]
fn a_library_that_is_no_plugin_is_told_what_to_add() {
    let error = build(scratch("plain", "", "")).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "package `plain` is not a plugin: its Cargo.toml needs `[lib]` with `crate-type = \
         [\"cdylib\", \"rlib\"]`"
    );
}

#[test]
fn a_manifest_that_cargo_cannot_read_is_explained_by_cargo() {
    let crate_ = scratch("unreadable", "[lib]\npath = 3", "");
    let error = build(crate_).build().unwrap_err();
    assert!(matches!(error, BuildError::Metadata { .. }), "{error}");
    assert!(error.to_string().contains("path = 3"), "{error}");
}

#[test]
fn the_compilers_errors_come_whole() {
    let source = "pub fn one() -> u32 { missing }\npub fn two() -> u32 { \"text\" }\n";
    let error = build(scratch("broken", CDYLIB, source))
        .profile(Profile::Dev)
        .build()
        .unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("plugin `broken` does not compile:"),
        "{text}"
    );
    assert!(text.contains("cannot find value `missing`"), "{text}");
    assert!(text.contains("src/lib.rs:1:23"), "{text}");
}

#[test]
fn a_module_without_functions_is_no_plugin() {
    let error = build(scratch("hollow", CDYLIB, "pub fn unmarked() {}"))
        .profile(Profile::Dev)
        .build()
        .unwrap_err();
    let BuildError::Invalid { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source, InvalidModule::Manifest(ManifestError::Empty));
}

#[test]
fn a_plugin_by_hand_follows_the_abi() {
    let wasm = wat::parse_str(include_str!("fixtures/wat/guest.wat")).unwrap();
    let inspection = offshoot_abi::inspect(&wasm).unwrap();
    let lines: Vec<_> = inspection
        .manifest
        .functions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "fn add(a: u8, b: u8) -> u16",
            "fn fail() -> Result<(), text>"
        ]
    );
    assert!(!inspection.uses_wasi);
}

#[test]
fn a_plugin_in_c_follows_the_abi() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest.wasm");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/c/guest.c");
    let clang = Command::new("clang")
        .args([
            "--target=wasm32",
            "-O2",
            "-nostdlib",
            "-fno-builtin",
            "-Wl,--no-entry",
        ])
        .arg(source)
        .arg("-o")
        .arg(&tmp)
        .output();
    // Nothing else here needs a C compiler: without one, or its linker for WebAssembly, the
    // plugin by hand stands for both.
    let Some(clang) = clang
        .ok()
        .filter(|clang| clang.status.success() || !lacks_linker(clang))
    else {
        eprintln!("skipped: there is no clang with wasm-ld (apt-get install clang lld)");
        return;
    };
    assert!(
        clang.status.success(),
        "{}",
        String::from_utf8_lossy(&clang.stderr)
    );
    let inspection = offshoot_abi::inspect(&fs::read(tmp).unwrap()).unwrap();
    let lines: Vec<_> = inspection
        .manifest
        .functions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        ["fn greet(name: String) -> String", "fn where() -> u32"]
    );
}

fn lacks_linker(clang: &Output) -> bool {
    let text = String::from_utf8_lossy(&clang.stderr);
    text.contains("wasm-ld") && text.contains("unable to execute")
        || text.contains("No available targets")
}
