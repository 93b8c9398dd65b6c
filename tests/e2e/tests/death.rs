//! However a process of the tree dies, nothing of what was below it is left, and whoever waits
//! for it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::evil::{Disguise, embedded_child};
use e2e::{assert_all_end, children, is_alive, kill, pid_of, with_router};
use e2e_plugin as guest;
use offshoot::Error;
use rustix::process::{Pid, Signal, kill_process};

/// How long a tree may take to fall.
const FALL: Duration = Duration::from_secs(5);

/// A controller in a process of its own, which waits to be killed.
struct Controller {
    process: Child,
    /// Its contexts, from the first of the chain to the one beside it.
    contexts: Vec<i32>,
    directory: tempfile::TempDir,
}

impl Controller {
    fn start(plan: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fifo = Command::new("mkfifo")
            .arg(directory.path().join("fifo"))
            .status();
        assert!(fifo.unwrap().success());
        let script = directory.path().join("script");
        let text = format!(
            "#!/bin/sh\nsleep 600 &\necho $$ $! > {0}/launched.new\n\
             mv {0}/launched.new {0}/launched\nwait\n",
            directory.path().display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tree"))
            .arg(e2e::plugin_file())
            .arg(directory.path())
            .arg(script)
            .arg(plan)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let contexts: Vec<i32> = line
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect();
        assert_eq!(contexts.len(), 5, "{line}");
        Self {
            process,
            contexts,
            directory,
        }
    }

    /// The script that pretends to be a child, and what it started.
    fn launched(&self) -> Vec<i32> {
        let path = self.directory.path().join("launched");
        for _ in 0..1000 {
            if let Ok(text) = std::fs::read_to_string(&path) {
                return text
                    .split_whitespace()
                    .map(|pid| pid.parse().unwrap())
                    .collect();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the script did not start");
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Controller {
    /// A test that fails must not leave a tree behind.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for &pid in self.contexts.iter().filter(|&&pid| is_alive(pid)) {
            kill(pid);
        }
    }
}

#[test]
fn s184_a_tree_falls_with_its_controller() {
    let _alone = e2e::alone();
    let mut controller = Controller::start("calls");
    let launched = controller.launched();
    assert!(
        controller
            .contexts
            .iter()
            .chain(&launched)
            .all(|&pid| is_alive(pid))
    );
    controller.kill();
    assert_all_end(&controller.contexts, FALL);
    assert_all_end(&launched, FALL);
}

#[test]
fn a_tree_falls_although_one_of_it_was_stopped_and_all_pipes_are_full() {
    let _alone = e2e::alone();
    let mut controller = Controller::start("stalled");
    controller.kill();
    assert_all_end(&controller.contexts, FALL);
}

#[test]
fn s184_what_is_below_a_killed_context_falls_and_the_rest_goes_on() {
    let _alone = e2e::alone();
    let mut controller = Controller::start("calls");
    let launched = controller.launched();
    let [top, middle, low, lowest, beside] = controller.contexts[..] else {
        unreachable!("there are five");
    };
    kill(low);
    assert_all_end(&[low, lowest], FALL);
    assert!([top, middle, beside].into_iter().all(is_alive));
    kill(top);
    assert_all_end(&[top, middle], FALL);
    assert_all_end(&launched, FALL);
    assert!(is_alive(beside));
    controller.kill();
    assert_all_end(&controller.contexts, FALL);
}

#[test]
fn a_stopped_child_is_waited_for_and_a_killed_one_is_not() {
    with_router(async |router| {
        let victim = router.local().await.unwrap();
        let other = router.local().await.unwrap();
        victim.call::<guest::add>((1, 2)).await.unwrap();
        let pid = pid_of(&victim);
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
        let patient = victim.call_async::<guest::add>((1, 2)).await.unwrap();
        let hasty = victim.with_timeout(Duration::from_millis(100));
        let error = hasty.call::<guest::add>((1, 2)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert_eq!(other.call::<guest::add>((1, 2)).await.unwrap(), 3);
        kill(pid);
        let error = patient.get().await.unwrap_err().to_string();
        assert!(error.contains("exited due to signal 9"), "{error}");
        assert!(error.ends_with("the function may have run"), "{error}");
        assert_eq!(other.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn a_stopped_child_goes_on_where_it_was() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        context.call::<guest::count>(()).await.unwrap();
        let pid = Pid::from_raw(pid_of(&context)).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let call = context.call_async::<guest::count>(()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        kill_process(pid, Signal::CONT).unwrap();
        assert_eq!(call.get().await.unwrap(), 2);
    });
}

#[test]
fn a_tree_with_a_stopped_child_can_be_shut_down() {
    with_router(async |router| {
        let top = router.local().await.unwrap();
        let low = router.local().via(&top).await.unwrap();
        let pids = [pid_of(&top), pid_of(&low)];
        kill_process(Pid::from_raw(pids[1]).unwrap(), Signal::STOP).unwrap();
        router.shutdown().await;
        assert_all_end(&pids, FALL);
    });
}

#[test]
fn b046_a_child_that_does_not_hear_is_killed() {
    with_router(async |router| {
        // The first one makes the genuine child known.
        let middle = router.local().await.unwrap();
        let evil = env!("CARGO_BIN_EXE_evil-child");
        let disguises = [Disguise::new(evil, "deaf"), Disguise::new(evil, "deaf")];
        let child = router
            .local()
            .child_path(disguises[0].path())
            .await
            .unwrap();
        let grandchild = router.local().via(&middle).child_path(disguises[1].path());
        let grandchild = grandchild.await.unwrap();
        let pids = [pid_of(&child), pid_of(&grandchild)];
        assert!(pids.iter().all(|&pid| is_alive(pid)));
        router.shutdown().await;
        assert_all_end(&pids, Duration::ZERO);
    });
}

#[test]
fn l7_a_child_that_does_not_hear_is_killed_when_its_end_is_waited_for() {
    with_router(async |router| {
        let middle = router.local().await.unwrap();
        let evil = env!("CARGO_BIN_EXE_evil-child");
        let disguises = [Disguise::new(evil, "deaf"), Disguise::new(evil, "deaf")];
        let child = router
            .local()
            .child_path(disguises[0].path())
            .await
            .unwrap();
        let grandchild = router.local().via(&middle).child_path(disguises[1].path());
        let grandchild = grandchild.await.unwrap();
        let pids = [pid_of(&child), pid_of(&grandchild)];
        child.shutdown_wait().await;
        grandchild.shutdown_wait().await;
        assert_all_end(&pids, Duration::from_secs(60));
    });
}

#[test]
fn what_a_script_around_a_child_started_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    let pid_file = directory.path().join("pid");
    let text = format!(
        "#!/bin/sh\nsleep 600 &\necho $! > {}\nwait\n",
        pid_file.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    with_router(async |router| {
        let local = router.local().child_path(script.to_str().unwrap());
        let error = local
            .connect_timeout(Duration::from_millis(500))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("timed out"), "{error}");
    });
    let pid = std::fs::read_to_string(pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_all_end(&[pid], FALL);
}

#[test]
fn s184_a_parent_that_dies_during_the_handshake_leaves_no_child() {
    // The first child makes the genuine one known.
    with_router(async |router| {
        router.local().await.unwrap();
        let nonce = "0123456789abcdef0123456789abcdef";
        let start = || {
            let mut command = Command::new(embedded_child());
            command.args(["serve", nonce]);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        // Before it could say anything: it notices at its first word, or its last.
        let mut child = start();
        drop((child.stdin.take(), child.stdout.take()));
        child.wait().unwrap();
        // While it waits for its welcome.
        let mut child = start();
        let mut greeting = [0; 10];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut greeting)
            .unwrap();
        assert_eq!(&greeting, b"OFFSHOOT 0");
        drop(child.stdin.take());
        assert!(
            child.wait().unwrap().success(),
            "that is no fault of its own"
        );
        // In the middle of its welcome.
        let mut child = start();
        child.stdin.take().unwrap().write_all(b"O\xf5\x03").unwrap();
        assert!(child.wait().unwrap().success());
        // With a welcome that is none.
        let mut child = start();
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(&[b'?'; 48])
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains("the parent sent no welcome: non-protocol bytes"),
            "{error}"
        );
    });
}

#[test]
fn two_hundred_children_come_and_go() {
    with_router(async |router| {
        let survivor = router.local().await.unwrap();
        let before = e2e::Leftovers::now();
        let mut unanswered = Vec::new();
        for round in 0..200 {
            let context = router.local().await.unwrap();
            match round % 4 {
                0 => {}
                1 => assert_eq!(context.call::<guest::add>((1, 2)).await.unwrap(), 3),
                2 => drop(context.call_async::<guest::busy>((60_000,)).await.unwrap()),
                _ => unanswered.push(context.call_async::<guest::busy>((60_000,)).await.unwrap()),
            }
            kill(pid_of(&context));
        }
        // The router reaps them while it is given time to.
        for _ in 0..1000 {
            if children().len() <= 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        before.assert_nothing_new();
        for call in unanswered {
            let error = call.get().await.unwrap_err().to_string();
            assert!(error.contains("exited due to signal 9"), "{error}");
        }
        assert_eq!(survivor.call::<guest::add>((1, 2)).await.unwrap(), 3);
    });
}
