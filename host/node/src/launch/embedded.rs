//! The programs that a controller carries: its child, one for another kind of machine, and an ssh
//! client.
//!
//! The library has them built and hands them over here; a child carries none, and sends itself.

use std::sync::OnceLock;

/// What a controller was built with. An empty slice stands for a program that it does not have.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The child for this kind of machine.
    pub child: &'static [u8],
    /// The same, gzipped.
    pub child_gzip: &'static [u8],
    /// The SHA-256 of `child`.
    pub child_sha256: &'static [u8; 32],
    /// The child for the other kind of machine, gzipped.
    pub other_gzip: &'static [u8],
    /// Its size in bytes when unpacked; 0 for none.
    pub other_size: u64,
    /// The SHA-256 of the unpacked bytes.
    pub other_sha256: &'static [u8; 32],
    /// The ssh client that is sent to machines without one, gzipped.
    pub ssh_gzip: &'static [u8],
}

static EMBEDDED: OnceLock<Embedded> = OnceLock::new();

/// Sets the programs of this process. The first call counts: a process has one set.
pub fn embed(programs: Embedded) {
    let _ = EMBEDDED.set(programs);
}

/// The programs of this process; `None` where nothing was embedded.
pub(super) fn embedded() -> Option<&'static Embedded> {
    EMBEDDED.get()
}
