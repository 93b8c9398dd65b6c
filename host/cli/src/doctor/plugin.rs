//! The smallest plugin that there can be, made by hand: `answer() -> u8`.

use offshoot_abi::ABI_VERSION;
use offshoot_abi::record::TAG_FUNCTION;

use offshoot::{Plugin, PluginError};

pub(super) const FUNCTION: &str = "answer";

/// What it answers, in postcard.
pub(super) const ANSWER: [u8; 1] = [42];

/// Where its envelope and the room for arguments are in its memory.
const ENVELOPE_AT: u8 = 16;
const ARGUMENTS_AT: u8 = 32;

const I32: u8 = 0x7f;
const I64: u8 = 0x7e;

pub(super) fn plugin() -> Result<Plugin, PluginError> {
    Plugin::from_bytes("the doctor's plugin", module())
}

/// The module, as docs/ABI.md wants it. All its lengths are below 128, and so one byte each.
fn module() -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, items: &[&[u8]]| {
        let body = items.concat();
        wasm.extend([id, length(&body)]);
        wasm.extend(body);
    };
    // Types: (i32) -> i32, (i32) -> i64.
    section(1, &[&[2], &[0x60, 1, I32, 1, I32], &[0x60, 1, I32, 1, I64]]);
    section(3, &[&[2, 0, 1]]);
    // A memory of one page.
    section(5, &[&[1, 0, 1]]);
    let call = format!("offshoot.call.{FUNCTION}");
    section(
        7,
        &[
            &[3],
            &text("memory"),
            &[2, 0],
            &text("offshoot.arguments"),
            &[0, 0],
            &text(&call),
            &[0, 1],
        ],
    );
    let envelope = [&[0][..], &ANSWER].concat();
    let packed = i64::from(ENVELOPE_AT) << 32 | i64::from(length(&envelope));
    let constant = leb128(packed);
    let code = [&[0, 0x42][..], &constant, &[0x0b]].concat();
    section(
        10,
        &[
            &[2],
            // No locals; i32.const; end.
            &[4, 0, 0x41, ARGUMENTS_AT, 0x0b],
            &[length(&code)],
            &code,
        ],
    );
    section(
        11,
        &[
            &[1, 0, 0x41, ENVELOPE_AT, 0x0b, length(&envelope)],
            &envelope,
        ],
    );
    let record = [
        &[TAG_FUNCTION, ABI_VERSION as u8][..],
        &text("0"),
        &text("doctor"),
        &text("1"),
        &text(FUNCTION),
        &text(""),
        // No flags, no arguments, a u8, no error type.
        &[0, 0, 7, 0],
    ]
    .concat();
    let record_len = u32::from(length(&record)).to_le_bytes();
    section(0, &[&text("offshoot.v1"), &record_len, &record]);
    wasm
}

fn text(text: &str) -> Vec<u8> {
    [&[length(text.as_bytes())], text.as_bytes()].concat()
}

fn length(bytes: &[u8]) -> u8 {
    let length = u8::try_from(bytes.len()).ok().filter(|&it| it < 128);
    length.expect("every part of this module is short")
}

/// A number as constants of code are written.
fn leb128(mut number: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        let is_last = (number == 0 && byte & 0x40 == 0) || (number == -1 && byte & 0x40 != 0);
        bytes.push(if is_last { byte } else { byte | 0x80 });
        if is_last {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_plugin_with_one_function() {
        let plugin = plugin().unwrap();
        let functions: Vec<String> = plugin
            .manifest()
            .functions
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(functions, ["fn answer() -> u8"]);
        assert_eq!(plugin.manifest().plugin, "doctor");
    }

    #[test]
    fn numbers_are_signed() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(63), [63]);
        assert_eq!(leb128(64), [0xc0, 0]);
        assert_eq!(leb128(-1), [0x7f]);
        assert_eq!(leb128(-65), [0xbf, 0x7f]);
    }
}
