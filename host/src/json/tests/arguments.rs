//! Arguments as typed on a command line.

use std::collections::BTreeMap;

use offshoot_abi::{Argument, FunctionInfo, Schema, Shape, Type, VariantShape, VariantType};

use super::{Event, boxed, event, named};
use crate::json::{ArgumentText, decode, encode, encode_arguments};

fn function(arguments: &[(&str, Type)]) -> FunctionInfo {
    let argument = |(name, ty): &(&str, Type)| Argument {
        name: (*name).to_owned(),
        ty: ty.clone(),
    };
    FunctionInfo {
        name: "f".into(),
        docs: String::new(),
        concurrent: false,
        fallible: false,
        takes_host: false,
        takes_router: false,
        arguments: arguments.iter().map(argument).collect(),
        result: Type::Unit,
        error: String::new(),
        signature: 0,
    }
}

#[track_caller]
fn arguments(function: &FunctionInfo, texts: &[&str]) -> Result<Vec<u8>, String> {
    let texts: Vec<ArgumentText<'_>> = texts.iter().copied().map(ArgumentText).collect();
    encode_arguments(function, &texts).map_err(|error| error.to_string())
}

#[test]
fn a_bare_word_is_text_where_text_is_wanted() {
    let f = function(&[
        ("path", Type::Str),
        ("mark", Type::Char),
        ("label", Type::Option(boxed(Type::Str))),
        ("event", event()),
    ]);
    let want = postcard::to_allocvec(&("/etc/hosts", '€', Some("a b"), Event::Idle)).unwrap();
    assert_eq!(
        arguments(&f, &["/etc/hosts", "€", "a b", "Idle"]),
        Ok(want.clone())
    );
    assert_eq!(
        arguments(&f, &["\"/etc/hosts\"", "\"€\"", "\"a b\"", "\"Idle\""]),
        Ok(want)
    );
    let none = postcard::to_allocvec(&("[x", '1', None::<&str>, Event::Moved(1, true))).unwrap();
    assert_eq!(
        arguments(&f, &["[x", "1", "null", "{\"Moved\": [1, true]}"]),
        Ok(none)
    );
}

#[test]
fn a_bare_word_elsewhere_is_an_error() {
    let f = function(&[("count", Type::U32)]);
    assert_eq!(
        arguments(&f, &["many"]).unwrap_err(),
        "args[0]: expected u32 as JSON, found `many`: expected value at line 1 column 1"
    );
    let f = function(&[("path", Type::Str)]);
    assert_eq!(
        arguments(&f, &["\"/etc"]).unwrap_err(),
        "args[0]: expected String as JSON, found `\"/etc`: EOF while parsing a string at line 1 column 5"
    );
}

#[test]
fn the_number_of_arguments_is_checked() {
    let f = function(&[("a", Type::U8), ("b", Type::U8)]);
    assert_eq!(
        arguments(&f, &["1"]).unwrap_err(),
        "expected 2 arguments, found 1"
    );
    assert_eq!(
        arguments(&function(&[]), &["1"]).unwrap_err(),
        "expected no arguments, found 1"
    );
    assert_eq!(arguments(&f, &["1", "2"]).unwrap(), [1, 2]);
}

#[track_caller]
fn reads<T: serde::Serialize>(ty: Type, text: &str, want: T) {
    let want = postcard::to_allocvec(&(want,)).unwrap();
    let found = arguments(&function(&[("it", ty.clone())]), &[text]);
    assert_eq!(found, Ok(want), "{text} as {ty}");
}

#[track_caller]
fn refuses(ty: Type, text: &str, want: &str) {
    let error = arguments(&function(&[("it", ty)]), &[text]).unwrap_err();
    assert_eq!(error, format!("args[0]: {want}"));
}

