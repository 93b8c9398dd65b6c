//! What the command finds by looking around: plugins that another user has put there.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A user who is neither root nor the one who runs the tests.
const NOBODY: u32 = 65_534;

/// A folder with a plugin for whoever calls one by name in it or in a directory below.
struct Lure {
    folder: TempDir,
}

impl Lure {
    fn new() -> Self {
        let lure = Self {
            folder: TempDir::new().unwrap(),
        };
        std::fs::set_permissions(&lure.folder, Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(lure.place()).unwrap();
        std::fs::create_dir_all(lure.folder.path().join("work/here")).unwrap();
        std::fs::copy(e2e::plugin_file(), lure.plugin()).unwrap();
        lure
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("target/offshoot/plugins")
    }

    fn plugin(&self) -> PathBuf {
        self.place().join("e2e_plugin.wasm")
    }

    /// The command, two directories below.
    fn call(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostile-offshoot"));
        command.current_dir(self.folder.path().join("work/here"));
        for variable in [
            "CARGO_TARGET_DIR",
            "OFFSHOOT_CHILD",
            "OFFSHOOT_PLUGIN_PATH",
            "OFFSHOOT_TARGET_DIR",
        ] {
            command.env_remove(variable);
        }
        command
            .arg("call")
            .args(options)
            .args(["local", "e2e-plugin::add", "20", "3", "--grant-wanted"])
            .output()
            .unwrap()
    }

    #[track_caller]
    fn is_refused(&self, what: &str) {
        let output = self.call(&[]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let plugin = self.plugin().display().to_string();
        assert!(told.contains(&plugin) && told.contains(what), "{told}");
        assert!(told.contains("--plugin"), "{told}");
    }
}

#[test]
fn a_plugin_that_others_may_write_is_refused_with_its_name() {
    let lure = Lure::new();
    let output = lure.call(&[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "local\t23\n");

    std::fs::set_permissions(lure.plugin(), Permissions::from_mode(0o666)).unwrap();
    lure.is_refused("can be written by others");
    std::fs::set_permissions(lure.plugin(), Permissions::from_mode(0o644)).unwrap();
    // Who may write the directory may put another file there.
    std::fs::set_permissions(lure.place(), Permissions::from_mode(0o777)).unwrap();
    lure.is_refused("can be written by others");

    // What the user names is the user's own word.
    let output = lure.call(&["--plugin", lure.plugin().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "local\t23\n");
}

#[test]
fn a_plugin_of_another_user_is_refused_with_its_name() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make a file of another user");
        return;
    }
    let lure = Lure::new();
    chown(lure.plugin(), Some(NOBODY), None).unwrap();
    lure.is_refused("belongs to the user with the id 65534");
    chown(lure.plugin(), Some(0), None).unwrap();
    chown(lure.place(), Some(NOBODY), None).unwrap();
    lure.is_refused("belongs to the user with the id 65534");
}
