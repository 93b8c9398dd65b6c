//! Values that do not fit, and values that look unlike what serde makes of them.

use std::collections::BTreeMap;

use offshoot_abi::Type;
use serde_json::{Value, json};

use super::{Mount, boxed, event, mount, named};
use crate::json::{check_result, decode, encode};

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
    let want = "`Socket` has no schema, so no JSON stands for it: mark a type of the plugin's own with `#[data]`, give one of another crate as text or in a type of its own, or call from a program";
    refused(&opaque, json!(null), &format!("value: {want}"));
    assert_eq!(
        decode(&opaque, &[]).unwrap_err().to_string(),
        format!("result: {want}")
    );
}

#[test]
fn a_sender_cannot_be_written_whatever_stands_for_it() {
    let sender = Type::TupleStruct(
        "Sender".into(),
        vec![
            Type::Opaque("Sender".into()),
            Type::Array(Box::new(Type::U64), 0),
        ],
    );
    for value in [json!("1000"), json!([]), json!([1, []]), json!(null)] {
        let mut out = Vec::new();
        let error = encode(&sender, &value, &mut out).unwrap_err().to_string();
        assert!(error.contains("`Sender` has no schema"), "{error}");
    }
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
fn g6_a_result_that_cannot_be_shown_is_found_by_its_type() {
    assert_eq!(check_result(&event()), Ok(()));
    let opaque = boxed(Type::Opaque("Socket".into()));
    let fields = vec![
        named("port", Type::U16),
        named("inner", Type::Option(opaque)),
    ];
    let list = Type::Seq(boxed(Type::Struct("Sockets".into(), fields)));
    let error = check_result(&list).unwrap_err();
    assert_eq!(error.path, "result[0].inner");
}