#[test]
fn a_decimal_argument_is_the_nearest_float() {
    for text in [
        "0.9999999999999999",
        "1.5777777777770001",
        "2.2250738585072014e-308",
        "5e-324",
        "1e3",
        "-1.25E-7",
        "-0.0",
        "123456789012345678901234567890",
        "179769313486231570000000000000000000000e270",
    ] {
        reads(Type::F64, text, text.parse::<f64>().unwrap());
    }
    // Rounded once: by way of a double, the single would be its neighbour.
    let twice = "1.00000017881393432617187499";
    reads(Type::F32, twice, twice.parse::<f32>().unwrap());
    reads(Type::F64, "NaN", f64::NAN);
    reads(Type::F32, "-Infinity", f32::NEG_INFINITY);
    refuses(Type::F64, "1e309", "expected f64, found the number 1e309");
}

#[test]
fn integers_of_any_length_are_exact_also_inside() {
    reads(
        Type::U128,
        "340282366920938463463374607431768211455",
        u128::MAX,
    );
    reads(
        Type::I128,
        "-170141183460469231731687303715884105728",
        i128::MIN,
    );
    reads(Type::U64, "18446744073709551615", u64::MAX);
    reads(
        Type::Seq(boxed(Type::U128)),
        "[340282366920938463463374607431768211455, \"7\"]",
        vec![u128::MAX, 7],
    );
    refuses(
        Type::U64,
        "18446744073709551616",
        "expected u64 (0 to 18446744073709551615), found the number 18446744073709551616",
    );
    refuses(
        Type::I64,
        "1e3",
        "expected i64 (-9223372036854775808 to 9223372036854775807), found the number 1e3",
    );
}

#[test]
fn what_looks_like_json_is_text_where_the_type_is_text() {
    for word in ["42", "true", "null", "{x", "[1]", ""] {
        reads(Type::Str, word, word);
    }
    reads(Type::Char, "7", '7');
    reads(Type::Option(boxed(Type::Str)), "42", Some("42"));
    reads(Type::Option(boxed(Type::Str)), "null", None::<&str>);
    reads(
        Type::Newtype("Name".into(), boxed(Type::Str)),
        "true",
        "true",
    );
}

#[test]
fn a_mistake_in_json_is_told_as_such() {
    refuses(
        event(),
        "{\"Moved\": [1, tru]}",
        "expected Event as JSON, found `{\"Moved\": [1, tru]}`: expected ident at line 1 column 18",
    );
    refuses(
        Type::Bytes,
        "[1,",
        "expected Blob as JSON, found `[1,`: EOF while parsing a value at line 1 column 3",
    );
}

/// The form of a schema that a manifest has.
fn owned(shape: Shape) -> Type {
    let all = |shapes: &[Shape]| shapes.iter().copied().map(owned).collect();
    match shape {
        Shape::U8 => Type::U8,
        Shape::U16 => Type::U16,
        Shape::U32 => Type::U32,
        Shape::U64 => Type::U64,
        Shape::Str => Type::Str,
        Shape::Seq(item) => Type::Seq(boxed(owned(*item))),
        Shape::Array(item, len) => Type::Array(boxed(owned(*item)), len),
        Shape::Newtype(name, inner) => Type::Newtype(name.into(), boxed(owned(*inner))),
        Shape::TupleStruct(name, parts) => Type::TupleStruct(name.into(), all(parts)),
        Shape::Opaque(name) => Type::Opaque(name.into()),
        Shape::Struct(name, fields) => {
            let fields = fields
                .iter()
                .map(|field| named(field.name, owned(field.shape)));
            Type::Struct(name.into(), fields.collect())
        }
        Shape::Enum(name, variants) => {
            let variants = variants.iter().map(|variant| VariantType {
                name: variant.name.into(),
                content: match variant.shape {
                    VariantShape::Newtype(inner) => {
                        Type::Newtype(variant.name.into(), boxed(owned(*inner)))
                    }
                    other => panic!("{other:?} is in no type of these tests"),
                },
            });
            Type::Enum(name.into(), variants.collect())
        }
        other => panic!("{other:?} is in no type of these tests"),
    }
}

