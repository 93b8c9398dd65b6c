//! See `sim::fuzz::welcome`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sim::fuzz::welcome(data));
