//! Plugins with a wide grant of files that try to reach memory, environments and descriptors.

use std::os::unix::net::UnixListener;
use std::path::Path;

use e2e::with_router;
use offshoot::{Context, Grant, Router};
use rustix::fs::{CWD, FileType, Mode};
use rustix::process::geteuid;

use crate::guest::{Attempt, SUCCESS};

/// Files of a process, below its directory in procfs.
const OF_A_PROCESS: [&str; 12] = [
    "mem",
    "environ",
    "maps",
    "cmdline",
    "auxv",
    "exe",
    "fd/0",
    "cwd/proc/version",
    "root/proc/version",
    "map_files",
    "task/1/mem",
    "stat",
];

fn read(path: &str) -> Vec<Grant> {
    vec![Grant::Read(path.to_owned())]
}

fn write(path: &str) -> Vec<Grant> {
    vec![Grant::Write(path.to_owned())]
}

async fn local(router: &Router) -> Context {
    router.local().await.expect("a local child starts")
}

async fn check(context: &Context, attempt: Attempt<'_>, grants: &[Grant]) {
    let errno = attempt.run(context, grants).await;
    assert_ne!(errno, SUCCESS, "{attempt:?} with {grants:?}");
}

async fn works(context: &Context, attempt: Attempt<'_>, grants: &[Grant]) {
    let errno = attempt.run(context, grants).await;
    assert_eq!(errno, SUCCESS, "{attempt:?} with {grants:?}");
}

#[test]
fn no_grant_however_wide_reaches_into_a_process() {
    with_router(async |router| {
        let context = local(&router).await;
        let this = std::process::id().to_string();
        for process in ["self", "thread-self", "1", &this] {
            for file in OF_A_PROCESS {
                let path = format!("{process}/{file}");
                check(&context, Attempt::Read(&path), &read("/proc")).await;
                check(&context, Attempt::Write(&path), &write("/proc")).await;
                let path = format!("proc/{path}");
                check(&context, Attempt::Read(&path), &read("/")).await;
                check(&context, Attempt::Write(&path), &write("/")).await;
            }
        }
        check(&context, Attempt::Read("1/status"), &read("/proc")).await;
        for path in ["dev/fd/0", "dev/stdin", "dev/fd", "proc/kcore", "proc/kmsg"] {
            check(&context, Attempt::Read(path), &read("/")).await;
        }
    });
}

#[test]
fn a_link_of_a_process_is_not_even_read() {
    with_router(async |router| {
        let context = local(&router).await;
        for link in ["exe", "cwd", "root", "fd/0", "ns/mnt"] {
            let path = format!("self/{link}");
            check(&context, Attempt::ReadLink(&path), &read("/proc")).await;
        }
    });
}

#[test]
fn what_the_machine_says_of_itself_is_read_and_not_written() {
    with_router(async |router| {
        let context = local(&router).await;
        for path in [
            "uptime",
            "meminfo",
            "loadavg",
            "cpuinfo",
            "mounts",
            "self/mounts",
            "self/mountinfo",
            "self/status",
            "net/route",
            "sys/kernel/ostype",
        ] {
            works(&context, Attempt::Read(path), &read("/proc")).await;
            check(&context, Attempt::Write(path), &write("/proc")).await;
            check(&context, Attempt::Truncate(path), &write("/proc")).await;
        }
        works(&context, Attempt::Read("ostype"), &read("/proc/sys/kernel")).await;
        works(&context, Attempt::Read("route"), &read("/proc/net")).await;
        for path in ["sysrq-trigger", "sys/kernel/core_pattern", "self/comm"] {
            check(&context, Attempt::Write(path), &write("/proc")).await;
        }
        check(
            &context,
            Attempt::Write("kernel/uevent_helper"),
            &write("/sys"),
        )
        .await;
    });
}

#[test]
fn a_process_cannot_be_granted() {
    with_router(async |router| {
        let context = local(&router).await;
        for path in ["/proc/1", "/proc/1/fd", "/proc/1/task", "/proc/1/root"] {
            let plugin = e2e::plugin().grant(Grant::Read(path.to_owned()));
            let error = context
                .call_named::<u64>(&plugin, "add", &(1_u64, 2_u64))
                .await;
            let error = error.expect_err(path).to_string();
            assert!(error.contains(path), "{error}");
        }
    });
}

#[test]
fn a_file_with_another_end_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let node =
        |name: &str, kind, device| rustix::fs::mknodat(CWD, at(name), kind, Mode::RWXU, device);
    node("pipe", FileType::Fifo, 0).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    let mut names = vec!["pipe", "socket"];
    if geteuid().is_root() {
        let null = rustix::fs::makedev(1, 3);
        node("device", FileType::CharacterDevice, null).unwrap();
        names.push("device");
    }
    let path = directory.path().to_str().unwrap();
    with_router(async |router| {
        let context = local(&router).await;
        for name in names {
            check(&context, Attempt::Read(name), &write(path)).await;
            check(&context, Attempt::Write(name), &write(path)).await;
        }
        for path in ["null", "zero", "tty", "mem", "kmem", "vda", "sda"] {
            check(&context, Attempt::Read(path), &read("/dev")).await;
            check(&context, Attempt::Truncate(path), &write("/dev")).await;
        }
    });
}

