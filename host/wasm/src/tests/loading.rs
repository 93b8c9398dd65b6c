//! Images and modules that are not what they should be.

use super::*;
use crate::image::Parts;

#[track_caller]
fn check_compile(wasm: &[u8], want: &str) {
    let error = compile(wasm, &RUNTIME.target(), None).unwrap_err();
    assert!(error.to_string().contains(want), "{error}");
}

#[track_caller]
fn check_load(wasm: &[u8], want: &str) {
    match Loader::default().load(wasm) {
        Ok(_) => panic!("it is refused"),
        Err(error) => assert!(error.to_string().contains(want), "{error}"),
    }
}

fn echo() -> CompiledImage {
    image(&module(&[("echo", 0)], ECHO))
}

#[test]
fn what_is_no_module_does_not_compile() {
    check_compile(b"", "not a core WebAssembly module");
    check_compile(b"\x7fELF", "not a core WebAssembly module");
    check_compile(b"\0asm\x0d\0\x01\0", "but a component");
    check_compile(&wat::parse_str("(module)").unwrap(), "no Offshoot manifest");
    let whole = module(&[("echo", 0)], ECHO);
    for length in [9, whole.len() / 2, whole.len() - 1] {
        assert!(
            compile(&whole[..length], &RUNTIME.target(), None).is_err(),
            "{length}"
        );
    }
}

#[test]
fn proposals_that_are_off_do_not_compile() {
    for body in [
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(tag (param i32))",
        "(type (struct))",
        "(func (result i32) (return_call 0))",
    ] {
        let wasm = bare(&[("f", 0)], body);
        let error = compile(&wasm, &RUNTIME.target(), None).unwrap_err();
        assert!(matches!(error, CompileError::Invalid(_)), "{body}: {error}");
    }
}

#[test]
fn vectors_compile_for_every_cpu() {
    let body = r#"
        (func (export "offshoot.call.f") (param i32) (result i64)
            (i32.store8 (i32.const 2000) (i32.const 0))
            (i32.store8 (i32.const 2001)
                (i8x16.extract_lane_u 3 (i8x16.shuffle 0 1 2 17 4 5 6 7 8 9 10 11 12 13 14 15
                    (i8x16.splat (i32.const 1)) (i8x16.popcnt (i8x16.splat (i32.const 7))))))
            (call $packed (i32.const 2000) (i32.const 2)))
    "#;
    let wasm = module(&[("f", 0)], body);
    assert_eq!(call(&one(body), "f", b""), Completion::Value(vec![3]));
    for cpu in ["baseline", "x86-64-v2", "x86-64-v3"] {
        let target = format!("wasmtime-48.0.8/x86_64-unknown-linux-gnu/{cpu}/narrow");
        if cfg!(target_arch = "x86_64") {
            compile(&wasm, &target.parse().unwrap(), None).unwrap();
        }
    }
}

#[test]
fn another_architecture_is_refused_by_name() {
    let other = if cfg!(target_arch = "x86_64") {
        "s390x"
    } else {
        "x86_64"
    };
    let target = format!("wasmtime-48.0.8/{other}-unknown-linux-gnu/baseline/wide");
    let error = compile(
        &module(&[("echo", 0)], ECHO),
        &target.parse().unwrap(),
        None,
    )
    .unwrap_err();
    assert!(error.to_string().contains(other), "{error}");
}

#[test]
fn an_image_that_changed_on_its_way_is_refused() {
    let mut image = echo();
    let last = image.bytes.len() - 1;
    image.bytes[last] ^= 1;
    let error = Loader::default()
        .load_image(&image.bytes, &image.hash)
        .err()
        .unwrap();
    assert!(matches!(error, LoadError::HashMismatch { .. }), "{error}");
}

