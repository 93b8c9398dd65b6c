//! JSON to postcard.

use std::str::FromStr;

use offshoot_abi::{FunctionInfo, NamedType, Type, VariantType};
use serde::Serialize;
use serde_json::{Map, Value};

use super::describe::{describe_content, mismatch, quote, scalar_name};
use super::error::{JsonError, JsonErrorKind};
use super::path::Path;
use super::{base64, map_key, near::near};

/// Nesting of a value at most: twice that of a manifest's types, because an entry of a map may be a
/// level of its own.
pub(super) const DEPTH_MAX: usize = 130;

/// An argument as typed on a command line.
///
/// It is JSON. Text that is not JSON stands for itself where the type wants text: a `String`, a
/// `char`, an enum's variant, base64 for `Bytes`, or an `Option` of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentText<'a>(pub &'a str);

/// The postcard bytes of a function's arguments.
///
/// # Errors
///
/// Fails when the number of arguments or the type of one is not what the function takes.
pub fn encode_arguments(
    function: &FunctionInfo,
    arguments: &[ArgumentText<'_>],
) -> Result<Vec<u8>, JsonError> {
    let root = Path::Root("args");
    if function.arguments.len() != arguments.len() {
        let (expected, found) = (function.arguments.len(), arguments.len());
        return Err(JsonErrorKind::Count { expected, found }.at(&root));
    }
    let mut encoder = Encoder { out: Vec::new() };
    for (index, (argument, text)) in function.arguments.iter().zip(arguments).enumerate() {
        let path = root.index(index);
        let value = parse(&argument.ty, text.0).map_err(|kind| kind.at(&path))?;
        encoder.value(&argument.ty, &value, &path, 0)?;
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
    let result = encoder.value(ty, value, &Path::Root("value"), 0);
    *out = encoder.out;
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn parse(ty: &Type, text: &str) -> Result<Value, JsonErrorKind> {
    serde_json::from_str(text).or_else(|error| {
        // An opening quote says that JSON was meant.
        if wants_text(ty) && !text.starts_with('"') {
            return Ok(text.into());
        }
        Err(JsonErrorKind::Syntax {
            expected: ty.to_string(),
            found: quote(text),
            reason: error.to_string(),
        })
    })
}

fn wants_text(ty: &Type) -> bool {
    match ty {
        Type::Str | Type::Char | Type::Bytes => true,
        Type::Enum(_, variants) => variants.iter().any(|variant| variant.content == Type::Unit),
        Type::Option(inner) | Type::Newtype(_, inner) => wants_text(inner),
        _ => false,
    }
}

struct Encoder {
    out: Vec<u8>,
}

type Encoded = Result<(), JsonError>;

impl Encoder {
    fn value(&mut self, ty: &Type, value: &Value, path: &Path<'_>, depth: usize) -> Encoded {
        if depth > DEPTH_MAX {
            return Err(JsonErrorKind::TooDeep(DEPTH_MAX).at(path));
        }
        let depth = depth + 1;
        match ty {
            Type::Bytes if !value.is_string() => self.sequence(ty, &Type::U8, value, path, depth),
            Type::Option(inner) => {
                self.put(&!value.is_null());
                match value {
                    Value::Null => Ok(()),
                    some => self.value(inner, some, path, depth),
                }
            }
            Type::Seq(inner) => self.sequence(ty, inner, value, path, depth),
            Type::Array(inner, len) => {
                let items = array(ty, *len as usize, value, path)?;
                self.items(inner, items, path, depth)
            }
            Type::Map(key, item) => self.map(ty, (key, item), value, path, depth),
            Type::Tuple(parts) | Type::TupleStruct(_, parts) => {
                // Said before the caller is asked for a list, which would not help.
                if let Some(Type::Opaque(name)) = parts.first() {
                    return Err(JsonErrorKind::Opaque(name.clone()).at(path));
                }
                let items = array(ty, parts.len(), value, path)?;
                self.parts(parts, items, path, depth)
            }
            Type::Newtype(_, inner) => self.value(inner, value, path, depth),
            Type::Struct(_, fields) => self.fields(ty, fields, value, path, depth),
            Type::Enum(name, variants) => self.variant(name, variants, value, path, depth),
            Type::Opaque(name) => Err(JsonErrorKind::Opaque(name.clone()).at(path)),
            scalar => self
                .scalar(scalar, value)
                .ok_or_else(|| mismatch(scalar_name(ty), value, path)),
        }
    }

    /// A value without parts; apart from [`value`](Self::value) to keep the recursion's stack small.
    fn scalar(&mut self, ty: &Type, value: &Value) -> Option<()> {
        match ty {
            Type::Unit => value.as_null(),
            Type::Bool => value.as_bool().map(|it| self.put(&it)),
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
            Type::F32 => narrow(value).map(|it| self.put(&it)),
            Type::F64 => float(value).map(|it| self.put(&it)),
            Type::Char => character(value).map(|it| self.put(&it)),
            Type::Str => value.as_str().map(|it| self.put(it)),
            Type::Bytes => base64::decode(value.as_str()?).map(|it| self.put(&it)),
            _ => None,
        }
    }

    fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        let out = std::mem::take(&mut self.out);
        self.out = postcard::to_extend(value, out).expect("a vector takes any number of bytes");
    }

    fn integer<T>(&mut self, value: &Value) -> Option<()>
    where
        T: TryFrom<i128> + FromStr + Serialize,
    {
        let integer: T = match value {
            Value::Number(number) => T::try_from(number.as_i128()?).ok()?,
            Value::String(text) if size_of::<T>() > size_of::<u64>() => text.parse().ok()?,
            _ => return None,
        };
        self.put(&integer);
        Some(())
    }

    fn sequence(
        &mut self,
        ty: &Type,
        inner: &Type,
        value: &Value,
        path: &Path<'_>,
        depth: usize,
    ) -> Encoded {
        let items = value
            .as_array()
            .ok_or_else(|| mismatch(scalar_name(ty), value, path))?;
        self.put(&items.len());
        self.items(inner, items, path, depth)
    }

    fn items(&mut self, ty: &Type, items: &[Value], path: &Path<'_>, depth: usize) -> Encoded {
        for (index, item) in items.iter().enumerate() {
            self.value(ty, item, &path.index(index), depth)?;
        }
        Ok(())
    }

    fn parts(&mut self, parts: &[Type], items: &[Value], path: &Path<'_>, depth: usize) -> Encoded {
        for (index, (part, item)) in parts.iter().zip(items).enumerate() {
            self.value(part, item, &path.index(index), depth)?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        ty: &Type,
        (key, item): (&Type, &Type),
        value: &Value,
        path: &Path<'_>,
        depth: usize,
    ) -> Encoded {
        if !map_key::is_text(key) {
            let pair = Type::Tuple(vec![key.clone(), item.clone()]);
            return self.sequence(ty, &pair, value, path, depth);
        }
        let object = value
            .as_object()
            .ok_or_else(|| mismatch(format!("{ty} as an object"), value, path))?;
        self.put(&object.len());
        for (name, value) in object {
            let path = path.field(name);
            self.value(key, &map_key::to_value(key, name), &path, depth)?;
            self.value(item, value, &path, depth)?;
        }
        Ok(())
    }

    fn fields(
        &mut self,
        ty: &Type,
        fields: &[NamedType],
        value: &Value,
        path: &Path<'_>,
        depth: usize,
    ) -> Encoded {
        let object = value
            .as_object()
            .ok_or_else(|| mismatch(format!("`{ty}` as an object"), value, path))?;
        refuse_unknown(ty, fields, object, path)?;
        for field in fields {
            let path = path.field(&field.name);
            let value = match object.get(&field.name) {
                Some(value) => value,
                None if is_option(&field.ty) => &Value::Null,
                None => {
                    let (owner, name) = (ty.to_string(), field.name.clone());
                    let ty = field.ty.to_string();
                    return Err(JsonErrorKind::MissingField { owner, name, ty }.at(&path));
                }
            };
            self.value(&field.ty, value, &path, depth)?;
        }
        Ok(())
    }

    /// Unit variants are text, others an object with the variant's name as its only key.
    fn variant(
        &mut self,
        owner: &str,
        variants: &[VariantType],
        value: &Value,
        path: &Path<'_>,
        depth: usize,
    ) -> Encoded {
        let (name, content) = match value {
            Value::String(name) => (name, &Value::Null),
            Value::Object(object) if object.len() == 1 => {
                object.iter().next().expect("there is one entry")
            }
            _ => {
                let expected = format!("`{owner}` as \"VARIANT\" or {{\"VARIANT\": CONTENT}}");
                return Err(mismatch(expected, value, path));
            }
        };
        let Some(index) = variants.iter().position(|variant| variant.name == *name) else {
            let names = variants.iter().map(|variant| variant.name.as_str());
            return Err(JsonErrorKind::UnknownVariant {
                owner: owner.to_owned(),
                name: quote(name),
                near: near(name, names.clone())
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                known: names.map(Into::into).collect(),
            }
            .at(path));
        };
        let variant = &variants[index];
        if value.is_string() && variant.content != Type::Unit {
            let expected = format!("{{\"{name}\": {}}}", describe_content(&variant.content));
            return Err(mismatch(expected, value, path));
        }
        self.put(&(index as u32));
        self.value(&variant.content, content, &path.field(name), depth)
    }
}

fn narrow(value: &Value) -> Option<f32> {
    let wide = float(value)?;
    let narrow = wide as f32;
    (narrow.is_finite() || !wide.is_finite()).then_some(narrow)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    }
}

fn character(value: &Value) -> Option<char> {
    let mut chars = value.as_str()?.chars();
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

fn array<'v>(
    ty: &Type,
    len: usize,
    value: &'v Value,
    path: &Path<'_>,
) -> Result<&'v [Value], JsonError> {
    match value.as_array() {
        Some(items) if items.len() == len => Ok(items),
        _ => Err(mismatch(format!("{ty} as an array of {len}"), value, path)),
    }
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
    object: &Map<String, Value>,
    path: &Path<'_>,
) -> Encoded {
    let names = fields.iter().map(|field| field.name.as_str());
    for name in object.keys() {
        if names.clone().all(|known| known != name) {
            let missing = names.clone().filter(|known| !object.contains_key(*known));
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
