use std::collections::HashMap;
use std::path::Path;

use offshoot_guest::function;

#[function]
fn every_kind(text: &str, bytes: &[u8], path: &Path, other: &mut Vec<u32>, nested: Option<&str>) -> &'static str {
    "all are reported at once"
}

#[function]
fn inside(map: HashMap<&str, u32>) -> Result<&'static str, &'static str> {
    Err("an error may borrow, a value may not")
}

fn main() {}
