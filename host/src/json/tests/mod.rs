//! Our JSON beside serde's own: for concrete types, the bytes must be postcard's and the JSON
//! must be `serde_json`'s.

use std::collections::BTreeMap;
use std::fmt::Debug;

use offshoot_abi::{NamedType, Type, VariantType};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

mod arguments;
mod hostile;
mod refusals;

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    leaf: Option<Box<Self>>,
    branches: Vec<(u8, Branch)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Branch {
    /// Of the same name as the type around it.
    Tree(Tree),
    None,
}

fn tree() -> Type {
    let itself = || Type::Recursive("Tree".into());
    let variants = vec![
        VariantType {
            name: "Tree".into(),
            content: Type::Newtype("Tree".into(), boxed(itself())),
        },
        VariantType {
            name: "None".into(),
            content: Type::Unit,
        },
    ];
    let branch = Type::Enum("Branch".into(), variants);
    let fields = vec![
        named("leaf", Type::Option(boxed(itself()))),
        named(
            "branches",
            Type::Seq(boxed(Type::Tuple(vec![Type::U8, branch]))),
        ),
    ];
    Type::Struct("Tree".into(), fields)
}

#[test]
fn g6_a_type_that_holds_itself_agrees_with_serde() {
    let mut value = Tree {
        leaf: None,
        branches: Vec::new(),
    };
    for number in 0..10 {
        value = Tree {
            leaf: Some(Box::new(value.clone())).filter(|_| number % 3 == 0),
            branches: vec![(number, Branch::Tree(value)), (7, Branch::None)],
        };
    }
    agree(&tree(), &value);
    assert_eq!(check_result(&tree()), Ok(()));
}

#[test]
fn a_type_that_refers_to_none_around_it_or_to_itself_alone_is_refused() {
    let lost = Type::Recursive("Tree".into());
    assert!(decode(&lost, &[0]).is_err());
    let itself = Type::Newtype("A".into(), boxed(Type::Recursive("A".into())));
    assert!(decode(&itself, &[0]).is_err());
    assert!(encode(&itself, &json!(1), &mut Vec::new()).is_err());
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
