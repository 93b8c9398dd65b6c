//! What is excused from a rule, and why. An entry that excuses nothing is a problem itself.

/// Files of the host and the SDK that may be longer than the budget.
pub(super) const LONG_FILES: &[(&str, &str)] = &[];

/// The only files of the product with `unsafe` in their code; tests are free.
pub(super) const UNSAFE_FILES: &[(&str, &str)] = &[
    (
        "guest-sdk/macros/src/expand.rs",
        "names an export of the plugin, which Rust counts as unsafe",
    ),
    (
        "guest-sdk/macros/src/wants.rs",
        "puts a record into a custom section, which Rust counts as unsafe",
    ),
    (
        "guest-sdk/src/buffer.rs",
        "reads what the host has written into memory that was not zeroed before",
    ),
    (
        "guest-sdk/src/entry.rs",
        "the exports that the host calls, with addresses instead of references",
    ),
    (
        "guest-sdk/src/imports.rs",
        "the imports that the host offers, with addresses instead of references",
    ),
    (
        "host/ssh-helper/src/names.rs",
        "tells the C library how to look names up, for which there is no safe call",
    ),
    (
        "host/node/src/descriptors.rs",
        "closes or marks descriptors that nothing here owns, and all at once",
    ),
    (
        "host/node/src/allocator.rs",
        "tells the C library's allocator what to keep, for which there is no safe call",
    ),
    (
        "host/node/src/launch/login/tool.rs",
        "makes a tool the leader of a session with a terminal, between fork and exec",
    ),
    (
        "host/wasm/src/compile.rs",
        "sets the compiler's flags for another processor by name",
    ),
    (
        "host/wasm/src/image.rs",
        "loads machine code that the controller compiled, which no check can prove harmless",
    ),
    (
        "host/node/src/async_fd.rs",
        "watches a descriptor that its owner promises to keep open",
    ),
    (
        "plugins/digest/src/listing/wasi.rs",
        "calls WASI itself, because std lists a directory in quadratic time",
    ),
];
