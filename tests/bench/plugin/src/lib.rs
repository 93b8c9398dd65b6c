//! The plugin that the benchmarks call: as little work as a call can carry.

use offshoot_guest::function;

/// The sum of two numbers: a call whose own work costs nothing.
#[function]
pub fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// The same bytes back.
#[function]
pub fn echo(data: Vec<u8>) -> Vec<u8> {
    data
}
