//! Our JSON beside serde's own: for concrete types, the bytes must be postcard's and the JSON
//! must be `serde_json`'s.

use std::collections::BTreeMap;
use std::fmt::Debug;

use offshoot_abi::{Argument, FunctionInfo, NamedType, Type, VariantType};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mount {
    name: String,
    free: u64,
    label: Option<char>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Id(i64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Idle,
    Moved(i32, bool),
    Named(Id),
    Seen { mount: Mount, at: (u8, f64) },
}

fn boxed(ty: Type) -> Box<Type> {
    Box::new(ty)
}

fn named(name: &str, ty: Type) -> NamedType {
    let name = name.to_owned();
    NamedType { name, ty }
}

fn mount() -> Type {
    let fields = vec![
        named("name", Type::Str),
        named("free", Type::U64),
        named("label", Type::Option(boxed(Type::Char))),
    ];
    Type::Struct("Mount".into(), fields)
}

fn event() -> Type {
    let variant = |name: &str, content| VariantType {
        name: name.to_owned(),
        content,
    };
    let id = Type::Newtype("Id".into(), boxed(Type::I64));
    let moved = vec![Type::I32, Type::Bool];
    let seen = vec![
        named("mount", mount()),
        named("at", Type::Tuple(vec![Type::U8, Type::F64])),
    ];
    let variants = vec![
        variant("Idle", Type::Unit),
        variant("Moved", Type::TupleStruct("Moved".into(), moved)),
        variant("Named", Type::Newtype("Named".into(), boxed(id))),
        variant("Seen", Type::Struct("Seen".into(), seen)),
    ];
    Type::Enum("Event".into(), variants)
}

fn any_mount() -> impl Strategy<Value = Mount> {
    (any::<String>(), any::<u64>(), any::<Option<char>>()).prop_map(|(name, free, label)| Mount {
        name,
        free,
        label,
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Idle),
        any::<(i32, bool)>().prop_map(|(a, b)| Event::Moved(a, b)),
        any::<i64>().prop_map(|id| Event::Named(Id(id))),
        (any_mount(), any::<u8>(), -1e300..1e300)
            .prop_map(|(mount, a, b)| Event::Seen { mount, at: (a, b) }),
    ]
}

/// Compares both directions with serde.
#[track_caller]
fn agree<T: Serialize + Debug>(ty: &Type, value: &T) {
    let bytes = postcard::to_allocvec(value).unwrap();
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(decode(ty, &bytes).unwrap(), json, "{value:?}");
    let mut encoded = vec![0xaa];
    encode(ty, &json, &mut encoded).unwrap();
    assert_eq!(encoded[1..], bytes, "{value:?}");
    for length in (0..bytes.len()).step_by(1 + bytes.len() / 8) {
        let cut = decode(ty, &bytes[..length]);
        assert!(cut.is_err(), "{length} bytes of {value:?} gave {cut:?}");
    }
}

proptest! {
    #[test]
    fn integers_agree_with_serde(a: i8, b: i16, c: i32, d: i64, e: u8, f: u16, g: u32, h: u64) {
        let ty = Type::Tuple(vec![
            Type::I8, Type::I16, Type::I32, Type::I64, Type::U8, Type::U16, Type::U32, Type::U64,
        ]);
        agree(&ty, &(a, b, c, d, e, f, g, h));
    }

    #[test]
    fn text_and_containers_agree_with_serde(
        a: Vec<Option<String>>,
        b: [bool; 3],
        c: char,
        d: BTreeMap<String, Vec<i16>>,
        e: BTreeMap<i32, ()>,
        f in -1e300..1e300,
    ) {
        let ty = Type::Tuple(vec![
            Type::Seq(boxed(Type::Option(boxed(Type::Str)))),
            Type::Array(boxed(Type::Bool), 3),
            Type::Char,
            Type::Map(boxed(Type::Str), boxed(Type::Seq(boxed(Type::I16)))),
            Type::Map(boxed(Type::I32), boxed(Type::Unit)),
            Type::F64,
        ]);
        agree(&ty, &(a, b, c, d, e, f));
    }

    #[test]
    fn structs_and_enums_agree_with_serde(events in prop::collection::vec(any_event(), 0..4)) {
        agree(&Type::Seq(boxed(event())), &events);
    }

    #[test]
    fn singles_print_short_and_come_back(bits: u32) {
        let single = f32::from_bits(bits);
        let bytes = postcard::to_allocvec(&single).unwrap();
        let json = decode(&Type::F32, &bytes).unwrap();
        if single.is_finite() {
            prop_assert_eq!(json.to_string().parse::<f32>().unwrap(), single);
            prop_assert!(json.to_string().len() <= serde_json::to_value(single).unwrap().to_string().len());
        }
        let mut encoded = Vec::new();
        encode(&Type::F32, &json, &mut encoded).unwrap();
        if !single.is_nan() {
            prop_assert_eq!(encoded, bytes);
        }
    }

    #[test]
    fn wide_integers_come_back(signed: i128, unsigned: u128) {
        let ty = Type::Tuple(vec![Type::I128, Type::U128]);
        let bytes = postcard::to_allocvec(&(signed, unsigned)).unwrap();
        let json = decode(&ty, &bytes).unwrap();
        let mut encoded = Vec::new();
        encode(&ty, &json, &mut encoded).unwrap();
        prop_assert_eq!(encoded, bytes);
    }

    #[test]
    fn bytes_come_back(raw: Vec<u8>) {
        let bytes = postcard::to_allocvec(&raw).unwrap();
        let json = decode(&Type::Bytes, &bytes).unwrap();
        prop_assert!(json.is_string());
        for json in [json, json!(raw)] {
            let mut encoded = Vec::new();
            encode(&Type::Bytes, &json, &mut encoded).unwrap();
            prop_assert_eq!(&encoded, &bytes);
        }
    }

    #[test]
    fn noise_is_survived(noise: Vec<u8>) {
        let ty = Type::Map(boxed(Type::Seq(boxed(Type::U8))), boxed(event()));
        if let Ok(json) = decode(&ty, &noise) {
            let mut encoded = Vec::new();
            encode(&ty, &json, &mut encoded).unwrap();
            prop_assert_eq!(decode(&ty, &encoded).unwrap(), json);
        }
    }
}

#[track_caller]
fn refused(ty: &Type, json: Value, want: &str) {
    let mut out = vec![1, 2, 3];
    let error = encode(ty, &json, &mut out).unwrap_err();
    assert_eq!(error.to_string(), want);
    assert_eq!(out, [1, 2, 3], "a refused value leaves nothing behind");
}

#[test]
fn a_wrong_value_is_named_by_its_path() {
    let mounts = Type::Seq(boxed(mount()));
    refused(
        &mounts,
        json!([{"name": "/", "free": 1}, {"name": "/tmp", "free": -1}]),
        "value[1].free: expected u64 (0 to 18446744073709551615), found the number -1",
    );
    refused(
        &mounts,
        json!([{"name": "/", "fere": 1}]),
        "value[0].fere: `Mount` has no field `fere` (did you mean `free`?); its fields are \
         `name`, `free`, `label`",
    );
    refused(
        &mounts,
        json!([{"name": "/"}]),
        "value[0].free: `Mount` needs the field `free: u64`",
    );
    refused(
        &mounts,
        json!({"name": "/"}),
        "value: expected Vec<Mount> (an array), found an object",
    );
    refused(
        &mounts,
        json!([7]),
        "value[0]: expected `Mount` as an object, found the number 7",
    );
}

#[test]
fn a_wrong_variant_lists_the_right_ones() {
    refused(
        &event(),
        json!("idle"),
        "value: `Event` has no variant `idle` (did you mean `Idle`?); its variants are `Idle`, \
         `Moved`, `Named`, `Seen`",
    );
    refused(
        &event(),
        json!("Moved"),
        "value: expected {\"Moved\": (i32, bool)}, found the string \"Moved\"",
    );
    refused(
        &event(),
        json!({"Moved": [1]}),
        "value.Moved: expected Moved as an array of 2, found an array of 1",
    );
    refused(
        &event(),
        json!(3),
        "value: expected `Event` as \"VARIANT\" or {\"VARIANT\": CONTENT}, found the number 3",
    );
}

#[test]
fn scalars_out_of_range_are_refused() {
    refused(
        &Type::U8,
        json!(256),
        "value: expected u8 (0 to 255), found the number 256",
    );
    refused(
        &Type::I8,
        json!(-129),
        "value: expected i8 (-128 to 127), found the number -129",
    );
    refused(
        &Type::I32,
        json!(1.5),
        "value: expected i32 (-2147483648 to 2147483647), found the number 1.5",
    );
    refused(
        &Type::F32,
        json!(1e300),
        "value: expected f32, found the number 1e+300",
    );
    refused(
        &Type::Char,
        json!("ab"),
        "value: expected char (a string of one character), found the string \"ab\"",
    );
    refused(
        &Type::Unit,
        json!([]),
        "value: expected () (null), found an array of 0",
    );
    refused(
        &Type::Str,
        json!(42),
        "value: expected String, found the number 42",
    );
    let long = "x".repeat(1000);
    let want = format!(
        "value: expected bool, found the string \"{}...\"",
        &long[..40]
    );
    refused(&Type::Bool, json!(long), &want);
}

#[test]
fn a_type_without_schema_names_the_remedy() {
    let opaque = Type::Opaque("Socket".into());
    let want = "`Socket` has no schema, so no JSON stands for it: mark the type with `#[data]` in the plugin";
    refused(&opaque, json!(null), &format!("value: {want}"));
    assert_eq!(
        decode(&opaque, &[]).unwrap_err().to_string(),
        format!("result: {want}")
    );
}

#[test]
fn a_missing_option_is_null_and_a_newtype_is_transparent() {
    let mut out = Vec::new();
    encode(&mount(), &json!({"free": 300, "name": "/"}), &mut out).unwrap();
    let value = Mount {
        name: "/".into(),
        free: 300,
        label: None,
    };
    assert_eq!(out, postcard::to_allocvec(&value).unwrap());
}

#[test]
fn maps_with_other_keys_are_arrays_of_pairs() {
    let ty = Type::Map(
        boxed(Type::Tuple(vec![Type::U8, Type::U8])),
        boxed(Type::Str),
    );
    let map = BTreeMap::from([((1u8, 2u8), "a"), ((3, 4), "b")]);
    let bytes = postcard::to_allocvec(&map).unwrap();
    let json = json!([[[1, 2], "a"], [[3, 4], "b"]]);
    assert_eq!(decode(&ty, &bytes).unwrap(), json);
    let mut encoded = Vec::new();
    encode(&ty, &json, &mut encoded).unwrap();
    assert_eq!(encoded, bytes);
}

#[test]
fn floats_without_a_number_are_words() {
    for (value, word) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (-f64::INFINITY, "-Infinity"),
    ] {
        let bytes = postcard::to_allocvec(&value).unwrap();
        assert_eq!(decode(&Type::F64, &bytes).unwrap(), json!(word));
        let mut encoded = Vec::new();
        encode(&Type::F64, &json!(word), &mut encoded).unwrap();
        assert_eq!(encoded, bytes);
    }
}

