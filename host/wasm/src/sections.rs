//! Finds a custom section in a wasm module.
//!
//! Only for modules that the compiler is about to check in full; this walks just the frame.

/// Magic and version of a module, as opposed to a component.
const PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;

/// Contents of the custom section `name`; empty when there is none. `None` when the bytes are not
/// a module's.
pub(super) fn custom_section<'a>(wasm: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = wasm.strip_prefix(PREAMBLE)?;
    while let Some((&id, after)) = rest.split_first() {
        let (length, after) = leb128(after)?;
        let (content, next) = after.split_at_checked(length)?;
        rest = next;
        if id == CUSTOM {
            let (length, content) = leb128(content)?;
            let (found, content) = content.split_at_checked(length)?;
            if found == name.as_bytes() {
                return Some(content);
            }
        }
    }
    Some(&[])
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u32;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        if index == 4 && byte > 0x0f {
            return None;
        }
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value as usize, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_by_name() {
        let mut wasm = PREAMBLE.to_vec();
        wasm.extend_from_slice(b"\x00\x04\x01axy\x01\x00\x00\x03\x01bz");
        assert_eq!(custom_section(&wasm, "a"), Some(&b"xy"[..]));
        assert_eq!(custom_section(&wasm, "b"), Some(&b"z"[..]));
        assert_eq!(custom_section(&wasm, "c"), Some(&b""[..]));
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert_eq!(
            custom_section(b"\0asm\x0d\0\x01\0", "a"),
            None,
            "a component"
        );
        assert_eq!(custom_section(b"\x7fELF", "a"), None);
        assert_eq!(
            custom_section(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff", "a"),
            None
        );
        assert_eq!(custom_section(b"\0asm\x01\0\0\0\x00\x7f", "a"), None);
    }
}
