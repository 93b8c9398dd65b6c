//! The plugin that the benchmarks call: as little work as a call can carry.

use std::collections::HashMap;
use std::sync::OnceLock;

use offshoot_guest::{Blob, function};

/// The sum of two numbers: a call whose own work costs nothing.
#[function]
pub fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// The same bytes back.
#[function]
pub fn echo(data: Blob) -> Blob {
    data
}

/// How many bytes arrived.
#[function]
pub fn swallow(data: Blob) -> u64 {
    data.len() as u64
}

/// So many bytes that do not compress, the same ones each time.
#[function]
pub fn produce(count: u64) -> Blob {
    // Made once, so that what is measured is their way.
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let mut state = 1_u32;
        let bytes = (0..count).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        bytes.collect()
    });
    made.clone().into()
}

/// Keeps the context busy with nothing for so many milliseconds.
#[function]
pub fn pause(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}

/// How often each word of a text occurs, most often first.
///
/// Nothing measures it. It brings in hashing, sorting and text, so that the plugin is as large
/// as plugins usually are, about 100 KB.
#[function]
pub fn words(text: String) -> Vec<(String, u64)> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_counted_without_regard_to_case() {
        let counted = super::words("a B b\tc".to_owned());
        let want = [("b", 2), ("a", 1), ("c", 1)].map(|(word, count)| (word.to_owned(), count));
        assert_eq!(counted, want);
    }
}
