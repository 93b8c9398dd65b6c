//! What the host offers, made safe.

use offshoot_abi::HostInfo;
use offshoot_abi::router::{Request, RequestError, Response};

/// Bytes of a backtrace at most; the host leaves out what does not fit.
const BACKTRACE_MAX: usize = 16 << 10;
/// Bytes of a context's description at most: a name and some tens of ids.
const HOST_INFO_MAX: usize = 64 << 10;

/// The functions on the stack, innermost first, without those of this SDK.
pub(crate) fn backtrace() -> Vec<String> {
    let names = filled(BACKTRACE_MAX, |buffer, capacity| {
        // SAFETY: the host writes at most `capacity` bytes at `buffer`, which `filled` owns for
        // the length of this call, and keeps neither.
        unsafe { raw::backtrace(buffer, capacity) }
    });
    let names = String::from_utf8_lossy(&names);
    names
        .lines()
        .skip_while(|name| is_plumbing(name))
        .map(str::to_owned)
        .collect()
}

/// Whether a function only stands between the author's `?` and this module, such as
/// `<offshoot_guest::error::Error as core::convert::From<E>>::from`.
fn is_plumbing(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    ["offshoot_guest::", "core::", "T as core::"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Who and where the running context is.
pub(crate) fn host_info() -> HostInfo {
    let mut capacity = 512;
    loop {
        let bytes = filled_or_wanted(capacity, |buffer, capacity| {
            // SAFETY: as in `backtrace`.
            unsafe { raw::host_info(buffer, capacity) }
        });
        match bytes {
            Ok(bytes) => return postcard::from_bytes(&bytes).expect("the host speaks our ABI"),
            Err(wanted) if wanted <= HOST_INFO_MAX => capacity = wanted,
            Err(wanted) => panic!("the host's description has {wanted} bytes"),
        }
    }
}

/// Asks the router, and waits for its answer.
pub(crate) fn exchange(request: &Request) -> Result<Response, RequestError> {
    let request = postcard::to_allocvec(request)
        .map_err(|error| RequestError::Usage(format!("the request cannot be encoded: {error}")))?;
    // SAFETY: the host reads just the request's bytes, which outlive the call, and keeps neither.
    let length = unsafe { raw::exchange(request.as_ptr(), request.len()) };
    // What was asked is not needed while the answer is read, and both may be large.
    drop(request);
    match postcard::from_bytes(&take(length)) {
        Ok(answer) => answer,
        Err(error) => Err(misread(error)),
    }
}

/// Sends a message, and waits until its receiver has room for it.
pub(crate) fn send(context: u32, handle: u64, data: &[u8]) -> Result<(), RequestError> {
    // SAFETY: as in `exchange`.
    let length = unsafe { raw::send(context, handle, data.as_ptr(), data.len()) };
    match length {
        0 => Ok(()),
        length => Err(postcard::from_bytes(&take(length)).unwrap_or_else(misread)),
    }
}

fn take(length: usize) -> Vec<u8> {
    filled(length, |buffer, capacity| {
        // SAFETY: as in `backtrace`.
        unsafe { raw::take(buffer, capacity) }
    })
}

fn misread(error: postcard::Error) -> RequestError {
    RequestError::Usage(format!(
        "the host's answer is not understood, build both with the same version of Offshoot: {error}"
    ))
}

/// The most verbose level that anyone listens to; 0 is none.
#[cfg_attr(
    not(any(feature = "log", feature = "tracing")),
    expect(dead_code, reason = "only the logging backends ask")
)]
pub(crate) fn log_level() -> u32 {
    raw::log_level()
}

/// Hands one log record to the host.
#[cfg_attr(
    not(any(feature = "log", feature = "tracing")),
    expect(dead_code, reason = "only the logging backends ask")
)]
pub(crate) fn log(level: u32, target: &str, text: &str) {
    // SAFETY: both texts outlive the call, and the host reads just their bytes and keeps neither.
    unsafe {
        raw::log(
            level,
            target.as_ptr(),
            target.len(),
            text.as_ptr(),
            text.len(),
        )
    }
}

/// Tells the host why the trap that follows happens.
pub(crate) fn panic(text: &str, place: &str) {
    // SAFETY: as in `log`.
    unsafe { raw::panic(text.as_ptr(), text.len(), place.as_ptr(), place.len()) }
}

fn filled(capacity: usize, fill: impl FnOnce(*mut u8, usize) -> usize) -> Vec<u8> {
    filled_or_wanted(capacity, fill).unwrap_or_default()
}

/// What `fill` wrote, or the capacity that it wants.
fn filled_or_wanted(
    capacity: usize,
    fill: impl FnOnce(*mut u8, usize) -> usize,
) -> Result<Vec<u8>, usize> {
    let mut buffer = vec![0; capacity];
    let written = fill(buffer.as_mut_ptr(), capacity);
    if written > capacity {
        return Err(written);
    }
    buffer.truncate(written);
    Ok(buffer)
}

mod raw {
    #[link(wasm_import_module = "offshoot/v1")]
    unsafe extern "C" {
        pub(super) safe fn log_level() -> u32;
        pub(super) fn log(
            level: u32,
            target: *const u8,
            target_len: usize,
            text: *const u8,
            text_len: usize,
        );
        pub(super) fn panic(text: *const u8, text_len: usize, place: *const u8, place_len: usize);
        pub(super) fn backtrace(buffer: *mut u8, capacity: usize) -> usize;
        pub(super) fn host_info(buffer: *mut u8, capacity: usize) -> usize;
        pub(super) fn exchange(request: *const u8, len: usize) -> usize;
        pub(super) fn take(buffer: *mut u8, capacity: usize) -> usize;
        pub(super) fn send(context: u32, handle: u64, data: *const u8, len: usize) -> usize;
    }
}
