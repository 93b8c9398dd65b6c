//! JSON to postcard.

use std::str::FromStr;

use offshoot_abi::{FunctionInfo, Known, NamedType, Type, VariantType};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::describe::{describe_content, mismatch, quote, scalar_name};
use super::error::{JsonError, JsonErrorKind};
use super::path::Path;
use super::scope::Scope;
use super::{base64, known, map_key, near::near, raw};

/// An argument as typed on a command line.
///
/// It is JSON. Where the type is text (a `String`, a `char`, an enum with variants that are only a
/// name, base64 for `Bytes`, or an `Option` of these), a word without an opening quote stands for
/// itself, whatever it looks like; `null` is an `Option` that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentText<'a>(pub &'a str);

/// The postcard bytes of a function's arguments.
///
/// Arguments at the end that are an `Option` may be left out.
///
/// # Errors
///
/// Fails when the number of arguments or the type of one is not what the function takes.
pub fn encode_arguments(
    function: &FunctionInfo,
    arguments: &[ArgumentText<'_>],
) -> Result<Vec<u8>, JsonError> {
    let root = Path::Root("args");
    let (max, found) = (function.arguments.len(), arguments.len());
    let optional = function.arguments.iter().rev();
    let min = max - optional.take_while(|one| is_option(&one.ty)).count();
    if !(min..=max).contains(&found) {
        return Err(JsonErrorKind::Count { min, max, found }.at(&root));
    }
    let mut encoder = Encoder { out: Vec::new() };
    for (index, argument) in function.arguments.iter().enumerate() {
        let path = root.index(index);
        let value = match arguments.get(index) {
            Some(text) => parse(&argument.ty, text.0).map_err(|kind| kind.at(&path))?,
            None => RawValue::NULL.to_owned(),
        };
        encoder.value(&argument.ty, &value, &path, Scope::default())?;
    }
    Ok(encoder.out)
}

/// Appends the postcard bytes of a value.
///
/// # Errors
///
/// Fails when the value does not fit the type; `out` is then as it was.
pub fn encode(ty: &Type, value: &Value, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let start = out.len();
    let mut encoder = Encoder {
        out: std::mem::take(out),
    };
    let json = serde_json::value::to_raw_value(value).expect("a value is written as JSON");
    let result = encoder.value(ty, &json, &Path::Root("value"), Scope::default());
    *out = encoder.out;
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn parse(ty: &Type, text: &str) -> Result<Box<RawValue>, JsonErrorKind> {
    if is_word(ty, text) {
        return Ok(raw::from_text(text));
    }
    serde_json::from_str(text).map_err(|error| JsonErrorKind::Syntax {
        expected: ty.to_string(),
        found: quote(text),
        reason: error.to_string(),
    })
}

/// Whether an argument stands for itself. What begins as JSON text does is JSON, so that a mistake
/// in it is told.
fn is_word(ty: &Type, text: &str) -> bool {
    let begins = |marks: &[char]| text.starts_with(marks);
    match ty {
        _ if known::textual(ty).is_some() => !begins(&['"', '{']),
        Type::Seq(inner) if **inner == Type::U8 => !begins(&['"', '[']),
        Type::Newtype(..) if ty.known() == Some(Known::Collection) => false,
        Type::Str | Type::Char => !begins(&['"']),
        Type::Bytes => !begins(&['"', '[']),
        Type::Enum(_, variants) => {
            !begins(&['"', '{', '[']) && variants.iter().any(|one| one.content == Type::Unit)
        }
        Type::F32 | Type::F64 => FLOAT_WORDS.contains(&text),
        Type::Option(inner) => text != "null" && is_word(inner, text),
        Type::Newtype(_, inner) => is_word(inner, text),
        _ => false,
    }
}

/// Floats that JSON has no numbers for, as `str::parse` reads them too.
const FLOAT_WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

struct Encoder {
    out: Vec<u8>,
}

type Encoded = Result<(), JsonError>;

impl Encoder {
    fn value(&mut self, ty: &Type, value: &RawValue, path: &Path<'_>, scope: Scope<'_>) -> Encoded {
        let within = scope.enter(ty, path)?;
        let (ty, scope) = (within.ty(), within.scope());
        if let Some(textual) = known::textual(ty)
            && let Some(text) = raw::string(value)
        {
            return textual
                .encode(&text, &mut self.out)
                .ok_or_else(|| mismatch(scalar_name(ty), value, path));
        }
        match ty {
            Type::Seq(inner) if **inner == Type::U8 && raw::is_string(value) => {
                self.value(&Type::Bytes, value, path, scope)
            }
            Type::Bytes if !raw::is_string(value) => {
                self.sequence(ty, &Type::U8, value, path, scope)
            }
            Type::Option(inner) => {
                let is_some = !raw::is_null(value);
                self.put(&is_some);
                match is_some {
                    false => Ok(()),
                    true => self.value(inner, value, path, scope),
                }
            }
            Type::Seq(inner) => self.sequence(ty, inner, value, path, scope),
            Type::Array(inner, len) => {
                let items = array(ty, *len as usize, value, path)?;
                self.items(inner, &items, path, scope)
            }
            Type::Map(key, item) => self.map(ty, (key, item), value, path, scope),
            Type::Tuple(parts) | Type::TupleStruct(_, parts) => {
                // Said before the caller is asked for a list, which would not help.
                if let Some(Type::Opaque(name)) = parts.first() {
                    return Err(JsonErrorKind::Opaque(name.clone()).at(path));
                }
                let items = array(ty, parts.len(), value, path)?;
                self.parts(parts, &items, path, scope)
            }
            Type::Newtype(_, inner) => match (ty.known(), &**inner) {
                (Some(Known::Collection), Type::Seq(item)) => {
                    self.sequence(ty, item, value, path, scope)
                }
                (Some(Known::NonZero), _) if is_zero(value) => {
                    Err(mismatch(scalar_name(ty), value, path))
                }
                (_, inner) => self.value(inner, value, path, scope),
            },
            Type::Struct(_, fields) => self.fields(ty, fields, value, path, scope),
            Type::Enum(name, variants) => self.variant(name, variants, value, path, scope),
            Type::Opaque(name) => Err(JsonErrorKind::Opaque(name.clone()).at(path)),
            scalar => self
                .scalar(scalar, value)
                .ok_or_else(|| mismatch(scalar_name(ty), value, path)),
        }
    }

    /// A value without parts; apart from [`value`](Self::value) to keep the recursion's stack small.
    fn scalar(&mut self, ty: &Type, value: &RawValue) -> Option<()> {
        let json = value.get();
        match ty {
            Type::Unit => raw::is_null(value).then_some(()),
            Type::Bool => json.parse::<bool>().ok().map(|it| self.put(&it)),
            Type::I8 => self.integer::<i8>(value),
            Type::I16 => self.integer::<i16>(value),
            Type::I32 => self.integer::<i32>(value),
            Type::I64 => self.integer::<i64>(value),
            Type::I128 => self.integer::<i128>(value),
            Type::U8 => self.integer::<u8>(value),
            Type::U16 => self.integer::<u16>(value),
            Type::U32 => self.integer::<u32>(value),
            Type::U64 => self.integer::<u64>(value),
            Type::U128 => self.integer::<u128>(value),
            Type::F32 => float::<f32>(value, f32::is_finite).map(|it| self.put(&it)),
            Type::F64 => float::<f64>(value, f64::is_finite).map(|it| self.put(&it)),
            Type::Char => character(value).map(|it| self.put(&it)),
            Type::Str => raw::string(value).map(|it| self.put(&it)),
            Type::Bytes => base64::decode(&raw::string(value)?).map(|it| self.put(&it)),
            _ => None,
        }
    }

    fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        let out = std::mem::take(&mut self.out);
        self.out = postcard::to_extend(value, out).expect("a vector takes any number of bytes");
    }

    fn integer<T: FromStr + Serialize>(&mut self, value: &RawValue) -> Option<()> {
        let integer: T = match raw::is_string(value) {
            // Numbers that most readers of JSON would round may be written as text.
            true if size_of::<T>() > size_of::<u64>() => raw::string(value)?.parse().ok()?,
            _ => value.get().parse().ok()?,
        };
        self.put(&integer);
        Some(())
    }

    fn sequence(
        &mut self,
        ty: &Type,
        inner: &Type,
        value: &RawValue,
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Encoded {
        let items = raw::items(value).ok_or_else(|| mismatch(scalar_name(ty), value, path))?;
        self.put(&items.len());
        self.items(inner, &items, path, scope)
    }

    fn items(
        &mut self,
        ty: &Type,
        items: &[&RawValue],
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Encoded {
        for (index, item) in items.iter().enumerate() {
            self.value(ty, item, &path.index(index), scope)?;
        }
        Ok(())
    }

    fn parts(
        &mut self,
        parts: &[Type],
        items: &[&RawValue],
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Encoded {
        for (index, (part, item)) in parts.iter().zip(items).enumerate() {
            self.value(part, item, &path.index(index), scope)?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        ty: &Type,
        (key, item): (&Type, &Type),
        value: &RawValue,
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Encoded {
        if !map_key::is_text(key) {
            let pair = Type::Tuple(vec![key.clone(), item.clone()]);
            return self.sequence(ty, &pair, value, path, scope);
        }
        let entries = raw::entries(value)
            .ok_or_else(|| mismatch(format!("{ty} as an object"), value, path))?;
        self.put(&entries.len());
        for (name, value) in &entries {
            let path = path.field(name);
            self.value(key, &map_key::to_json(key, name), &path, scope)?;
            self.value(item, value, &path, scope)?;
        }
        Ok(())
    }

    fn fields(
        &mut self,
        ty: &Type,
        fields: &[NamedType],
        value: &RawValue,
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Encoded {
        let entries = raw::entries(value)
            .ok_or_else(|| mismatch(format!("`{ty}` as an object"), value, path))?;
        refuse_unknown(ty, fields, &entries, path)?;
        for field in fields {
            let path = path.field(&field.name);
            let value = match entries.iter().rfind(|(name, _)| *name == field.name) {
                Some((_, value)) => value,
                None if is_option(&field.ty) => RawValue::NULL,
                None => {
                    let (owner, name) = (ty.to_string(), field.name.clone());
                    let ty = field.ty.to_string();
                    return Err(JsonErrorKind::MissingField { owner, name, ty }.at(&path));
                }
            };
            self.value(&field.ty, value, &path, scope)?;
        }
        Ok(())
    }

    /// Unit variants are text, others an object with the variant's name as its only key.
    fn variant(
        &mut self,
        owner: &str,
        variants: &[VariantType],
        value: &RawValue,
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Encoded {
        let (name, content) = match (raw::string(value), raw::entries(value).as_deref()) {
            (Some(name), _) => (name, RawValue::NULL),
            (None, Some([(name, content)])) => (name.clone(), *content),
            _ => {
                let expected = format!("`{owner}` as \"VARIANT\" or {{\"VARIANT\": CONTENT}}");
                return Err(mismatch(expected, value, path));
            }
        };
        let Some(index) = variants.iter().position(|variant| variant.name == name) else {
            let names = variants.iter().map(|variant| variant.name.as_str());
            return Err(JsonErrorKind::UnknownVariant {
                owner: owner.to_owned(),
                name: quote(&name),
                near: near(&name, names.clone())
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                known: names.map(Into::into).collect(),
            }
            .at(path));
        };
        let variant = &variants[index];
        if raw::is_string(value) && variant.content != Type::Unit {
            let expected = format!("{{\"{name}\": {}}}", describe_content(&variant.content));
            return Err(mismatch(expected, value, path));
        }
        self.put(&(index as u32));
        self.value(
            &variant.content,
            content,
            &path.field(&name),
            scope.of_content(),
        )
    }
}

/// The nearest float of the type to the number as it is written; one beyond its range is none.
fn float<T: FromStr + Copy>(value: &RawValue, is_finite: fn(T) -> bool) -> Option<T> {
    match raw::string(value) {
        Some(word) if FLOAT_WORDS.contains(&word.as_str()) => word.parse().ok(),
        Some(_) => None,
        None => value.get().parse().ok().filter(|&it| is_finite(it)),
    }
}

fn character(value: &RawValue) -> Option<char> {
    let text = raw::string(value)?;
    let mut chars = text.chars();
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

fn array<'v>(
    ty: &Type,
    len: usize,
    value: &'v RawValue,
    path: &Path<'_>,
) -> Result<Vec<&'v RawValue>, JsonError> {
    match raw::items(value) {
        Some(items) if items.len() == len => Ok(items),
        _ => Err(mismatch(format!("{ty} as an array of {len}"), value, path)),
    }
}

fn is_zero(value: &RawValue) -> bool {
    matches!(value.get().trim_matches('"'), "0" | "-0")
}

fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Option(_) => true,
        Type::Newtype(_, inner) => is_option(inner),
        _ => false,
    }
}

fn refuse_unknown(
    ty: &Type,
    fields: &[NamedType],
    entries: &[(String, &RawValue)],
    path: &Path<'_>,
) -> Encoded {
    let names = fields.iter().map(|field| field.name.as_str());
    for (name, _) in entries {
        if names.clone().all(|known| known != name) {
            let given = |known: &str| entries.iter().any(|(name, _)| name == known);
            let missing = names.clone().filter(|known| !given(known));
            return Err(JsonErrorKind::UnknownField {
                owner: ty.to_string(),
                name: quote(name),
                near: near(name, missing).into_iter().map(Into::into).collect(),
                known: names.map(Into::into).collect(),
            }
            .at(&path.field(name)));
        }
    }
    Ok(())
}
