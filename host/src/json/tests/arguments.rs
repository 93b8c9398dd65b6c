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
