//! Kinds of machines, and children for others than this one's.
//!
//! A child of this machine's kind is embedded, or found beside the program. One for another kind is
//! embedded if whoever built this program had it (`OFFSHOOT_EMBED_OTHER_CHILD` in `build.rs`), or
//! lies beside the program under a name that says what it is for. A context that is not the
//! controller has only itself to send.

use std::sync::Arc;

use offshoot_proto::bootstrap::Platform;

use super::error::ConnectError;
use super::payload::Payload;
use crate::identity;

/// Which processor a machine has, as Rust calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(&'static str);

impl Kind {
    /// This machine's.
    pub(super) const OWN: Self = Self(std::env::consts::ARCH);

    /// What `uname -sm` says on such machines.
    pub(super) fn unames(self) -> Vec<String> {
        let names: &[&str] = match self.0 {
            "aarch64" => &["aarch64", "arm64"],
            other => &[other],
        };
        names.iter().map(|name| format!("Linux {name}")).collect()
    }
}

/// Kinds that children are built for.
const KINDS: [Kind; 2] = [Kind("x86_64"), Kind("aarch64")];

/// What the child for machines that call themselves so is called where it lies beside another
/// program.
pub(super) fn file_name(uname: &str) -> Option<String> {
    let kind = KINDS
        .into_iter()
        .find(|kind| kind.unames().iter().any(|name| name == uname))?;
    Some(name_of(kind))
}

fn name_of(kind: Kind) -> String {
    format!("offshoot-child-{}-linux", kind.0)
}

/// Children for all kinds of machines that there is one for, this machine's first. With `gzip`,
/// their compressed forms are made ready, too.
pub(super) async fn children(gzip: bool) -> Result<Vec<Arc<Payload>>, ConnectError> {
    let own = Payload::own(gzip).await?;
    if identity::is_child() {
        // A child has only itself to send.
        return Ok(vec![own]);
    }
    Ok(std::iter::once(own).chain(others::all().await).collect())
}

/// The error for a machine that calls itself `uname`, where these were offered.
pub(super) fn unsupported(uname: String, offered: &[Platform]) -> ConnectError {
    let offered = offered.iter().flat_map(|platform| platform.uname.clone());
    ConnectError::UnsupportedPlatform {
        uname,
        offered: offered.collect(),
    }
}

mod others {
    //! Children for other kinds of machines than this one.

    use std::path::PathBuf;
    use std::sync::{Arc, OnceLock};

    use super::super::embedded::embedded;
    use super::super::payload::Payload;
    use super::{KINDS, Kind, name_of};

    /// The one kind that is not this machine's. A program for a third kind embeds nothing.
    fn other() -> Option<Kind> {
        let mut others = KINDS.into_iter().filter(|kind| *kind != Kind::OWN);
        match (others.next(), others.next()) {
            (Some(other), None) => Some(other),
            _ => None,
        }
    }

    /// Those that there are. They are looked for once.
    pub(super) async fn all() -> Vec<Arc<Payload>> {
        static FOUND: OnceLock<Vec<Arc<Payload>>> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return found.clone();
        }
        // Reading, hashing and packing some megabytes must not hold up the links.
        let looked = tokio::task::spawn_blocking(|| FOUND.get_or_init(find).clone());
        looked.await.unwrap_or_default()
    }

    fn find() -> Vec<Arc<Payload>> {
        let programs = embedded().filter(|programs| programs.other_size > 0);
        if let (Some(kind), Some(other)) = (other(), programs) {
            let (size, hash) = (other.other_size, *other.other_sha256);
            return vec![Arc::new(Payload::packed(
                kind,
                size,
                hash,
                other.other_gzip,
            ))];
        }
        let program = std::env::current_exe().unwrap_or_default();
        let others = KINDS.into_iter().filter(|kind| *kind != Kind::OWN);
        let found = others.filter_map(|kind| {
            let path = program.with_file_name(name_of(kind));
            path.is_file().then(|| read(kind, path))?
        });
        found.collect()
    }

    fn read(kind: Kind, path: PathBuf) -> Option<Arc<Payload>> {
        let name = path.display().to_string();
        let payload = Payload::from_file(kind, path).and_then(|payload| {
            payload.compress()?;
            Ok(Arc::new(payload))
        });
        payload
            .inspect_err(|error| tracing::warn!(%error, "cannot use {name}"))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f37_a_machine_that_calls_itself_arm64_gets_the_child_for_aarch64() {
        for uname in ["Linux arm64", "Linux aarch64"] {
            let name = file_name(uname);
            assert_eq!(name.as_deref(), Some("offshoot-child-aarch64-linux"));
        }
        assert_eq!(file_name("Linux armv7l"), None);
        assert_eq!(file_name("Darwin arm64"), None);
    }

    #[test]
    fn f37_an_unsupported_platform_is_told_what_there_is_and_what_to_do() {
        let offered = || vec!["Linux x86_64".to_owned()];
        let text = |uname: &str| {
            let uname = uname.to_owned();
            let offered = offered();
            ConnectError::UnsupportedPlatform { uname, offered }.to_string()
        };
        assert_eq!(
            text("Linux aarch64"),
            "unsupported platform: there is no child for `Linux aarch64`, only for Linux x86_64; put \
             `offshoot-child-aarch64-linux` beside the controller's program, or give `child_path` \
             one that runs there"
        );
        assert_eq!(
            text("Linux armv7l"),
            "unsupported platform: there is no child for `Linux armv7l`, only for Linux x86_64; give \
             `child_path` one that runs there"
        );
    }
}
