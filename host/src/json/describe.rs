//! Words for types and values, for error messages.

use offshoot_abi::{Known, Type};
use serde_json::value::RawValue;

use super::error::{JsonError, JsonErrorKind};
use super::path::Path;
use super::{known, raw};

/// Characters of a user's value that an error repeats.
const QUOTE_MAX: usize = 40;

pub(super) fn mismatch(expected: String, value: &RawValue, path: &Path<'_>) -> JsonError {
    let found = raw::describe(value);
    JsonErrorKind::Mismatch { expected, found }.at(path)
}

/// The type, with what a reader may not know of it.
pub(super) fn scalar_name(ty: &Type) -> String {
    let more = match ty {
        ty if known::textual(ty).is_some() => known::textual(ty)
            .map_or("text", known::Textual::example)
            .to_owned(),
        Type::Newtype(..) if ty.known() == Some(Known::NonZero) => "not 0".to_owned(),
        Type::Newtype(..) if ty.known() == Some(Known::Collection) => "an array".to_owned(),
        Type::Unit => "null".to_owned(),
        Type::I8 => range(i8::MIN, i8::MAX),
        Type::I16 => range(i16::MIN, i16::MAX),
        Type::I32 => range(i32::MIN, i32::MAX),
        Type::I64 => range(i64::MIN, i64::MAX),
        Type::U8 => range(u8::MIN, u8::MAX),
        Type::U16 => range(u16::MIN, u16::MAX),
        Type::U32 => range(u32::MIN, u32::MAX),
        Type::U64 => range(u64::MIN, u64::MAX),
        Type::I128 | Type::U128 => "a number, or a string of digits beyond 64 bits".to_owned(),
        Type::Char => "a string of one character".to_owned(),
        Type::Bytes => "base64 text or an array of numbers".to_owned(),
        Type::Seq(_) => "an array".to_owned(),
        Type::Map(..) => "an array of [key, value]".to_owned(),
        _ => return ty.to_string(),
    };
    format!("{ty} ({more})")
}

fn range<T: std::fmt::Display>(min: T, max: T) -> String {
    format!("{min} to {max}")
}

/// What stands behind a variant's name.
pub(super) fn describe_content(content: &Type) -> String {
    match content {
        Type::Newtype(_, inner) => inner.to_string(),
        Type::TupleStruct(_, parts) => Type::Tuple(parts.clone()).to_string(),
        Type::Struct(_, fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("\"{}\": {}", field.name, field.ty))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// The start of a user's text.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
