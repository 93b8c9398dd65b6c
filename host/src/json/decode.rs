//! Postcard to JSON.
//!
//! The bytes come from a plugin, and so does the schema: neither may cost more than the reader
//! is willing to pay.

use offshoot_abi::{Known, NamedType, Type, VariantType};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::error::{JsonError, JsonErrorKind};
use super::path::Path;
use super::scope::Scope;
use super::{base64, known, known::Textual, map_key};

/// Memory that a decoded value may take.
///
/// Neither the bytes nor the schema bound it alone: a billion `()` are five bytes, and a field's
/// name may be a thousand times longer than its value.
const WEIGHT_MAX: usize = 256 << 20;

/// What an object's entry takes beside its name and value.
const ENTRY_WEIGHT: usize = 64;

/// The value that the bytes of a call's result stand for.
///
/// # Errors
///
/// Fails when the bytes are not exactly one value of the type, or the value is too large.
pub fn decode(ty: &Type, bytes: &[u8]) -> Result<Value, JsonError> {
    let root = Path::Root("result");
    let mut decoder = Decoder { bytes, weight: 0 };
    let value = decoder.value(ty, &root, Scope::default())?;
    match decoder.bytes.len() {
        0 => Ok(value),
        left => Err(JsonErrorKind::Trailing(left).at(&root)),
    }
}

/// Makes sure that every value of a function's result can be decoded, before the function is called.
///
/// # Errors
///
/// Fails when a part of the type has no schema, and says which.
pub fn check_result(ty: &Type) -> Result<(), JsonError> {
    check(ty, &Path::Root("result"))
}

