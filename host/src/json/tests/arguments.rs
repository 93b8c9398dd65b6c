//! Arguments as typed on a command line.

use offshoot_abi::{Argument, FunctionInfo, Type};

use super::{Event, boxed, event};
use crate::json::{ArgumentText, encode_arguments};

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
        "expected Bytes as JSON, found `[1,`: EOF while parsing a value at line 1 column 3",
    );
}
