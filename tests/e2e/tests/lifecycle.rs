//! How contexts come, fail and go, and what is told of it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use e2e::{assert_all_end, kill, pid_of, with_router};
use e2e_plugin as guest;
use offshoot::{ConnectError, Error, Grant, Router};

#[test]
fn s080_names_tell_how_a_context_was_made() {
    with_router(async |router| {
        let first = router.local().await.unwrap();
        assert_eq!(first.name(), format!("local.{}", pid_of(&first)));
        let second = router.local().via(&first).await.unwrap();
        assert_eq!(
            second.name(),
            format!("{}.local.{}", first.name(), pid_of(&second))
        );
        let named = router.local().name("web1").await.unwrap();
        assert_eq!(named.name(), "web1");
        let refused = router.local().name("a/b").await.unwrap_err();
        assert!(
            refused.to_string().contains("must not contain '/'"),
            "{refused}"
        );
    });
}

#[test]
fn s081_process_listings_show_whose_child_it_is() {
    with_router(async |router| {
        let argv0 = |pid: i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            String::from_utf8(line.split(|&byte| byte == 0).next().unwrap().to_vec()).unwrap()
        };
        let named = router.local().remote_name("build-7").await.unwrap();
        assert_eq!(argv0(pid_of(&named)), "offshoot:build-7");
        let default = router.local().await.unwrap();
        let suffix = format!(":{}", std::process::id());
        assert!(
            argv0(pid_of(&default)).ends_with(&suffix),
            "{}",
            argv0(pid_of(&default))
        );
        let refused = router.local().remote_name("a/b").await.unwrap_err();
        assert!(refused.to_string().contains("slashes"), "{refused}");
    });
}

#[test]
fn s086_a_chain_of_ten_works() {
    with_router(async |router| {
        let mut chain = vec![router.local().await.unwrap()];
        for _ in 1..10 {
            let next = router.local().via(chain.last().unwrap()).await.unwrap();
            chain.push(next);
        }
        for (depth, context) in chain.iter().enumerate() {
            let identity = context.call::<guest::identity>(()).await.unwrap();
            assert_eq!(identity.parents.len(), depth + 1);
            assert_eq!(identity.parents.last(), Some(&0));
        }
    });
}

#[test]
fn s185_a_killed_child_ends_its_calls_at_once_and_others_go_on() {
    with_router(async |router| {
        let victim = router.local().await.unwrap();
        let other = router.local().await.unwrap();
        let call = victim.call_async::<guest::busy>((60_000,)).await.unwrap();
        // The call is there once an answer to a later concurrent one is here.
        victim.call::<guest::count_alone>(()).await.unwrap();
        kill(pid_of(&victim));
        let error = call.get().await.unwrap_err();
        let Error::Channel(error) = error else {
            panic!("{error:?}");
        };
        assert!(error.may_have_run);
        assert_eq!(error.context, victim.name());
        assert!(error.reason.contains("exited due to signal 9"), "{error}");
        assert!(
            error.to_string().ends_with("the function may have run"),
            "{error}"
        );
        assert_eq!(other.call::<guest::add>((1, 2)).await.unwrap(), 3);
        let error = victim.call::<guest::add>((1, 2)).await.unwrap_err();
        assert!(error.to_string().contains("no route to context"), "{error}");
    });
}

#[test]
fn b040_the_loss_of_a_context_in_the_middle_wakes_who_waits_behind_it() {
    with_router(async |router| {
        let top = router.local().await.unwrap();
        let middle = router.local().via(&top).await.unwrap();
        let low = router.local().via(&middle).await.unwrap();
        let call = low.call_async::<guest::busy>((60_000,)).await.unwrap();
        low.call::<guest::count_alone>(()).await.unwrap();
        kill(pid_of(&middle));
        let error = call.get().await.unwrap_err();
        let Error::Channel(error) = error else {
            panic!("{error:?}");
        };
        assert!(error.may_have_run, "{error}");
        assert_eq!(top.call::<guest::add>((1, 2)).await.unwrap(), 3);
        assert_all_end(&[pid_of(&low)], Duration::from_secs(5));
    });
}

