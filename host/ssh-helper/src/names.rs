//! Looks hosts up in the files and by DNS, and in no other way.
//!
//! The C library would load a library of the machine for each other way that is configured there.
//! This program is static, and the machine's C library may be any: what it would load may not fit.

use std::ffi::{c_char, c_int};

/// Has it so from here on. Where there is no such C library there is nothing to do.
pub(crate) fn without_plugins() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(database: *const c_char, line: *const c_char) -> c_int;
        }
        // SAFETY: both are texts that end with a zero and live for ever, and no other thread runs
        // yet that could be looking a name up.
        unsafe {
            __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr());
        }
    }
}
