//! Descriptors that a process was started with and knows nothing of. Whoever inherits one can read
//! and write what is open there, be it the file of a password.

use std::os::fd::BorrowedFd;

use libc::{c_int, c_uint};
use rustix::io::{FdFlags, fcntl_setfd};

/// Beyond the standard streams.
const FIRST: c_uint = 3;

/// Descriptors that are looked at one by one where the kernel has no call for all of them.
const MAX: c_int = 4096;

/// Has programs that this process turns into inherit the standard streams only. Makes system calls
/// and does nothing else, so that it may be called between fork and exec.
pub(crate) fn close_on_exec() {
    // CLOSE_RANGE_CLOEXEC is younger than the call.
    if close_range(libc::CLOSE_RANGE_CLOEXEC) {
        return;
    }
    (3..MAX).for_each(set_close_on_exec);
}

/// The same for one descriptor, which need not be open. The standard streams stay as they are.
pub fn set_close_on_exec(number: c_int) {
    if number >= 3 {
        // SAFETY: nothing happens if it is not open, and nothing but its flag changes.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}

/// Closes all but the standard streams. Only for a process that has opened nothing yet.
pub(crate) fn close_inherited() {
    if close_range(0) {
        return;
    }
    for number in 3..MAX {
        // SAFETY: nothing in this process has opened a descriptor, so that nothing relies on one.
        unsafe { libc::close(number) };
    }
}

fn close_range(flags: c_uint) -> bool {
    // SAFETY: with the flag nothing is closed; without it the caller says that nothing is in use.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, c_uint::MAX, flags) == 0 }
}
