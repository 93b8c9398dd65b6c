//! The programs that the library carries, built by its build script.

use offshoot_node::launch::{self, Embedded};

/// Hands them to the node. Called before any context is made.
pub(crate) fn provide() {
    launch::embed(Embedded {
        child: include_bytes!(env!("OFFSHOOT_EMBEDDED_CHILD")),
        child_gzip: include_bytes!(env!("OFFSHOOT_EMBEDDED_CHILD_GZIP")),
        child_sha256: include_bytes!(env!("OFFSHOOT_EMBEDDED_CHILD_SHA256")),
        other_gzip: include_bytes!(env!("OFFSHOOT_EMBEDDED_OTHER_GZIP")),
        other_size: u64::from_le_bytes(*include_bytes!(env!("OFFSHOOT_EMBEDDED_OTHER_SIZE"))),
        other_sha256: include_bytes!(env!("OFFSHOOT_EMBEDDED_OTHER_SHA256")),
        ssh_gzip: include_bytes!(env!("OFFSHOOT_EMBEDDED_CLIENT_GZIP")),
    });
}
