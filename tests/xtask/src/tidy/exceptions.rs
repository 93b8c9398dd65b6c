//! What is excused from a rule, and why. An entry that excuses nothing is a problem itself.

/// Files of the host and the SDK that may be longer than the budget.
pub(super) const LONG_FILES: &[(&str, &str)] = &[];

/// Files of one crate that import each other. The list may only shrink.
pub(super) const CIRCLES: &[&[&str]] = &[
    &[
        "guest-sdk/abi/src/inspect.rs",
        "guest-sdk/abi/src/inspect/error.rs",
    ],
    &["guest-sdk/abi/src/known.rs", "guest-sdk/abi/src/schema.rs"],
    &[
        "guest-sdk/build/src/builder.rs",
        "guest-sdk/build/src/cargo.rs",
    ],
    &[
        "guest-sdk/build/src/toolchain.rs",
        "guest-sdk/build/src/toolchain/build_std.rs",
    ],
    &[
        "guest-sdk/macros/src/expand.rs",
        "guest-sdk/macros/src/function.rs",
    ],
    &["guest-sdk/src/error.rs", "guest-sdk/src/report.rs"],
    &[
        "guest-sdk/src/router/chain.rs",
        "guest-sdk/src/router/channel.rs",
        "guest-sdk/src/router/context.rs",
        "guest-sdk/src/router/listen.rs",
        "guest-sdk/src/router/local.rs",
        "guest-sdk/src/router/message.rs",
        "guest-sdk/src/router/mod.rs",
        "guest-sdk/src/router/receiver.rs",
        "guest-sdk/src/router/select.rs",
        "guest-sdk/src/router/sender.rs",
    ],
    &[
        "host/cli/src/doctor/access.rs",
        "host/cli/src/doctor/reach.rs",
        "host/cli/src/doctor/step.rs",
    ],
    &[
        "host/cli/src/inventory/host.rs",
        "host/cli/src/inventory/mod.rs",
    ],
    &[
        "host/cli/src/plugin/build.rs",
        "host/cli/src/plugin/inspect.rs",
        "host/cli/src/plugin/mod.rs",
    ],
    &[
        "host/node/src/driver/mod.rs",
        "host/node/src/driver/tasks.rs",
    ],
    &[
        "host/node/src/launch/binary.rs",
        "host/node/src/launch/error.rs",
        "host/node/src/launch/payload.rs",
        "host/node/src/launch/platform.rs",
    ],
    &[
        "host/node/src/launch/login/prompts.rs",
        "host/node/src/launch/login/state.rs",
    ],
    &[
        "host/node/src/launch/ship_ssh.rs",
        "host/node/src/launch/ssh/in_process.rs",
        "host/node/src/launch/ssh/mod.rs",
        "host/node/src/launch/ssh/openssh.rs",
        "host/node/src/launch/ssh/shipped.rs",
    ],
    &[
        "host/proto/src/bootstrap/conversation.rs",
        "host/proto/src/bootstrap/error.rs",
        "host/proto/src/connect.rs",
        "host/proto/src/login/error.rs",
    ],
    &["host/proto/src/frame.rs", "host/proto/src/secrets.rs"],
    &["host/proto/src/node/logs.rs", "host/proto/src/node/mod.rs"],
    &[
        "host/src/connect/become_user.rs",
        "host/src/connect/local.rs",
        "host/src/connect/mod.rs",
        "host/src/connect/ssh.rs",
    ],
    &["host/src/json/describe.rs", "host/src/json/raw.rs"],
    &["host/src/select/mod.rs", "host/src/select/source.rs"],
    &["host/wasm/src/cache.rs", "host/wasm/src/seal.rs"],
    &["host/wasm/src/error.rs", "host/wasm/src/image.rs"],
    &[
        "host/wasm/src/exchange.rs",
        "host/wasm/src/executor.rs",
        "host/wasm/src/finish.rs",
        "host/wasm/src/grants.rs",
        "host/wasm/src/imports.rs",
        "host/wasm/src/instance.rs",
        "host/wasm/src/plugin.rs",
        "host/wasm/src/runtime.rs",
        "host/wasm/src/state.rs",
        "host/wasm/src/task.rs",
        "host/wasm/src/ticker.rs",
        "host/wasm/src/wasi/memory.rs",
        "host/wasm/src/wasi/mod.rs",
        "host/wasm/src/wasi/wait.rs",
    ],
    &["host/wasm/src/files/mod.rs", "host/wasm/src/files/table.rs"],
];

/// Public functions with a `bool` parameter. The list may only shrink.
pub(super) const BOOL_PARAMETERS: &[&str] = &[
    "host/proto/src/method.rs::only_given_identities",
    "host/proto/src/node/mod.rs::set_unidirectional",
    "host/src/context/messages.rs::send_async",
    "host/src/utils.rs::log_to_file",
];

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
