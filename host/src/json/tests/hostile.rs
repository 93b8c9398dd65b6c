//! Bytes and types that mean harm.

use offshoot_abi::Type;
use serde_json::json;

use super::{boxed, event, named};
use crate::json::{JsonErrorKind, decode, encode};

#[test]
fn hostile_results_end_in_an_error() {
    let nothing = Type::Seq(boxed(Type::Unit));
    let huge = postcard::to_allocvec(&u64::MAX).unwrap();
    let too_large =
        "the value takes more than 256 MiB as JSON: return large data as `Blob`, or less of it";
    for (ty, bytes, want) in [
        (
            Type::Seq(boxed(Type::U16)),
            huge.clone(),
            "the bytes are no u16: they end too early".to_owned(),
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
            "the bytes are no Blob: they end too early".to_owned(),
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
    assert_eq!(*error.kind, JsonErrorKind::TooLarge(256));
}

#[test]
fn a_type_nested_without_end_is_refused() {
    let mut ty = Type::Unit;
    for _ in 0..1000 {
        ty = Type::Option(boxed(ty));
    }
    assert_eq!(
        *decode(&ty, &[1; 1000]).unwrap_err().kind,
        JsonErrorKind::TooDeep(130)
    );
    let error = encode(&ty, &json!(1), &mut Vec::new()).unwrap_err();
    assert_eq!(*error.kind, JsonErrorKind::TooDeep(130));
}
