//! The real `offshoot`, as a user runs it: a plugin made by `plugin new`, built by `plugin build`,
//! and called in real children, with good and bad input.
//!
//! What it prints is compared to the letter: it is the part of the interface that people read.

mod calls;
mod doctor;
mod documents;
mod endings;
mod fleets;
mod hosts;
mod machines;
mod plugins;
mod refusals;
mod sample;
mod world;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A terminal: where what it shows is read and what is typed is written, and where a program uses it.
fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("it is a path"))
        .expect("it can be opened");
    (File::from(master), terminal)
}

/// The command with an environment that does not depend on who runs the tests.
fn offshoot(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
    command
        .args(arguments)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_remove("OFFSHOOT_CHILD")
        .env_remove("OFFSHOOT_LOG")
        .env_remove("OFFSHOOT_PLUGIN_PATH")
        .env_remove("OFFSHOOT_TARGET_DIR")
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null());
    command
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// Runs the command to its end.
fn run(arguments: &[&str]) -> Ended {
    let output = offshoot(arguments).output().expect("the command starts");
    output.into()
}

/// Runs `offshoot call` with the sample plugin.
fn call(arguments: &[&str]) -> Ended {
    let file = path(sample::wasm());
    run(&[&["call", "--plugin", file], arguments].concat())
}

fn path(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// The child that the command carries, as a file.
fn child_program() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let copy = || {
        let router = offshoot::Router::new().expect("there is a thread for it");
        let context = offshoot::block_on(router.local().into_future());
        let context = context.expect("no runtime here").expect("a child starts");
        let (_, pid) = context
            .name()
            .rsplit_once('.')
            .expect("its name ends in its process");
        let file = scratch(&format!("child-{}", std::process::id())).join("offshoot-child");
        std::fs::copy(format!("/proc/{pid}/exe"), &file).expect("it can be read");
        router.shutdown_blocking().expect("no runtime here");
        file
    };
    FILE.get_or_init(copy).clone()
}

/// A directory of its own for a test, empty.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("it can be made");
    directory
}

/// Writes a program that the shell runs.
fn script(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(file, executable).expect("it is ours");
}