#[test]
fn b022_a_context_that_is_asked_to_end_takes_its_descendants_along() {
    with_router(async |router| {
        let top = router.local().await.unwrap();
        let low = router.local().via(&top).await.unwrap();
        let pids = [pid_of(&top), pid_of(&low)];
        top.shutdown();
        assert_all_end(&pids, Duration::from_secs(5));
    });
}

#[test]
fn dropping_everything_ends_everything() {
    let _alone = e2e::alone();
    // Another test may have left a context that was detached, which is nobody's to reap.
    let before = e2e::children();
    e2e::plugin_file();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pids = runtime.block_on(async {
        let router = Router::new().unwrap();
        let top = router.local().await.unwrap();
        let low = router.local().via(&top).await.unwrap();
        [pid_of(&top), pid_of(&low)]
    });
    drop(runtime);
    assert_all_end(&pids, Duration::from_secs(5));
    let after = e2e::children();
    assert!(after.is_subset(&before), "zombies: {after:?}");
}

#[test]
fn a_connection_given_up_outside_of_the_runtime_leaves_no_child() {
    let _alone = e2e::alone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (router, first) = runtime.block_on(async {
        let router = Router::new().unwrap();
        let first = router.local().await.unwrap();
        (router, first)
    });
    let mut connecting = router.local().via(&first).into_future();
    runtime.block_on(std::future::poll_fn(|cx| {
        assert!(connecting.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    }));
    drop(connecting);
    runtime.block_on(router.shutdown());
    assert!(e2e::children().is_empty(), "left: {:?}", e2e::children());
}

/// A program that says nothing, and the file that it writes its process id to.
fn silent_program(directory: &std::path::Path) -> (tempfile::TempPath, std::path::PathBuf) {
    let file = directory.join("pid");
    let shown = file.display();
    let text = format!("#!/bin/sh\necho $$ >{shown}.new; mv {shown}.new {shown}; exec sleep 60\n");
    (script(&text), file)
}

/// The process id in a file, once it is there.
async fn pid_in(file: &std::path::Path) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(text) = std::fs::read_to_string(file) {
            return text.trim().parse().unwrap();
        }
        assert!(Instant::now() < deadline, "the program was not started");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn l5_a_shutdown_ends_a_connection_that_is_under_way_and_waits_for_its_process() {
    for flavour in [e2e::Flavour::CurrentThread, e2e::Flavour::MultiThread] {
        e2e::with_router_on(flavour, async |router| {
            let directory = tempfile::tempdir().unwrap();
            let (program, file) = silent_program(directory.path());
            let connecting = router.local().child_path(program.to_str().unwrap());
            let connecting = tokio::spawn(connecting.into_future());
            let pid = pid_in(&file).await;
            router.shutdown().await;
            assert_all_end(&[pid], Duration::ZERO);
            let error = connecting.await.unwrap().unwrap_err();
            assert!(
                matches!(error, Error::Connect(ConnectError::Stopped)),
                "{error:?}"
            );
        });
    }
}

#[test]
fn l6_a_connection_through_another_context_that_is_dropped_is_given_up_there() {
    with_router(async |router| {
        let first = router.local().await.unwrap();
        for _ in ["once", "and again"] {
            let directory = tempfile::tempdir().unwrap();
            let (program, file) = silent_program(directory.path());
            let below = router.local().child_path(program.to_str().unwrap());
            let below = tokio::spawn(below.via(&first).into_future());
            let pid = pid_in(&file).await;
            below.abort();
            assert!(below.await.unwrap_err().is_cancelled());
            let deadline = Instant::now() + Duration::from_secs(20);
            while e2e::is_alive(pid) {
                assert!(Instant::now() < deadline, "the process is left");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let second = router.local().via(&first).await.unwrap();
        assert_eq!(second.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

fn script(text: &str) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.as_file()
        .set_permissions(PermissionsExt::from_mode(0o755))
        .unwrap();
    file.into_temp_path()
}

/// Starts a program in a child's place and gives the error.
fn start(program: &str) -> ConnectError {
    with_router(async |router| {
        let patience = Duration::from_secs(1);
        let started = router
            .local()
            .child_path(program)
            .connect_timeout(patience)
            .await;
        let Err(Error::Connect(error)) = started else {
            panic!("{started:?}");
        };
        let context = router.local().await.unwrap();
        assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3);
        error
    })
}

#[test]
fn a_missing_child_binary_is_named() {
    let error = start("/no/such/child");
    assert!(matches!(error, ConnectError::Start { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("cannot start `/no/such/child`: No such file"),
        "{text}"
    );
}

#[test]
fn a_child_binary_that_is_not_executable_is_named() {
    let path = script("#!/bin/sh\n");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let text = start(path.to_str().unwrap()).to_string();
    assert!(text.contains("must be an executable file"), "{text}");
}

#[test]
fn a_child_binary_for_another_machine_is_named() {
    // The first bytes of an ELF file for a machine that there is none of.
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xfe\xfe".to_vec();
    elf.resize(4096, 0);
    let path = script("");
    std::fs::write(&path, elf).unwrap();
    let text = start(path.to_str().unwrap()).to_string();
    assert!(text.contains("not a program for this machine"), "{text}");
}

#[test]
fn a_child_of_another_build_is_refused() {
    let path = script("#!/bin/sh\necho \"OFFSHOOT $2 1 0000000000000000\"\nsleep 60\n");
    let text = start(path.to_str().unwrap()).to_string();
    assert!(text.contains("another build of offshoot"), "{text}");
    assert!(text.contains("build 0000000000000000"), "{text}");
}

#[test]
fn s099_a_program_that_ends_at_once_is_quoted() {
    let path = script("#!/bin/sh\necho on stdout\necho on stderr >&2\nexit 3\n");
    let text = start(path.to_str().unwrap()).to_string();
    for part in ["exited with return code 3", "on stdout", "on stderr"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn b011_a_program_that_says_nothing_is_given_up() {
    let path = script("#!/bin/sh\necho waiting for a password:\nexec sleep 60\n");
    let error = start(path.to_str().unwrap());
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("timed out"), "{text}");
    assert!(text.contains("waiting for a password:"), "{text}");
}

#[test]
fn endless_noise_before_the_hello_is_given_up() {
    let path = script("#!/bin/sh\nexec yes noise\n");
    let text = start(path.to_str().unwrap()).to_string();
    assert!(text.contains("no greeting"), "{text}");
}

#[test]
fn b045_a_detached_context_finishes_what_it_does_and_then_ends() {
    let directory = tempfile::tempdir().unwrap();
    let marker = directory.path().join("done");
    let place = directory.path().to_str().unwrap().to_owned();
    // Until it has ended: others count this process's children.
    let _alone = e2e::alone();
    let pid = {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let router = Router::new().unwrap();
            router.add_plugin(e2e::plugin().grant(Grant::Write(place)));
            let context = router.local().await.unwrap();
            let other = router.local().await.unwrap();
            context.call::<guest::add>((1, 2)).await.unwrap();
            let path = marker.to_str().unwrap().to_owned();
            let job = context
                .call_async::<guest::write_later>((path, 500))
                .await
                .unwrap();
            context.detach().await.unwrap();
            let pid: u32 = context.name().rsplit('.').next().unwrap().parse().unwrap();
            router.shutdown().await;
            assert!(job.get().await.is_err(), "nobody waits for it any more");
            drop(other);
            pid
        })
    };
    assert!(!marker.exists(), "it is still at it");
    for _ in 0..500 {
        // Also as a zombie it would be there (`L12`).
        let there = std::fs::exists(format!("/proc/{pid}")).unwrap();
        if marker.exists() && !there {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let written = marker.exists();
    panic!("process {pid} has not finished and ended; it has written: {written}");
}
