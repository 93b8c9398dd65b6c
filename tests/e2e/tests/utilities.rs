//! What surrounds a program: its router, its log, and what contexts write about themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::{Leftovers, alone, plugin, with_router};
use e2e_plugin as guest;
use offshoot::{Router, run_with_router};

/// The files that a process writes about itself, and others of that name.
fn files_of(pid: u32, stem: &str) -> Vec<PathBuf> {
    let start = format!("{stem}.{pid}.");
    let files = std::fs::read_dir(std::env::temp_dir()).unwrap();
    files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(&start))
        })
        .collect()
}

/// Takes what such a file says, once it is there, and removes it.
fn take(pid: u32, stem: &str) -> String {
    for _ in 0..200 {
        if let Some(path) = files_of(pid, stem).first() {
            let text = std::fs::read_to_string(path).unwrap();
            if text.contains('\n') {
                std::fs::remove_file(path).unwrap();
                return text;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} has written no {stem}.*.log");
}

fn pid_of(name: &str) -> u32 {
    let (_, pid) = name.rsplit_once('.').unwrap();
    pid.parse().unwrap()
}

#[test]
fn s172_a_temporary_router_is_shut_down_and_the_value_comes_back() {
    let _alone = alone();
    let plugin = plugin();
    let go = || {
        run_with_router(async |router| {
            router.add_plugin(plugin.clone());
            let context = router.local().await.unwrap();
            context.call::<guest::add>((40, 2)).await.unwrap()
        })
    };
    assert_eq!(go(), 42);
    let before = Leftovers::now();
    assert_eq!(go(), 42);
    before.assert_nothing_new();
}

#[test]
fn s172_a_panic_goes_on_after_the_contexts_are_gone() {
    let _alone = alone();
    run_with_router(async |router| drop(router.local().await.unwrap()));
    let before = Leftovers::now();
    let result = catch_unwind(AssertUnwindSafe(|| {
        run_with_router(async |router| {
            let _context = router.local().await.unwrap();
            panic!("something else");
        });
    }));
    let panic = result.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"something else"));
    before.assert_nothing_new();
}

#[test]
fn s173_a_function_brings_its_own_router() {
    let _alone = alone();
    let function = offshoot::with_router(async |router: Router| router.own_context().id());
    assert_eq!(function(), 0);
}

#[test]
fn b033_a_main_with_a_router() {
    let program = Command::new(env!("CARGO_BIN_EXE_with-router"))
        .arg("4")
        .output()
        .unwrap();
    assert!(program.status.success(), "{program:?}");
    assert_eq!(
        String::from_utf8_lossy(&program.stdout),
        "4 contexts are up\n"
    );
    let program = Command::new(env!("CARGO_BIN_EXE_with-router"))
        .arg("x")
        .output()
        .unwrap();
    assert!(!program.status.success(), "its error is the program's");
}

#[test]
fn s171_the_log_goes_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let program = Command::new(env!("CARGO_BIN_EXE_with-router"))
        .args(["1", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(program.status.success(), "{program:?}");
    let log = std::fs::read_to_string(path).unwrap();
    let line = log.lines().find(|line| line.contains("hello")).unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(time.len(), "HH:MM:SS".len());
    assert_eq!(rest, "I with_router: hello from the program");
    assert!(!log.contains(" D "), "debug records were not asked for");
}

#[test]
fn s072_each_context_writes_a_profile_when_it_ends() {
    let _alone = alone();
    let plugin = plugin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (parent, child) = runtime.block_on(async {
        let router = Router::builder().profiling(true).build().unwrap();
        router.add_plugin(plugin);
        let parent = router.local().await.unwrap();
        let child = router.local().via(&parent).await.unwrap();
        for context in [&parent, &child] {
            context.call::<guest::add>((1, 2)).await.unwrap();
        }
        let pids = (pid_of(parent.name()), pid_of(child.name()));
        router.shutdown().await;
        pids
    });
    for pid in [parent, child] {
        let profile = take(pid, "offshoot.stats");
        assert!(profile.contains("e2e-plugin::add"), "{profile}");
    }
    assert!(take(std::process::id(), "offshoot.stats").contains("context 0"));
}

#[test]
fn s073_debug_logs_are_written_from_now_on_and_below() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let before = router.local().await.unwrap();
        router.enable_debug();
        let parent = router.local().await.unwrap();
        let child = router.local().via(&parent).await.unwrap();
        child.call::<guest::add>((1, 2)).await.unwrap();
        assert_eq!(
            files_of(pid_of(before.name()), "offshoot"),
            [] as [PathBuf; 0]
        );
        assert!(take(pid_of(child.name()), "offshoot").contains("e2e-plugin::add"));
        assert!(take(pid_of(parent.name()), "offshoot").contains("asked to make context"));
        take(std::process::id(), "offshoot");
    });
}

#[test]
fn s084_one_context_alone_writes_a_debug_log() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let context = router.local().debug(true).await.unwrap();
        context.call::<guest::add>((1, 2)).await.unwrap();
        assert!(take(pid_of(context.name()), "offshoot").contains("e2e-plugin::add"));
        assert_eq!(files_of(std::process::id(), "offshoot"), [] as [PathBuf; 0]);
    });
}

#[test]
fn b021_a_failure_that_nobody_waits_for_is_logged_and_harms_nothing() {
    with_router(async |router| {
        router.add_plugin(plugin());
        let context = router.local().debug(true).await.unwrap();
        let handles = router.stats().handles;
        context
            .call_no_reply::<guest::fail>(("key".into(),))
            .await
            .unwrap();
        assert_eq!(router.stats().handles, handles);
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
        let log = take(pid_of(context.name()), "offshoot");
        assert!(
            log.contains("nobody waits for failed: `key` was not found"),
            "{log}"
        );
    });
}
