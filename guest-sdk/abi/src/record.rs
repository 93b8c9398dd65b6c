//! Writes a manifest's records at compile time, for `#[link_section]` statics.
//!
//! A record is a little-endian `u32` length, a tag byte and a payload in postcard's encoding.
//! Records of one module simply follow each other in the section. Everything here is `const`:
//! called once with `N = 0` it only counts, called again with the right `N` it writes.

use crate::schema::{Field, Shape, Variant, VariantShape};

/// Tag of a [`FunctionRecord`].
pub const TAG_FUNCTION: u8 = 1;
/// Tag of a [`WantRecord`].
pub const TAG_WANT: u8 = 2;

/// Bit of [`FunctionRecord::flags`]: calls may run side by side, each on a fresh instance.
pub const FLAG_CONCURRENT: u8 = 1;
/// Bit of [`FunctionRecord::flags`]: the function returns a `Result`.
pub const FLAG_FALLIBLE: u8 = 2;
/// Bit of [`FunctionRecord::flags`]: the function takes a `&Host`.
pub const FLAG_TAKES_HOST: u8 = 4;
/// Bit of [`FunctionRecord::flags`]: the function takes a `&Router`.
pub const FLAG_TAKES_ROUTER: u8 = 8;

/// What a module says of one function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionRecord {
    /// The contract's version.
    pub abi: u32,
    /// Version of the SDK that built the module.
    pub sdk: &'static str,
    /// Name of the plugin.
    pub plugin: &'static str,
    /// Version of the plugin.
    pub version: &'static str,
    /// Name of the function.
    pub name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// `FLAG_*` bits.
    pub flags: u8,
    /// Names and shapes of the arguments that a caller passes.
    pub arguments: &'static [Field],
    /// Shape of the value, without the `Result` of a fallible function.
    pub result: Shape,
    /// The error type as written in the source, or nothing.
    pub error: &'static str,
}

/// A grant that the module says it needs.
#[derive(Clone, Copy, Debug)]
pub struct WantRecord {
    /// Text form of a [`Grant`](crate::Grant).
    pub grant: &'static str,
    /// What for.
    pub reason: &'static str,
}

/// Digest of a function's argument and result shapes: FNV-1a over their encoding.
///
/// It guards against accidents (a caller built from another version), not against malice.
pub const fn signature(arguments: &[Field], result: &Shape) -> u64 {
    let mut digest = Writer::<0>::new();
    let mut index = 0;
    while index < arguments.len() {
        digest.shape(&arguments[index].shape);
        index += 1;
    }
    digest.byte(SIGNATURE_SEPARATOR);
    digest.shape(result);
    digest.fnv
}

/// Stands between the arguments and the result in a [`signature`]; no shape starts with it.
pub(crate) const SIGNATURE_SEPARATOR: u8 = 0xff;

/// Length of a function's record.
pub const fn function_len(record: &FunctionRecord) -> usize {
    write_function::<0>(record).at
}

/// Bytes of a function's record; `N` must be its [`function_len`].
pub const fn function<const N: usize>(record: &FunctionRecord) -> [u8; N] {
    write_function::<N>(record).finish()
}

/// Length of a want's record.
pub const fn want_len(record: &WantRecord) -> usize {
    write_want::<0>(record).at
}

/// Bytes of a want's record; `N` must be its [`want_len`].
pub const fn want<const N: usize>(record: &WantRecord) -> [u8; N] {
    write_want::<N>(record).finish()
}

const fn write_function<const N: usize>(record: &FunctionRecord) -> Writer<N> {
    let mut out = Writer::<N>::new();
    out.record(TAG_FUNCTION);
    out.varint(record.abi as u128);
    out.str(record.sdk);
    out.str(record.plugin);
    out.str(record.version);
    out.str(record.name);
    out.str(record.docs);
    out.byte(record.flags);
    out.fields(record.arguments);
    out.shape(&record.result);
    out.str(record.error);
    out
}

const fn write_want<const N: usize>(record: &WantRecord) -> Writer<N> {
    let mut out = Writer::<N>::new();
    out.record(TAG_WANT);
    out.str(record.grant);
    out.str(record.reason);
    out
}

pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
pub(crate) const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
    fnv: u64,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            at: 0,
            fnv: FNV_OFFSET,
        }
    }

    /// Starts a record: room for the length, then the tag.
    const fn record(&mut self, tag: u8) {
        self.at = size_of::<u32>();
        self.byte(tag);
    }

    /// Fills in the record's length, which counts all that comes after it.
    const fn finish(mut self) -> [u8; N] {
        assert!(self.at == N, "N is not the record's length");
        let length = ((N - size_of::<u32>()) as u32).to_le_bytes();
        let mut index = 0;
        while index < length.len() {
            self.bytes[index] = length[index];
            index += 1;
        }
        self.bytes
    }

    const fn byte(&mut self, byte: u8) {
        if self.at < N {
            self.bytes[self.at] = byte;
        }
        self.at += 1;
        self.fnv = (self.fnv ^ byte as u64).wrapping_mul(FNV_PRIME);
    }

    const fn varint(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    const fn str(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.varint(bytes.len() as u128);
        let mut index = 0;
        while index < bytes.len() {
            self.byte(bytes[index]);
            index += 1;
        }
    }

    const fn fields(&mut self, fields: &[Field]) {
        self.varint(fields.len() as u128);
        let mut index = 0;
        while index < fields.len() {
            self.str(fields[index].name);
            self.shape(&fields[index].shape);
            index += 1;
        }
    }

    const fn shapes(&mut self, shapes: &[Shape]) {
        self.varint(shapes.len() as u128);
        let mut index = 0;
        while index < shapes.len() {
            self.shape(&shapes[index]);
            index += 1;
        }
    }

    const fn variants(&mut self, variants: &[Variant]) {
        self.varint(variants.len() as u128);
        let mut index = 0;
        while index < variants.len() {
            self.str(variants[index].name);
            match variants[index].shape {
                VariantShape::Unit => self.byte(0),
                VariantShape::Newtype(inner) => {
                    self.byte(1);
                    self.shape(inner);
                }
                VariantShape::Tuple(parts) => {
                    self.byte(2);
                    self.shapes(parts);
                }
                VariantShape::Struct(fields) => {
                    self.byte(3);
                    self.fields(fields);
                }
            }
            index += 1;
        }
    }

    const fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Unit => self.byte(0),
            Shape::Bool => self.byte(1),
            Shape::I8 => self.byte(2),
            Shape::I16 => self.byte(3),
            Shape::I32 => self.byte(4),
            Shape::I64 => self.byte(5),
            Shape::I128 => self.byte(6),
            Shape::U8 => self.byte(7),
            Shape::U16 => self.byte(8),
            Shape::U32 => self.byte(9),
            Shape::U64 => self.byte(10),
            Shape::U128 => self.byte(11),
            Shape::F32 => self.byte(12),
            Shape::F64 => self.byte(13),
            Shape::Char => self.byte(14),
            Shape::Str => self.byte(15),
            Shape::Bytes => self.byte(16),
            Shape::Option(inner) => {
                self.byte(17);
                self.shape(inner);
            }
            Shape::Seq(inner) => {
                self.byte(18);
                self.shape(inner);
            }
            Shape::Map(key, value) => {
                self.byte(19);
                self.shape(key);
                self.shape(value);
            }
            Shape::Tuple(parts) => {
                self.byte(20);
                self.shapes(parts);
            }
            Shape::Array(inner, len) => {
                self.byte(21);
                self.shape(inner);
                self.varint(*len as u128);
            }
            Shape::Newtype(name, inner) => {
                self.byte(22);
                self.str(name);
                self.shape(inner);
            }
            Shape::TupleStruct(name, parts) => {
                self.byte(23);
                self.str(name);
                self.shapes(parts);
            }
            Shape::Struct(name, fields) => {
                self.byte(24);
                self.str(name);
                self.fields(fields);
            }
            Shape::Enum(name, variants) => {
                self.byte(25);
                self.str(name);
                self.variants(variants);
            }
            Shape::Opaque(name) => {
                self.byte(26);
                self.str(name);
            }
            Shape::Recursive(name) => {
                self.byte(27);
                self.str(name);
            }
        }
    }
}
