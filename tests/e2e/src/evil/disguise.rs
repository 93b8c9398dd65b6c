//! How a test puts the evil child in a genuine one's place.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempPath;

/// Environment variable that says what the evil child does.
pub(super) const ATTACK: &str = "EVIL_ATTACK";
/// Environment variable with the path of a genuine child.
pub(super) const GENUINE: &str = "EVIL_GENUINE";
/// Environment variable with the path of the file for what the evil child learns.
pub(super) const REPORT: &str = "EVIL_REPORT";

/// A script that is started like a child, and is an evil one.
#[derive(Debug)]
pub struct Disguise {
    script: TempPath,
    report: TempPath,
}

impl Disguise {
    /// Disguises `program`, which runs [`main`](super::main), for one attack.
    ///
    /// # Panics
    ///
    /// Panics if no file can be made, or no genuine child is known yet: start one first.
    pub fn new(program: &str, attack: &str) -> Self {
        let report = tempfile::NamedTempFile::new().expect("a temporary file");
        let report = report.into_temp_path();
        let genuine = embedded_child();
        let text = format!(
            "#!/bin/sh\n{ATTACK}='{attack}' {GENUINE}='{genuine}' {REPORT}='{}' \
             exec '{program}' \"$@\"\n",
            report.display()
        );
        Self {
            script: script(&text),
            report,
        }
    }

    /// The script's path.
    ///
    /// # Panics
    ///
    /// Panics if temporary files have names that are not text.
    pub fn path(&self) -> &str {
        self.script.to_str().expect("a path that is text")
    }

    /// What the evil child has learnt so far.
    ///
    /// # Panics
    ///
    /// Panics if the report is gone.
    pub fn report(&self) -> String {
        std::fs::read_to_string(&self.report).expect("the report is there")
    }
}

/// The file of the child that this process carries, as other processes can open it.
///
/// # Panics
///
/// Panics if no child was started yet.
pub fn embedded_child() -> String {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let is_child = |descriptor: &std::path::PathBuf| {
        let target = std::fs::read_link(descriptor).unwrap_or_default();
        target.to_string_lossy().contains("memfd:offshoot-child")
    };
    let mut paths = descriptors.flatten().map(|entry| entry.path());
    let path = paths.find(is_child).expect("a child was started before");
    let descriptor = path
        .file_name()
        .expect("a number")
        .to_string_lossy()
        .into_owned();
    format!("/proc/{}/fd/{descriptor}", std::process::id())
}

/// An executable script.
fn script(text: &str) -> TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("room for a script");
    let executable = PermissionsExt::from_mode(0o755);
    file.as_file()
        .set_permissions(executable)
        .expect("our own file");
    file.into_temp_path()
}
