//! How much memory a child keeps between large messages, and that it gives it back at rest.
//!
//! Left to itself, glibc gets the memory of a large message from the system, or returns the top of
//! the heap there as soon as the message has left it. Each page of the next one is a fault then:
//! more than all else that the message costs (mallopt(3), `M_MMAP_MAX` and `M_TRIM_THRESHOLD`).

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a message that is large: those that glibc would get from the system, and give back, each
/// time.
pub(crate) const LARGE: usize = 128 * 1024;

/// Bytes that may be free at the top of the heap: the largest message that there can be, unless the
/// controller allows larger ones.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 128 << 20;

static HOLDS: AtomicBool = AtomicBool::new(false);

/// Notes that large messages pass through this context: freed memory is kept from now on.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    if crate::identity::is_child() {
        ONCE.call_once(set);
        HOLDS.store(true, Ordering::Relaxed);
    }
}

/// Whether there may be something to give back.
pub(crate) fn holds() -> bool {
    HOLDS.load(Ordering::Relaxed)
}

/// Gives what is free back to the system.
pub(crate) fn give_back() {
    if HOLDS.swap(false, Ordering::Relaxed) {
        trim();
    }
}

fn set() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes numbers of the allocator, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only touches memory that is free, under the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}
