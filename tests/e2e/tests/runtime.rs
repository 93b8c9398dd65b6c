//! What a context is as a process, and what comes from it by itself.

use std::fmt::{Debug, Write as _};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{assert_all_end, pid_of, plugin, with_router};
use e2e_plugin as guest;
use offshoot::Router;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn command_line(pid: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn s082_the_default_remote_name_tells_whose_child_it_is() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let name = command_line(pid_of(&context)).remove(0);
        let (program, rest) = name.split_once(':').unwrap();
        let (user, rest) = rest.split_once('@').unwrap();
        let (host, parent) = rest.rsplit_once(':').unwrap();
        assert_eq!(program, "offshoot");
        assert!(!user.is_empty() && !host.is_empty(), "{name}");
        assert!(!name.contains(['/', '\\']), "{name}");
        assert_eq!(parent, std::process::id().to_string());
    });
}

#[test]
fn s083_a_child_binary_that_is_there_is_used() {
    let directory = tempfile::tempdir().unwrap();
    with_router(async |router| {
        let first = router.local().await.unwrap();
        let binary = directory.path().join("child");
        std::fs::copy(format!("/proc/{}/exe", pid_of(&first)), &binary).unwrap();
        let path = binary.to_str().unwrap();
        let second = router.local().child_path(path).await.unwrap();
        assert_eq!(second.call::<guest::add>((1, 2)).await.unwrap(), 3);
        let exe = std::fs::read_link(format!("/proc/{}/exe", pid_of(&second))).unwrap();
        assert_eq!(exe, binary);
    });
}

#[test]
fn s085_one_context_alone_writes_a_profile() {
    with_router(async |router| {
        let context = router.local().profiling(true).await.unwrap();
        context.call::<guest::add>((1, 2)).await.unwrap();
        let pid = pid_of(&context);
        context.shutdown_wait().await;
        assert_all_end(&[pid], Duration::from_secs(5));
        let file = std::env::temp_dir().join(format!("offshoot.stats.{pid}.main.log"));
        let profile = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        assert!(profile.contains("e2e-plugin::add"), "{profile}");
    });
}

#[test]
fn s180_a_busy_context_routes_and_runs_one_call_after_the_other() {
    with_router(async |router| {
        let parent = router.local().await.unwrap();
        let child = router.local().via(&parent).await.unwrap();
        child.call::<guest::add>((1, 2)).await.unwrap();
        let busy = parent.call_async::<guest::busy>((400,)).await.unwrap();
        let behind = parent.call_async::<guest::add>((1, 2)).await.unwrap();
        for _ in 0..20 {
            assert_eq!(child.call::<guest::add>((3, 4)).await.unwrap(), 7);
        }
        assert!(
            busy.try_get().is_none(),
            "the calls went through it meanwhile"
        );
        assert!(behind.try_get().is_none(), "it runs one at a time");
        busy.get().await.unwrap();
        assert_eq!(behind.get().await.unwrap(), 3);
    });
}

#[test]
fn s183_a_context_has_nothing_to_read() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let input = std::fs::read_link(format!("/proc/{}/fd/0", pid_of(&context))).unwrap();
        assert_eq!(input.to_str(), Some("/dev/null"));
    });
}

#[test]
fn b049_a_call_that_hangs_keeps_no_context_alive() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let hung = context.call_async::<guest::busy>((600_000,)).await.unwrap();
        context.call_async::<guest::add>((1, 2)).await.unwrap();
        let pid = pid_of(&context);
        context.shutdown_wait().await;
        assert_all_end(&[pid], Duration::from_secs(5));
        assert!(hung.get().await.is_err());
    });
}

#[test]
fn b046_how_a_child_ended_is_told_in_words() {
    with_router(async |router| {
        let context = router.local().await.unwrap();
        let lost = context.lost();
        e2e::kill(pid_of(&context));
        let reason = lost.await;
        assert!(
            reason.contains("exited due to signal 9 (SIGKILL"),
            "{reason}"
        );
    });
}

#[test]
fn b054_the_environment_asks_for_a_debug_log() {
    let directory = tempfile::tempdir().unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_with-router"))
        .arg("1")
        .env("OFFSHOOT_DEBUG", "1")
        .env("TMPDIR", directory.path())
        .output()
        .unwrap();
    assert!(program.status.success(), "{program:?}");
    let logs = std::fs::read_dir(directory.path()).unwrap();
    let logs: Vec<_> = logs.map(|log| log.unwrap().file_name()).collect();
    assert_eq!(logs.len(), 2, "of the program and of its context: {logs:?}");
}

/// Keeps what is logged, a line for each record.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Kept {
    async fn wait_for(&self, line: &str) {
        for _ in 0..500 {
            if self.0.lock().unwrap().iter().any(|kept| kept == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("`{line}` is not in {:#?}", self.0.lock().unwrap());
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "offshoot::context"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

#[test]
fn s181_s182_b055_records_keep_level_context_and_logger() {
    let kept = Kept::default();
    let _default = tracing::subscriber::set_default(kept.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let router = Router::new().unwrap();
        router.add_plugin(plugin());
        let parent = router.local().name("upper").await.unwrap();
        let child = router.local().via(&parent).name("lower").await.unwrap();
        for context in [&parent, &child] {
            let name = context.name().to_owned();
            context.call::<guest::talk>(("hi".into(),)).await.unwrap();
            let records = [
                ("INFO", "e2e-plugin::stdout", "out: hi"),
                ("INFO", "e2e-plugin::stderr", "err: hi"),
                ("WARN", "e2e_plugin", "log: hi"),
            ];
            for (level, logger, text) in records {
                let line = format!("{level} message={text} context={name} logger={logger}");
                kept.wait_for(&line).await;
            }
        }
        router.shutdown().await;
    });
}
