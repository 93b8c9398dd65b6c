//! What is excused from a rule, and why. An entry that excuses nothing is a problem itself.

/// Files of the host and the SDK that may be longer than the budget.
pub(super) const LONG_FILES: &[(&str, &str)] = &[];

/// The only files of the product with `unsafe` in their code.
pub(super) const UNSAFE_FILES: &[(&str, &str)] = &[(
    "host/src/wasm/image.rs",
    "loads machine code that the controller compiled, which no check can prove harmless",
)];
