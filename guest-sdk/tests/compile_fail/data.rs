use offshoot_guest::data;

#[data]
struct Fields {
    #[serde(skip)]
    skipped: u32,
    #[serde(flatten)]
    flattened: Vec<u32>,
    #[serde(with = "other")]
    with: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sometimes: Option<u32>,
    #[serde(rename(serialize = "a", deserialize = "b"))]
    two_names: u32,
}

#[data]
#[serde(tag = "kind", content = "value", rename_all = "Title Case")]
enum Tagged {
    One,
    #[serde(other)]
    Other,
}

#[data]
#[derive(Clone, serde::Serialize)]
struct Derived;

#[data]
struct Borrowed<'a> {
    text: &'a str,
}

#[data]
struct Sized<const N: usize>([u8; N]);

#[data]
union Either {
    a: u32,
    b: f32,
}

#[data(fast)]
struct Optioned;

fn main() {}