#[test]
fn an_image_for_another_layout_is_refused() {
    let wasm = module(&[("echo", 0)], ECHO);
    let narrow = Target::native(Profile::Narrow);
    let image = compile(&wasm, &narrow, None).unwrap();
    let error = Loader::default()
        .load_image(&image.bytes, &image.hash)
        .err()
        .unwrap();
    assert!(matches!(&error, LoadError::OtherTarget { .. }), "{error}");
    assert!(error.to_string().contains("narrow"), "{error}");

    // The same with a target that lies: the engine looks for itself.
    let parts = Parts::split(&image.bytes).unwrap();
    let lie = Parts {
        target: &RUNTIME.target().to_string(),
        ..parts
    }
    .join();
    let error = Loader::default()
        .load_image(&lie, &ImageHash::of(&lie))
        .err()
        .unwrap();
    assert!(matches!(error, LoadError::Refused(_)), "{error}");
}

#[test]
fn what_is_no_image_is_refused() {
    let image = echo();
    for length in [0, 4, 12, 40, 120, image.bytes.len() / 2] {
        let bytes = &image.bytes[..length];
        let loaded = Loader::default().load_image(bytes, &ImageHash::of(bytes));
        assert!(loaded.is_err(), "{length} bytes");
    }
}

#[test]
fn a_narrow_process_runs_narrow_images() {
    let runtime = Runtime::new(Profile::Narrow).unwrap();
    let image = compile(&module(&[("echo", 0)], ECHO), &runtime.target(), None).unwrap();
    let host = HostInfo {
        context_id: 1,
        parent_ids: vec![0],
        name: String::new(),
    };
    let (limits, sink) = (Limits::default(), Arc::new(Records::default()));
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
    assert_eq!(
        call(&plugin, "echo", b"hi"),
        Completion::Value(b"hi".to_vec())
    );
}

#[test]
fn unknown_imports_are_named() {
    let import = |module: &str, name: &str| {
        let import = format!(r#"(import "{module}" "{name}" (func))"#);
        super::module(&[("echo", 0)], &format!("{import}\n{ECHO}"))
    };
    check_load(
        &import("env", "emscripten_notify"),
        "`env::emscripten_notify`",
    );
    check_load(&import("offshoot/v1", "exec"), "`offshoot/v1::exec`");
    check_load(&import("wasi_snapshot_preview1", "sock_open"), "sock_open");
    check_load(&import("offshoot/v1", "log"), "incompatible import type");
}

#[test]
fn missing_exports_are_named() {
    check_load(&bare(&[("f", 0)], ""), "`memory`");
    let memory = r#"(memory (export "memory") 1)"#;
    check_load(&bare(&[("f", 0)], memory), "`offshoot.arguments`");
    check_load(&module(&[("f", 0)], ""), "`offshoot.call.f`");
    let wrong = r#"(func (export "offshoot.call.f") (result i64) (i64.const 0))"#;
    check_load(&module(&[("f", 0)], wrong), "`offshoot.call.f`");
    let wrong = format!(r#"{ECHO} (func (export "_initialize") (param i32))"#);
    check_load(&module(&[("echo", 0)], &wrong), "`_initialize`");
}

#[test]
fn grants_that_cannot_be_given_are_named() {
    let wasm = module(&[("echo", 0)], ECHO);
    for (path, want) in [
        ("/no/such/place", "no such directory"),
        ("/etc/passwd", "not a directory"),
    ] {
        let loader = Loader {
            grants: vec![Grant::Read(path.to_owned())],
            ..Loader::default()
        };
        let error = loader.load(&wasm).err().unwrap().to_string();
        assert!(
            error.contains(want) && error.contains(&format!("read:{path}")),
            "{error}"
        );
    }
}

#[test]
fn the_engines_version_is_the_manifests() {
    let manifest = include_str!("../../Cargo.toml");
    let version = Target::native(Profile::Wide).to_string();
    let version = version
        .split('/')
        .next()
        .unwrap()
        .strip_prefix("wasmtime-")
        .unwrap();
    assert!(
        manifest.contains(&format!("wasmtime = {{ version = \"={version}\"")),
        "{version}"
    );
}
