//! Talks to cargo.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde::Deserialize;

use crate::TARGET;
use crate::builder::Profile;
use crate::environment;
use crate::error::BuildError;
use crate::metadata::{Package, same_file, spawn_error};
use crate::toolchain::Toolchain;

/// Name of the profile that a build defines for itself, whatever the crate's workspace says.
const PROFILE: &str = "offshoot-plugin";

/// Of that profile for [`Profile::Release`]. A plugin's functions keep their names, which are
/// the only part of a backtrace that makes sense elsewhere.
const RELEASE: &[&str] = &[
    "inherits = \"release\"",
    "opt-level = 3",
    "lto = \"fat\"",
    "codegen-units = 1",
    "panic = \"abort\"",
    "debug = false",
    "strip = \"debuginfo\"",
];

/// Of that profile for [`Profile::Dev`].
const DEV: &[&str] = &["inherits = \"dev\"", "debug = \"line-tables-only\""];

/// What to compile and how.
pub(crate) struct Request<'a> {
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) manifest: &'a Path,
    pub(crate) package: &'a Package,
    pub(crate) target_dir: &'a Path,
    pub(crate) profile: Profile,
    pub(crate) features: &'a [String],
    pub(crate) shows_output: bool,
}

/// Compiles the package; returns the module's path.
pub(crate) fn build(request: &Request<'_>) -> Result<PathBuf, BuildError> {
    let mut command = command(request);
    let mut child = command
        .spawn()
        .map_err(|source| spawn_error(&command, source))?;
    let stderr = child.stderr.take();
    let shows_output = request.shows_output;
    let printed = thread::spawn(move || stderr.map(|from| collect(from, shows_output)));
    let mut module = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            module = find_module(&line, request.manifest).or(module);
        }
    }
    let status = child
        .wait()
        .map_err(|source| spawn_error(&command, source))?;
    let output = printed.join().ok().flatten().unwrap_or_default();
    match module {
        Some(module) if status.success() => Ok(module),
        _ => Err(BuildError::Compile {
            package: request.package.name.clone(),
            output,
        }),
    }
}

fn command(request: &Request<'_>) -> Command {
    let mut command = request.toolchain.cargo();
    environment::isolate(&mut command, &request.toolchain.flags);
    let directory = request.manifest.parent().unwrap_or(request.manifest);
    command
        .args(["rustc", "--lib", "--target", TARGET, "--profile", PROFILE])
        .arg("--message-format=json-render-diagnostics")
        .args(["--package", &request.package.id])
        .arg("--manifest-path")
        .arg(request.manifest)
        .arg("--target-dir")
        .arg(request.target_dir)
        .args(&request.toolchain.arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let settings = match request.profile {
        Profile::Release => RELEASE,
        Profile::Dev => DEV,
    };
    for setting in settings {
        let setting = format!("profile.{PROFILE}.{setting}");
        command.args(["--config", &setting]);
    }
    if !request.features.is_empty() {
        command.args(["--features", &request.features.join(",")]);
    }
    if request.shows_output && io::stderr().is_terminal() {
        command.arg("--color=always");
    }
    // Only this crate's functions become exports. What it uses of other plugins are handles.
    command.args(["--", "--cfg", environment::ROOT]);
    command
}

/// The module that a line of cargo's announces, if it is that of the package.
fn find_module(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" || !same_file(&message.manifest_path?, manifest) {
        return None;
    }
    let is_module = |file: &PathBuf| file.extension().is_some_and(|end| end == "wasm");
    message.filenames.into_iter().find(is_module)
}

/// Reads all that cargo prints for people, passing it on if asked.
fn collect(mut from: impl Read, passes_on: bool) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        all.extend_from_slice(&piece[..length]);
        if passes_on {
            // Whoever closed standard error does not want to see it.
            let _ = io::stderr().write_all(&piece[..length]);
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}
