//! Finds two functions of one name in different modules of a crate.
//!
//! The compiler cannot: both are legal Rust, and their exports would only clash in the linker,
//! which knows no source lines. A macro sees one item at a time, so the names seen live in a
//! static of this process, which compiles one crate. A language server keeps its process for long
//! and expands again after each edit; it reports no file, and then nothing is compared.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use proc_macro2::Span;
use syn::Error;

type Place = (String, usize, usize);

static SEEN: Mutex<Option<HashMap<(String, String), Place>>> = Mutex::new(None);

/// Remembers the function `name` defined at `span`; fails if it is taken.
pub(crate) fn claim(name: &str, span: Span) -> Result<(), Error> {
    let Some(place) = place(span) else {
        return Ok(());
    };
    let krate = std::env::var("CARGO_CRATE_NAME").unwrap_or_default();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let first = seen
        .get_or_insert_default()
        .entry((krate, name.to_owned()))
        .or_insert_with(|| place.clone());
    if *first == place {
        return Ok(());
    }
    let (file, line, _) = &*first;
    Err(Error::new(
        span,
        format!(
            "the plugin already has a function named `{name}` ({file}:{line}): give one of them \
             another name with `#[function(name = \"...\")]`"
        ),
    ))
}

/// Where a span starts; nothing outside the compiler, such as in unit tests.
fn place(span: Span) -> Option<Place> {
    if !proc_macro::is_available() {
        return None;
    }
    let span = span.unwrap();
    let file = span.file();
    (!file.is_empty()).then(|| (file, span.line(), span.column()))
}
