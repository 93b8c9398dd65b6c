//! Why there is no machine.

use std::io;

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BedError {
    /// Programs are missing that machines are made with.
    #[error("install {} first, as `cargo xtask test` does", .0.join(" "))]
    Missing(Vec<&'static str>),
    /// Only root may make machines.
    #[error("only root can make a machine for tests, and this is uid {0}")]
    NotRoot(u32),
    /// The system refuses, or a step of the setup failed.
    #[error("the machine could not be set up; are namespaces and overlay mounts allowed here? {0}")]
    Setup(String),
    /// It took too long.
    #[error("the machine was not ready within {0} s")]
    Timeout(u64),
    /// Something of this machine failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl BedError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
