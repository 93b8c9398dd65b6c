//! How much memory a child keeps between large messages, and that it gives it back at rest.
//!
//! Left to itself, glibc returns the top of the heap to the system as soon as a large message has
//! left it, and each page of the next one is a fault again: more than all else that the message
//! costs (mallopt(3), `M_TRIM_THRESHOLD`).

/// Bytes that may be free at the top of the heap, and from which on memory comes from the system
/// and goes back there: the most that glibc takes.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 32 << 20;

/// Keeps freed memory from now on.
pub(crate) fn keep() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes numbers of the allocator, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Gives what is free back to the system.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only touches memory that is free, under the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}
