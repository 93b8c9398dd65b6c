//! The two buffers through which arguments come in and results go out.
//!
//! Both are kept between calls, because most calls are small and allocating would cost more than
//! they do. What a large call needed is given back.

use std::cell::RefCell;

use offshoot_abi::exports;
use postcard::ser_flavors::Flavor;

/// Bytes of a call's arguments or result at most.
///
/// A larger value could not be in memory twice, decoded and not, within the 256 MiB that a small
/// machine may allow; `Sender` is for streams of more.
pub(crate) const LEN_MAX: usize = 64 << 20;

/// A buffer that grew beyond this is not kept. Up to here the host relies on it.
const KEPT_MAX: usize = exports::ARGUMENTS_KEPT_MAX;

thread_local! {
    static ARGUMENTS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static RESULT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Makes room for `len` bytes of arguments; `None` when that is too much.
///
/// Called by the export that hosts ask, so the address stays valid until the next time.
#[cfg_attr(
    not(any(target_arch = "wasm32", test)),
    expect(dead_code, reason = "natively nobody sends arguments")
)]
pub(crate) fn reserve_arguments(len: usize) -> Option<*mut u8> {
    if len > LEN_MAX {
        return None;
    }
    ARGUMENTS.with_borrow_mut(|buffer| {
        buffer.clear();
        buffer.try_reserve_exact(len).ok()?;
        Some(buffer.as_mut_ptr())
    })
}

/// Lends the `len` bytes of arguments that the host has written to `read`; `None` when there was no
/// room for so many.
pub(crate) fn with_arguments<R>(len: usize, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let mut buffer = ARGUMENTS.take();
    let result = (len <= buffer.capacity()).then(|| {
        // SAFETY: there is room for them. The host was given the address and has written them
        // there, and to zero them before would cost a large call as much again.
        unsafe { buffer.set_len(len) };
        read(&buffer)
    });
    if buffer.capacity() <= KEPT_MAX {
        ARGUMENTS.set(buffer);
    }
    result
}

/// Fills the result's buffer by `write` and returns its address and length.
pub(crate) fn with_result(write: impl FnOnce(&mut Vec<u8>)) -> (*const u8, usize) {
    let mut buffer = RESULT.take();
    // The host has read what a large call left here before it entered again.
    match buffer.capacity() > KEPT_MAX {
        true => buffer = Vec::new(),
        false => buffer.clear(),
    }
    write(&mut buffer);
    RESULT.set(buffer);
    RESULT.with_borrow(|buffer| (buffer.as_ptr(), buffer.len()))
}

/// What the host does, for tests: asks for room and writes there.
#[cfg(test)]
pub(crate) fn write_arguments(bytes: &[u8]) {
    let address = reserve_arguments(bytes.len()).expect("tests are small");
    // SAFETY: there is room for them.
    unsafe { address.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}

/// What the host reads, for tests: natively an address does not fit into a call's result.
#[cfg(test)]
pub(crate) fn result() -> Vec<u8> {
    RESULT.with_borrow(Vec::clone)
}

/// Lets postcard append to a buffer, up to [`LEN_MAX`].
pub(crate) struct Bounded<'a>(pub(crate) &'a mut Vec<u8>);

impl Flavor for Bounded<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > LEN_MAX - self.0.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_kept_unless_it_grew_large() {
        let first = reserve_arguments(100).unwrap();
        write_arguments(&[1; 100]);
        assert_eq!(with_arguments(100, <[u8]>::len), Some(100));
        assert_eq!(reserve_arguments(40).unwrap(), first);
        assert_eq!(with_arguments(101, <[u8]>::len), None);

        write_arguments(&[1; KEPT_MAX + 1]);
        with_arguments(1, |_| ());
        assert_eq!(with_arguments(1, |_| ()), None, "it was given back");
    }

    #[test]
    fn too_many_arguments_are_refused() {
        assert!(reserve_arguments(LEN_MAX + 1).is_none());
    }
}