/// Gives a file or directory another name.
fn bind(from: &str, to: &Path) -> bool {
    let status = std::process::Command::new("mount")
        .args(["--bind", from])
        .arg(to)
        .status();
    status.is_ok_and(|status| status.success())
}

/// Mounts that end with a test.
struct Mounts(Vec<std::path::PathBuf>);

impl Drop for Mounts {
    fn drop(&mut self) {
        for mount in self.0.drain(..).rev() {
            let _ = std::process::Command::new("umount")
                .arg("-l")
                .arg(mount)
                .status();
        }
    }
}

#[test]
fn another_name_for_procfs_is_procfs() {
    // Only root mounts on the machine itself.
    if !geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut mounts = Mounts(Vec::new());
    let at = |name: &str| directory.path().join(name);
    for name in ["bound", "process"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    std::fs::write(at("file"), "").unwrap();
    for (from, name) in [
        ("/proc", "bound"),
        ("/proc/1", "process"),
        ("/proc/1/environ", "file"),
    ] {
        assert!(bind(from, &at(name)), "{from}");
        mounts.0.push(at(name));
    }
    let path = directory.path().to_str().unwrap();
    with_router(async |router| {
        let context = local(&router).await;
        works(&context, Attempt::Read("bound/uptime"), &read(path)).await;
        for name in [
            "bound/self/mem",
            "bound/1/environ",
            "process/environ",
            "process/mem",
            "file",
        ] {
            check(&context, Attempt::Read(name), &read(path)).await;
            check(&context, Attempt::Write(name), &write(path)).await;
        }
        let inside = at("bound").join("1");
        let error = e2e::plugin().grant(Grant::Read(inside.to_str().unwrap().to_owned()));
        let error = context
            .call_named::<u64>(&error, "add", &(1_u64, 2_u64))
            .await;
        assert!(error.is_err());
    });
}

#[test]
fn a_namespace_of_users_and_a_procfs_of_its_own_open_nothing() {
    // The rest runs in there: a root that is none outside, and a procfs with other numbers.
    let status = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--pid", "--fork"])
        .args(["--mount-proc", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "files::no_grant_however_wide_reaches_into_a_process",
        ])
        .arg("files::what_the_machine_says_of_itself_is_read_and_not_written")
        .arg("files::another_name_for_procfs_is_procfs")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn another_process_of_the_user_cannot_look_into_a_child() {
    with_router(async |router| {
        let context = local(&router).await;
        let process = child_of_this_process();
        let owner = std::fs::metadata(format!("/proc/{process}/mem")).unwrap();
        // Root's, whoever the child is: what belongs to root is not opened by others.
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
        let status = std::process::Command::new("setpriv")
            .args(["--clear-groups", "--reuid", "65534", "--regid", "65534"])
            .args(["cat", &format!("/proc/{process}/environ")])
            .stderr(std::process::Stdio::null())
            .status();
        if geteuid().is_root() {
            assert!(!status.unwrap().success());
        }
        drop(context);
    });
}

fn child_of_this_process() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let children = tasks.flat_map(|task| {
        let children = task.unwrap().path().join("children");
        let children = std::fs::read_to_string(children).unwrap();
        let children = children.split_whitespace().map(str::to_owned);
        children.collect::<Vec<_>>()
    });
    children.last().expect("a local child is a process")
}

#[test]
fn an_instance_holds_no_more_files_than_its_bound_and_the_error_names_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let path = directory.path().to_str().unwrap();
    with_router(async |router| {
        let context = local(&router).await;
        let plugin = crate::guest::hoarder("file").grant(Grant::Read(path.to_owned()));
        for _ in 0..2 {
            let error = context.call_named::<u64>(&plugin, "f", &()).await;
            let error = error.expect_err("it wants too many").to_string();
            assert!(error.contains("open files"), "{error}");
            // The context has its own.
            let below = router.local().via(&context).await.unwrap();
            below.shutdown();
        }
    });
}

#[test]
fn a_file_that_is_no_module_is_refused_before_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    rustix::fs::mknodat(CWD, at("pipe.wasm"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let large = std::fs::File::create(at("large.wasm")).unwrap();
    // It takes no room, and nobody has the memory for it.
    large.set_len(20 << 30).unwrap();
    let zero = Path::new("/dev/zero").to_owned();
    for path in [at("pipe.wasm"), at("large.wasm"), zero] {
        let error = offshoot::Plugin::open(&path).unwrap_err().to_string();
        assert!(error.starts_with("cannot read plugin"), "{error}");
    }
}
