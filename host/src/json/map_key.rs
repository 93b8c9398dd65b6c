//! Map keys: JSON has only text for them.

use offshoot_abi::Type;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{known, raw};

/// Whether a map with keys of this type is a JSON object; others are arrays of pairs.
pub(super) fn is_text(ty: &Type) -> bool {
    match ty {
        _ if known::textual(ty).is_some() => true,
        Type::Str | Type::Char | Type::Bool => true,
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::I128 => true,
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::U128 => true,
        Type::Newtype(_, inner) => is_text(inner),
        Type::Enum(_, variants) => variants.iter().all(|variant| variant.content == Type::Unit),
        _ => false,
    }
}

/// The text of a key whose value looks like `value`.
pub(super) fn to_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The value that a key's text stands for, by its type.
pub(super) fn to_json(ty: &Type, text: &str) -> Box<RawValue> {
    match ty {
        _ if known::textual(ty).is_some() => raw::from_text(text),
        Type::Newtype(_, inner) => to_json(inner, text),
        Type::Str | Type::Char | Type::Enum(..) => raw::from_text(text),
        // What is not JSON stays text, which the caller refuses as it does any other.
        _ => RawValue::from_string(text.to_owned()).unwrap_or_else(|_| raw::from_text(text)),
    }
}
