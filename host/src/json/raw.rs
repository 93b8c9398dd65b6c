//! JSON text, read one level at a time.
//!
//! A parser that does not know the types has to make one number type of all numbers, and rounds.
//! Here each scalar stays text until its type says how to read it.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::describe::quote;

/// The values of an array; `None` for anything else.
pub(super) fn items(json: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json.get()).ok()
}

/// The entries of an object, in their order; `None` for anything else.
pub(super) fn entries(json: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::Deserializer::from_str(json.get())
        .deserialize_map(Entries)
        .ok()
}

/// The text of a string; `None` for anything else.
pub(super) fn string(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

pub(super) fn is_null(json: &RawValue) -> bool {
    json.get() == "null"
}

pub(super) fn is_string(json: &RawValue) -> bool {
    json.get().starts_with('"')
}

/// A JSON string of this text.
pub(super) fn from_text(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("text is written as JSON")
}

/// What the value is, for error messages.
pub(super) fn describe(json: &RawValue) -> String {
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'"') => {
            let content = string(json);
            format!(
                "the string \"{}\"",
                quote(content.as_deref().unwrap_or(text))
            )
        }
        Some(b'[') => format!("an array of {}", items(json).map_or(0, |items| items.len())),
        Some(b'{') => "an object".to_owned(),
        Some(b'n' | b't' | b'f') => text.to_owned(),
        _ => format!("the number {}", quote(text)),
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}
