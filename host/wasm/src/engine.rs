//! The engine's settings, in one place for both ends.
//!
//! An image loads only into an engine that was made with the settings it was compiled with, so
//! the compiler and the runtime must never build their own.

use std::num::NonZeroUsize;

use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

use super::target::Profile;

/// Stack that a guest may use. Overflow is a trap, not a crash.
const GUEST_STACK: usize = 512 << 10;
/// Stack of a fiber: the guest's, and as much again for the host functions it calls.
const FIBER_STACK: usize = 2 * GUEST_STACK;
/// Frames of a backtrace. A panic's own machinery takes up to a dozen of them.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// What compilers for `wasm32-wasip1` emit today, and nothing else: each further proposal is code
/// in the child and surface for an attacker.
const FEATURES: WasmFeatures = WasmFeatures::BULK_MEMORY
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SIMD);

/// Settings for an engine of that profile, on whichever end.
pub(super) fn config(profile: Profile) -> Config {
    let mut config = Config::new();
    config.wasm_features(FEATURES.complement(), false);
    config.wasm_features(FEATURES, true);
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        // Decided here and not by an environment variable: it is part of what an image must match.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Frames are found by their frame pointers. The table would be larger than the code.
        .native_unwind_info(false)
        .generate_address_map(false);
    match profile {
        Profile::Wide => {}
        Profile::Narrow => {
            config
                .memory_reservation(0)
                .memory_reservation_for_growth(1 << 20)
                .memory_guard_size(64 << 10)
                .guard_before_linear_memory(false)
                .memory_may_move(true);
        }
    }
    config
}
