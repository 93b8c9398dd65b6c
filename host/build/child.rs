//! How programs are built that are sent to machines: for the build script, and for the task runner,
//! which builds children for other kinds of machines.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What matters about it.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// How soon it is there.
    Quick,
    /// How small it is.
    Small,
}

impl Kind {
    fn profile(self) -> &'static str {
        match self {
            Self::Quick => "child-dev",
            Self::Small => "child",
        }
    }
}

/// Has `cargo` build a program. Within the build that asks for it, the child would get the
/// controller's features, and with them a compiler.
pub(crate) fn build(
    mut cargo: Command,
    package: &Path,
    program: &str,
    target: &str,
    kind: Kind,
    directory: &Path,
) -> Command {
    let profile = kind.profile();
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let inherited =
            name.starts_with("CARGO_") && name != "CARGO_HOME" && !name.starts_with("CARGO_NET_")
                || name.starts_with("RUSTC_W")
                || matches!(
                    name.as_str(),
                    "RUSTFLAGS" | "OUT_DIR" | "TARGET" | "PROFILE" | "OPT_LEVEL"
                );
        if inherited {
            cargo.env_remove(name);
        }
    }
    cargo
        .current_dir(package)
        .args(["build", "--quiet", "--bin", program])
        .args(["--profile", profile, "--target", target, "--target-dir"])
        .arg(directory)
        .args(profile_settings(kind))
        // Static: it must run on whatever C library is there. Not relocatable: it starts faster.
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C relocation-model=static",
        );
    cargo
}

/// Where it is when it has been built.
pub(crate) fn built(program: &str, target: &str, kind: Kind, directory: &Path) -> PathBuf {
    let profile = kind.profile();
    directory.join(target).join(profile).join(program)
}

/// The profiles, spelled out: the program that embeds the child has its own workspace.
fn profile_settings(kind: Kind) -> Vec<String> {
    let profile = kind.profile();
    let settings: &[(&str, &str)] = match kind {
        Kind::Quick => &[
            ("inherits", "'release'"),
            ("lto", "'off'"),
            ("codegen-units", "16"),
            ("incremental", "true"),
            ("panic", "'abort'"),
            ("strip", "'debuginfo'"),
        ],
        Kind::Small => &[
            ("inherits", "'release'"),
            ("opt-level", "'s'"),
            ("lto", "'fat'"),
            ("codegen-units", "1"),
            ("panic", "'abort'"),
            ("strip", "true"),
            // What every call passes through.
            ("package.bytes.opt-level", "3"),
            ("package.crc32c.opt-level", "3"),
            ("package.hashbrown.opt-level", "3"),
            ("package.offshoot-proto.opt-level", "2"),
        ],
    };
    let config = settings.iter().flat_map(|(key, value)| {
        [
            "--config".to_owned(),
            format!("profile.{profile}.{key}={value}"),
        ]
    });
    config.collect()
}