fn check(ty: &Type, path: &Path<'_>) -> Result<(), JsonError> {
    match ty {
        Type::Opaque(name) => Err(JsonErrorKind::Opaque(name.clone()).at(path)),
        Type::Option(inner) | Type::Newtype(_, inner) => check(inner, path),
        Type::Seq(inner) | Type::Array(inner, _) => check(inner, &path.index(0)),
        Type::Map(key, item) => {
            check(key, path)?;
            check(item, path)
        }
        Type::Tuple(parts) | Type::TupleStruct(_, parts) => {
            let mut parts = parts.iter().enumerate();
            parts.try_for_each(|(index, part)| check(part, &path.index(index)))
        }
        Type::Struct(_, fields) => fields
            .iter()
            .try_for_each(|field| check(&field.ty, &path.field(&field.name))),
        Type::Enum(_, variants) => variants
            .iter()
            .try_for_each(|variant| check(&variant.content, &path.field(&variant.name))),
        _ => Ok(()),
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    weight: usize,
}

type Decoded<T = Value> = Result<T, JsonError>;

impl<'a> Decoder<'a> {
    fn value(&mut self, ty: &Type, path: &Path<'_>, scope: Scope<'_>) -> Decoded {
        let within = scope.enter(ty, path)?;
        let (ty, scope) = (within.ty(), within.scope());
        self.weigh(size_of::<Value>(), path)?;
        if let Some(textual) = known::textual(ty) {
            return self.text(ty, textual, path);
        }
        match ty {
            Type::Seq(inner) if **inner == Type::U8 => self.scalar(&Type::Bytes, path),
            Type::Option(inner) => match self.take::<bool>(ty, path)? {
                false => Ok(Value::Null),
                true => self.value(inner, path, scope),
            },
            Type::Seq(inner) => {
                let count = self.take(ty, path)?;
                self.items(inner, count, path, scope)
            }
            Type::Array(inner, len) => self.items(inner, u64::from(*len), path, scope),
            Type::Map(key, item) => self.map(ty, (key, item), path, scope),
            Type::Tuple(parts) | Type::TupleStruct(_, parts) => self.parts(parts, path, scope),
            Type::Newtype(_, inner) => match (ty.known(), &**inner) {
                (Some(Known::Collection), Type::Seq(item)) => {
                    let count = self.take(ty, path)?;
                    self.items(item, count, path, scope)
                }
                (_, inner) => self.value(inner, path, scope),
            },
            Type::Struct(_, fields) => self.fields(fields, path, scope),
            Type::Enum(_, variants) => self.variant(ty, variants, path, scope),
            scalar => self.scalar(scalar, path),
        }
    }

    /// A value that is text for people.
    fn text(&mut self, ty: &Type, textual: Textual, path: &Path<'_>) -> Decoded {
        let (text, rest) = textual
            .decode(self.bytes)
            .ok_or_else(|| malformed(ty, "they do not decode", path))?;
        self.weigh(text.len(), path)?;
        self.bytes = rest;
        Ok(text.into())
    }

    /// A value without parts; apart from [`value`](Self::value) to keep the recursion's stack small.
    fn scalar(&mut self, ty: &Type, path: &Path<'_>) -> Decoded {
        Ok(match ty {
            Type::Bool => self.take::<bool>(ty, path)?.into(),
            Type::I8 => self.take::<i8>(ty, path)?.into(),
            Type::I16 => self.take::<i16>(ty, path)?.into(),
            Type::I32 => self.take::<i32>(ty, path)?.into(),
            Type::I64 => self.take::<i64>(ty, path)?.into(),
            Type::I128 => {
                let wide = self.take::<i128>(ty, path)?;
                i64::try_from(wide).map_or_else(|_| wide.to_string().into(), Value::from)
            }
            Type::U8 => self.take::<u8>(ty, path)?.into(),
            Type::U16 => self.take::<u16>(ty, path)?.into(),
            Type::U32 => self.take::<u32>(ty, path)?.into(),
            Type::U64 => self.take::<u64>(ty, path)?.into(),
            Type::U128 => {
                let wide = self.take::<u128>(ty, path)?;
                u64::try_from(wide).map_or_else(|_| wide.to_string().into(), Value::from)
            }
            Type::F32 => float(widen(self.take(ty, path)?)),
            Type::F64 => float(self.take(ty, path)?),
            Type::Char => self.take::<char>(ty, path)?.to_string().into(),
            Type::Str => {
                let text: &str = self.take(ty, path)?;
                self.weigh(text.len(), path)?;
                text.into()
            }
            Type::Bytes => {
                let bytes: &[u8] = self.take(ty, path)?;
                self.weigh(bytes.len() / 3 * 4, path)?;
                base64::encode(bytes).into()
            }
            Type::Opaque(name) => return Err(JsonErrorKind::Opaque(name.clone()).at(path)),
            _ => Value::Null,
        })
    }

    /// Counts memory before it is spent.
    fn weigh(&mut self, bytes: usize, path: &Path<'_>) -> Decoded<()> {
        self.weight = self.weight.saturating_add(bytes);
        match self.weight <= WEIGHT_MAX {
            true => Ok(()),
            false => Err(JsonErrorKind::TooLarge(WEIGHT_MAX >> 20).at(path)),
        }
    }

    /// Reads what borrows from the bytes or is of fixed size, so that postcard allocates nothing.
    fn take<T: Deserialize<'a>>(&mut self, ty: &Type, path: &Path<'_>) -> Decoded<T> {
        let (value, rest) = postcard::take_from_bytes(self.bytes).map_err(|error| {
            let reason = match error {
                postcard::Error::DeserializeUnexpectedEnd => "they end too early",
                postcard::Error::DeserializeBadVarint => "a number is out of range",
                postcard::Error::DeserializeBadBool => "a bool is neither 0 nor 1",
                postcard::Error::DeserializeBadOption => "an option is neither 0 nor 1",
                postcard::Error::DeserializeBadUtf8 => "text is not UTF-8",
                postcard::Error::DeserializeBadChar => "a char is not one character",
                _ => "they do not decode",
            };
            malformed(ty, reason, path)
        })?;
        self.bytes = rest;
        Ok(value)
    }

    fn items(&mut self, ty: &Type, count: u64, path: &Path<'_>, scope: Scope<'_>) -> Decoded {
        let mut items = Vec::new();
        for index in 0..count {
            items.push(self.value(ty, &path.index(index as usize), scope)?);
        }
        Ok(Value::Array(items))
    }

    fn parts(&mut self, parts: &[Type], path: &Path<'_>, scope: Scope<'_>) -> Decoded {
        let mut items = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            items.push(self.value(part, &path.index(index), scope)?);
        }
        Ok(Value::Array(items))
    }

    fn map(
        &mut self,
        ty: &Type,
        (key, item): (&Type, &Type),
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Decoded {
        let count: u64 = self.take(ty, path)?;
        if !map_key::is_text(key) {
            let pair = Type::Tuple(vec![key.clone(), item.clone()]);
            return self.items(&pair, count, path, scope);
        }
        let mut object = Map::new();
        for index in 0..count {
            let name = map_key::to_text(self.value(key, &path.index(index as usize), scope)?);
            let value = self.value(item, &path.field(&name), scope)?;
            if object.contains_key(&name) {
                return Err(malformed(ty, "a key comes twice", &path.field(&name)));
            }
            self.weigh(name.len() + ENTRY_WEIGHT, path)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }

    fn fields(&mut self, fields: &[NamedType], path: &Path<'_>, scope: Scope<'_>) -> Decoded {
        let mut object = Map::new();
        for field in fields {
            self.weigh(field.name.len() + ENTRY_WEIGHT, path)?;
            let value = self.value(&field.ty, &path.field(&field.name), scope)?;
            object.insert(field.name.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn variant(
        &mut self,
        ty: &Type,
        variants: &[VariantType],
        path: &Path<'_>,
        scope: Scope<'_>,
    ) -> Decoded {
        let index: u32 = self.take(ty, path)?;
        let variant = variants
            .get(index as usize)
            .ok_or_else(|| malformed(ty, "there is no such variant", path))?;
        self.weigh(variant.name.len(), path)?;
        let name = variant.name.clone();
        if variant.content == Type::Unit {
            return Ok(name.into());
        }
        let content = self.value(&variant.content, &path.field(&name), scope.of_content())?;
        Ok(Value::Object(Map::from_iter([(name, content)])))
    }
}

fn malformed(ty: &Type, reason: &'static str, path: &Path<'_>) -> JsonError {
    let expected = ty.to_string();
    JsonErrorKind::Malformed { expected, reason }.at(path)
}

/// The double that prints like the single: `0.1`, not `0.10000000149011612`.
fn widen(narrow: f32) -> f64 {
    let printed = narrow.to_string().parse().unwrap_or(f64::from(narrow));
    // Reading back must give the same bits, which the nearest double always does.
    match printed as f32 == narrow {
        true => printed,
        false => f64::from(narrow),
    }
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
