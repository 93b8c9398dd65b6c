//! What a caller sees of a plugin's functions: handles with names, signatures and types, and
//! schemas that describe what serde writes.

use std::collections::HashMap;
use std::fmt::Display;

use offshoot_abi::record::signature;
use offshoot_abi::{Field, Shape, VariantShape};
use offshoot_guest::{Function, Host, Result, Schema, data, function, functions};
use serde::{Deserialize, Serialize};

/// Adds two numbers.
#[function]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[function(concurrent, name = "who-am-i")]
fn who_am_i(host: &Host) -> String {
    format!("{} {:?}", host.name(), host.parent_id())
}

#[function]
fn number(r#type: String) -> Result<u8> {
    Ok(r#type.parse::<u8>()?)
}

struct Text;

#[functions]
impl Text {
    #[function]
    fn measure(text: String) -> std::io::Result<u64> {
        Ok(text.len() as u64)
    }
}

/// A `Result` by other names.
type Answer<T> = std::result::Result<T, String>;
type Done = Answer<()>;

#[function]
fn answer(fails: bool) -> Answer<u64> {
    if fails { Err("no".to_owned()) } else { Ok(7) }
}

#[function]
fn done() -> Done {
    Ok(())
}

#[function]
fn boxed() -> std::result::Result<u8, Box<dyn std::error::Error>> {
    Ok("7".parse()?)
}

mod own {
    /// Not a `Result`, but for its name.
    #[offshoot_guest::data]
    pub(super) struct Result(pub u8);
}

#[function]
fn own_result() -> own::Result {
    own::Result(1)
}

#[function]
fn inside() -> Option<Answer<u64>> {
    Some(answer(false))
}

#[test]
fn a_result_is_one_by_its_type_and_not_by_its_name() {
    fn output<F: Function<Output = T>, T>() {}
    output::<answer, u64>();
    output::<done, ()>();
    output::<boxed, u8>();
    output::<own_result, own::Result>();
    output::<inside, Option<Answer<u64>>>();
    assert_eq!(answer::SIGNATURE, signature(&FAILS, &Shape::U64));
    assert!(answer(true).is_err() && done().is_ok() && boxed().is_ok());
    assert_eq!(own_result().0, 1);
    assert!(inside().is_some());
}

const FAILS: [Field; 1] = [Field {
    name: "fails",
    shape: Shape::Bool,
}];

/// A type with serde's traits only.
#[derive(Serialize, Deserialize)]
struct Foreign(u8);

#[function]
fn foreign(value: Foreign, more: Vec<Foreign>) -> HashMap<String, Foreign> {
    let mut map = HashMap::new();
    map.insert("sum".to_owned(), Foreign(value.0 + more.len() as u8));
    map
}

#[data]
#[serde(transparent)]
struct Unseen(Vec<Self>);

#[data]
struct Listed<T> {
    value: T,
    next: Option<Box<Self>>,
    by_name: Vec<(u8, Listed<T>)>,
}

#[test]
fn g6_a_type_that_holds_itself_has_a_schema() {
    let Shape::Struct("Listed", fields) = <Listed<u8>>::SHAPE else {
        panic!("{:?}", <Listed<u8>>::SHAPE);
    };
    const ITSELF: Shape = Shape::Recursive("Listed");
    assert_eq!(fields[1].shape, Shape::Option(&ITSELF));
    const PAIR: Shape = Shape::Tuple(&[Shape::U8, ITSELF]);
    assert_eq!(fields[2].shape, Shape::Seq(&PAIR));
    assert_eq!(Unseen::SHAPE, Shape::Opaque("Vec<Self>"));
}

fn facts<F: Function>() -> (&'static str, &'static str, u64) {
    (F::PLUGIN, F::NAME, F::SIGNATURE)
}

#[test]
fn functions_stay_functions() {
    assert_eq!(add(1, 2), 3);
    assert_eq!(who_am_i(&Host::new(4, [2, 0], "web1")), "web1 Some(2)");
    assert_eq!(Text::measure("abc".to_owned()).unwrap(), 3);
    assert!(number("x".to_owned()).is_err());
    assert_eq!(foreign(Foreign(1), vec![Foreign(2)])["sum"].0, 2);
}

#[test]
fn handles_carry_what_a_call_needs() {
    const TWO: &[Field] = &[
        Field {
            name: "a",
            shape: Shape::U32,
        },
        Field {
            name: "b",
            shape: Shape::U32,
        },
    ];
    let expected = ("offshoot-guest", "add", signature(TWO, &Shape::U32));
    assert_eq!(facts::<add>(), expected);
    assert_eq!(
        facts::<who_am_i>(),
        ("offshoot-guest", "who-am-i", signature(&[], &Shape::Str)),
        "the host is not an argument"
    );
    assert_eq!(facts::<Text_measure>().1, "Text::measure");
}

#[test]
fn the_result_of_a_fallible_function_is_its_value() {
    fn same<F: Function<Arguments = A, Output = O>, A, O>(_: fn(A) -> O) {}
    same::<number, (String,), u8>(|(text,)| text.len() as u8);
    same::<Text_measure, (String,), u64>(|_| 0);
    same::<add, (u32, u32), u32>(|(a, b)| a + b);
}

#[test]
fn types_without_a_schema_go_by_their_name() {
    const ARGUMENTS: &[Field] = &[
        Field {
            name: "value",
            shape: Shape::Opaque("Foreign"),
        },
        Field {
            name: "more",
            shape: Shape::Opaque("Vec<Foreign>"),
        },
    ];
    let result = Shape::Opaque("HashMap<String, Foreign>");
    assert_eq!(facts::<foreign>().2, signature(ARGUMENTS, &result));
}

/// A tree refers to itself.
#[data]
#[serde(rename = "disk", rename_all = "camelCase", deny_unknown_fields)]
#[derive(Debug, PartialEq)]
struct Disk<T> {
    device_name: String,
    #[serde(rename = "type")]
    kind: Kind,
    free: Option<T>,
    parts: Vec<Disk<T>>,
}

#[data]
#[serde(rename_all = "SCREAMING-KEBAB-CASE", rename_all_fields = "PascalCase")]
#[derive(Debug, Default, PartialEq)]
enum Kind {
    #[default]
    SolidState,
    Spinning {
        turns_per_minute: u32,
    },
    Named(Name),
    Pair(u8, char),
}

#[data]
#[serde(transparent)]
#[derive(Debug, PartialEq)]
struct Name {
    inner: Wrapped,
}

#[data]
#[derive(Debug, PartialEq)]
struct Wrapped(String);

#[data]
struct Nothing;

#[data]
struct Two(u8, Nothing);

#[test]
fn a_schema_follows_serdes_renaming() {
    let Shape::Struct("disk", fields) = <Disk<u64>>::SHAPE else {
        panic!("{:?}", <Disk<u64>>::SHAPE);
    };
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["deviceName", "type", "free", "parts"]);
    assert_eq!(fields[2].shape, Shape::Option(&Shape::U64));
    assert_eq!(fields[3].shape, Shape::Seq(&Shape::Recursive("disk")));

    let Shape::Enum("Kind", variants) = fields[1].shape else {
        panic!("{:?}", fields[1].shape);
    };
    let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
    assert_eq!(names, ["SOLID-STATE", "SPINNING", "NAMED", "PAIR"]);
    let VariantShape::Struct(fields) = variants[1].shape else {
        panic!("{:?}", variants[1].shape);
    };
    assert_eq!(fields[0].name, "TurnsPerMinute");
    let named = VariantShape::Newtype(&Shape::Newtype("Wrapped", &Shape::Str));
    assert_eq!(variants[2].shape, named);
    assert_eq!(
        Two::SHAPE,
        Shape::TupleStruct("Two", &[Shape::U8, Shape::Unit])
    );
}

#[test]
fn data_travels() {
    let disk = |parts| Disk {
        device_name: "sda".to_owned(),
        kind: Kind::Spinning {
            turns_per_minute: 7200,
        },
        free: Some(4u64),
        parts,
    };
    let sent = disk(vec![disk(Vec::new())]);
    let bytes = postcard::to_allocvec(&sent).unwrap();
    assert_eq!(postcard::from_bytes::<Disk<u64>>(&bytes).unwrap(), sent);
}

#[test]
fn any_error_that_can_be_displayed_will_do() {
    #[function]
    fn picky(value: u8) -> Result<u8, impl_display::Odd> {
        match value % 2 {
            0 => Ok(value),
            _ => Err(impl_display::Odd),
        }
    }
    assert!(picky(1).is_err());
    assert_eq!(facts::<picky>().1, "picky");
}

mod impl_display {
    use super::Display;

    pub(super) struct Odd;

    impl Display for Odd {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("odd")
        }
    }
}