#[test]
fn hostile_results_end_in_an_error() {
    let nothing = Type::Seq(boxed(Type::Unit));
    let huge = postcard::to_allocvec(&u64::MAX).unwrap();
    let too_large =
        "the value takes more than 256 MiB as JSON: return large data as `Bytes`, or less of it";
    for (ty, bytes, want) in [
        (
            Type::Seq(boxed(Type::U8)),
            huge.clone(),
            "the bytes are no u8: they end too early".to_owned(),
        ),
        (nothing, huge.clone(), too_large.to_owned()),
        (
            Type::Array(boxed(Type::Tuple(vec![])), u32::MAX),
            vec![],
            too_large.to_owned(),
        ),
        (
            Type::Str,
            huge.clone(),
            "the bytes are no String: they end too early".to_owned(),
        ),
        (
            Type::Bytes,
            huge,
            "the bytes are no Bytes: they end too early".to_owned(),
        ),
        (
            Type::Bool,
            vec![2],
            "the bytes are no bool: a bool is neither 0 nor 1".to_owned(),
        ),
        (
            Type::U8,
            vec![1, 2, 3],
            "2 bytes are left over after the value".to_owned(),
        ),
        (
            event(),
            vec![9],
            "the bytes are no Event: there is no such variant".to_owned(),
        ),
        (
            Type::Str,
            vec![1, 0xff],
            "the bytes are no String: text is not UTF-8".to_owned(),
        ),
    ] {
        let error = decode(&ty, &bytes).unwrap_err();
        assert_eq!(error.kind.to_string(), want, "{ty}");
    }
}

#[test]
fn a_long_field_name_cannot_buy_memory() {
    let wide = Type::Struct("S".into(), vec![named(&"n".repeat(1 << 20), Type::U8)]);
    let mut bytes = postcard::to_allocvec(&4096u32).unwrap();
    bytes.resize(bytes.len() + 4096, 0);
    let error = decode(&Type::Seq(boxed(wide)), &bytes).unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::TooLarge(256));
}

#[test]
fn a_type_nested_without_end_is_refused() {
    let mut ty = Type::Unit;
    for _ in 0..1000 {
        ty = Type::Option(boxed(ty));
    }
    assert_eq!(
        decode(&ty, &[1; 1000]).unwrap_err().kind,
        JsonErrorKind::TooDeep(130)
    );
    let error = encode(&ty, &json!(1), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::TooDeep(130));
}

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
        arguments(&f, &["[x", "\"1\"", "null", "{\"Moved\": [1, true]}"]),
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
    assert_eq!(
        arguments(&f, &["42"]).unwrap_err(),
        "args[0]: expected String, found the number 42"
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