/// A value whose schema the type itself gives, both ways.
#[track_caller]
fn is_written<T: Schema + serde::Serialize>(value: T, text: &str) {
    let ty = owned(T::SHAPE);
    let bytes = postcard::to_allocvec(&value).unwrap();
    assert_eq!(decode(&ty, &bytes).unwrap(), serde_json::json!(text));
    reads(ty.clone(), text, &value);
    reads(ty.clone(), &format!("\"{text}\""), &value);
    reads(
        Type::Seq(boxed(ty.clone())),
        &format!("[\"{text}\"]"),
        [&value].as_slice(),
    );
    let by_key = BTreeMap::from([(text, 1u8)]);
    let map = Type::Map(boxed(ty), boxed(Type::U8));
    let mut encoded = Vec::new();
    encode(&map, &serde_json::json!(by_key), &mut encoded).unwrap();
    assert_eq!(encoded[1..=bytes.len()], bytes);
    assert_eq!(decode(&map, &encoded).unwrap(), serde_json::json!(by_key));
}

#[test]
fn g11_addresses_times_and_paths_are_text_both_ways() {
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};
    use std::time::{Duration, UNIX_EPOCH};

    is_written(IpAddr::from([10, 0, 0, 1]), "10.0.0.1");
    is_written(Ipv6Addr::LOCALHOST, "::1");
    is_written("[::1]:80".parse::<SocketAddr>().unwrap(), "[::1]:80");
    is_written(Duration::from_millis(1500), "1.5s");
    is_written(
        UNIX_EPOCH + Duration::from_secs(1_704_067_200),
        "2024-01-01T00:00:00Z",
    );
    is_written(std::path::PathBuf::from("/etc/hosts"), "/etc/hosts");
    refuses(
        owned(IpAddr::SHAPE),
        "10.0.0",
        "expected IpAddr (text such as 10.0.0.1 or fe80::1), found the string \"10.0.0\"",
    );
    refuses(
        owned(Duration::SHAPE),
        "5",
        "expected Duration (a number and a unit, such as 1.5s, 200ms or 2m), found the string \"5\"",
    );
}

#[test]
fn g6_types_of_std_have_schemas_and_true_names() {
    use std::collections::HashSet;
    use std::num::NonZeroU8;
    use std::sync::Arc;

    for (shape, name) in [
        (<HashSet<u8>>::SHAPE, "HashSet<u8>"),
        (std::path::PathBuf::SHAPE, "PathBuf"),
        (
            <std::collections::VecDeque<Arc<str>>>::SHAPE,
            "VecDeque<String>",
        ),
        (NonZeroU8::SHAPE, "NonZeroU8"),
        (<std::ops::Range<u8>>::SHAPE, "Range"),
        (offshoot_abi::SenderAddress::<u64>::SHAPE, "Sender<u64>"),
    ] {
        assert_eq!(owned(shape).to_string(), name);
    }
    reads(owned(<HashSet<u8>>::SHAPE), "[1]", vec![1u8]);
    reads(
        owned(<std::ops::Range<u8>>::SHAPE),
        "{\"start\": 1, \"end\": 2}",
        (1u8, 2u8),
    );
    reads(owned(NonZeroU8::SHAPE), "7", 7u8);
    refuses(
        owned(NonZeroU8::SHAPE),
        "0",
        "expected NonZeroU8 (not 0), found the number 0",
    );
}

#[test]
fn g14_options_at_the_end_may_be_left_out() {
    let option = Type::Option(boxed(Type::U8));
    let f = function(&[("a", Type::U8), ("b", option.clone()), ("c", option)]);
    assert_eq!(arguments(&f, &["1"]).unwrap(), [1, 0, 0]);
    assert_eq!(arguments(&f, &["1", "2"]).unwrap(), [1, 1, 2, 0]);
    let error = arguments(&f, &[]).unwrap_err();
    assert_eq!(error, "expected 1 to 3 arguments, found 0");
}

#[test]
fn g15_bytes_are_base64_both_ways() {
    let ty = owned(<Vec<u8>>::SHAPE);
    reads(ty.clone(), "aGk=", b"hi".to_vec());
    reads(ty.clone(), "[104, 105]", b"hi".to_vec());
    assert_eq!(decode(&ty, b"\x02hi").unwrap(), serde_json::json!("aGk="));
}
