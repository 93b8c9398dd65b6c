//! What the end-to-end tests share: a tree that must leave nothing behind.

pub mod dropped;
pub mod evil;
mod lease;

pub use lease::Lease;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use offshoot::{Plugin, Router};
use tokio::runtime::Runtime;

/// How long leftovers may take to go away after a tree was shut down.
const SETTLE: Duration = Duration::from_secs(2);

/// The module of the test plugin, compiled once for each test program.
pub fn plugin_file() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| build("plugin")).clone()
}

/// The plugin `fanout`, without any grant.
///
/// # Panics
///
/// Panics if it does not compile.
pub fn fanout() -> Plugin {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| build("../../plugins/fanout"));
    Plugin::open(file).expect("the example plugin is usable")
}

/// Compiles the plugin whose source is at a path from here.
fn build(source: &str) -> PathBuf {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(source);
    let artifact = offshoot_build::Build::new(source).build();
    artifact.unwrap_or_else(|error| panic!("{error}")).wasm
}

/// The test plugin.
///
/// # Panics
///
/// Panics if it does not compile.
pub fn plugin() -> Plugin {
    Plugin::open(plugin_file()).expect("the test plugin is usable")
}

/// Which runtime a test wants.
#[derive(Clone, Copy, Debug)]
pub enum Flavour {
    /// One thread.
    CurrentThread,
    /// Several threads.
    MultiThread,
}

/// Runs a test with a router that knows the test plugin; afterwards no process, no descriptor and
/// no thread may be left.
///
/// # Panics
///
/// Panics if something is left.
pub fn with_router<T>(test: impl AsyncFnOnce(Router) -> T) -> T {
    with_router_on(Flavour::CurrentThread, test)
}

/// The same on a runtime of the test's choice.
///
/// # Panics
///
/// Panics if something is left.
pub fn with_router_on<T>(flavour: Flavour, test: impl AsyncFnOnce(Router) -> T) -> T {
    let _alone = alone();
    let plugin = plugin();
    warm_up(&plugin);
    let before = Leftovers::now();
    let runtime = runtime(flavour);
    let result = runtime.block_on(async {
        let router = Router::new().expect("inside a runtime");
        router.add_plugin(plugin);
        let result = test(router.clone()).await;
        router.shutdown().await;
        result
    });
    drop(runtime);
    before.assert_nothing_new();
    result
}

/// Runs a test twice, on either kind of runtime, with a router that makes no contexts. Afterwards no
/// handle, no byte of a message, no descriptor and no thread may be left.
///
/// # Panics
///
/// Panics if something is left.
pub fn with_lone_router(test: impl AsyncFn(Router)) {
    let _alone = alone();
    let before = Leftovers::now();
    for flavour in [Flavour::CurrentThread, Flavour::MultiThread] {
        runtime(flavour).block_on(async {
            let router = Router::new().expect("inside a runtime");
            test(router.clone()).await;
            assert_nothing_held(&router).await;
            router.shutdown().await;
        });
        before.assert_nothing_new();
    }
}

/// Waits until a router listens on nothing and holds nothing.
///
/// # Panics
///
/// Panics if it does not come to that.
pub async fn assert_nothing_held(router: &Router) {
    let deadline = Instant::now() + SETTLE;
    loop {
        let stats = router.stats();
        if stats.handles == 0 && stats.held_bytes == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "still held: {stats:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until something is so.
///
/// # Panics
///
/// Panics if it does not become so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + 5 * SETTLE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Makes what a process makes once and keeps, such as the file of the embedded child.
fn warm_up(plugin: &Plugin) {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        runtime(Flavour::CurrentThread).block_on(async {
            let router = Router::new().expect("inside a runtime");
            router.add_plugin(plugin.clone());
            let context = router.local().await.expect("a local child starts");
            let sum = context.call::<e2e_plugin::add>((1, 2)).await;
            assert_eq!(sum.expect("a call works"), 3);
            router.shutdown().await;
        });
    });
}

fn runtime(flavour: Flavour) -> Runtime {
    let mut builder = match flavour {
        Flavour::CurrentThread => tokio::runtime::Builder::new_current_thread(),
        Flavour::MultiThread => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build().expect("a runtime")
}

/// Tests of one program run one at a time: each looks at the whole process for leftovers.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a test could leave behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Leftovers {
    children: BTreeSet<i32>,
    descriptors: BTreeSet<i32>,
}

impl Leftovers {
    /// What there is now.
    ///
    /// # Panics
    ///
    /// Panics without `/proc`.
    pub fn now() -> Self {
        // The first runtime of a process may open what the process keeps, such as for signals.
        static RUNTIME: std::sync::Once = std::sync::Once::new();
        RUNTIME.call_once(|| drop(runtime(Flavour::CurrentThread)));
        Self {
            children: children(),
            descriptors: numbers_in("/proc/self/fd"),
        }
    }

    /// Waits for all that was not there before to go away.
    ///
    /// # Panics
    ///
    /// Panics if it does not.
    pub fn assert_nothing_new(&self) {
        let deadline = Instant::now() + SETTLE;
        loop {
            let now = Self::now();
            let children: Vec<_> = now.children.difference(&self.children).collect();
            let descriptors = now.descriptors.len().saturating_sub(self.descriptors.len());
            if children.is_empty() && descriptors == 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: processes {children:?}, {descriptors} descriptors"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Processes whose parent is this one, zombies included.
///
/// # Panics
///
/// Panics without `/proc`.
pub fn children() -> BTreeSet<i32> {
    let me = std::process::id().to_string();
    let parent_is_me = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let behind_name = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned());
        behind_name.is_some_and(|rest| rest.split_whitespace().nth(1) == Some(&me))
    };
    numbers_in("/proc")
        .into_iter()
        .filter(parent_is_me)
        .collect()
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Waits until none of the processes is alive.
///
/// # Panics
///
/// Panics if one still is after `patience`.
pub fn assert_all_end(pids: &[i32], patience: Duration) {
    let deadline = Instant::now() + patience;
    while pids.iter().any(|&pid| is_alive(pid)) {
        assert!(Instant::now() < deadline, "still alive: {pids:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The process id in a context's default name.
///
/// # Panics
///
/// Panics if the name has none.
pub fn pid_of(context: &offshoot::Context) -> i32 {
    let pid = context.name().rsplit('.').next().map(str::parse);
    pid.and_then(Result::ok)
        .expect("a default name ends in a process id")
}

/// Kills a process.
///
/// # Panics
///
/// Panics if there is none.
pub fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it exists");
}

fn numbers_in(directory: &str) -> BTreeSet<i32> {
    let entries = std::fs::read_dir(directory)
        .expect("/proc is mounted")
        .flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}
