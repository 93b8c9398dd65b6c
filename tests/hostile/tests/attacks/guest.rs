//! A guest that calls WASI's functions on paths itself, whatever a library would make of them.

use std::fmt::Write as _;

use offshoot::{Context, Grant, Plugin};
use offshoot_abi::record::{FunctionRecord, function, function_len};
use offshoot_abi::{ABI_VERSION, SECTION, Shape};

/// The record of a function that takes nothing and returns a number.
const RECORD: FunctionRecord = FunctionRecord {
    abi: ABI_VERSION,
    sdk: "0.1.0",
    plugin: "evil",
    version: "1.0.0",
    name: "f",
    docs: "",
    flags: 0,
    arguments: &[],
    result: Shape::U64,
    error: "",
};
const MANIFEST: [u8; function_len(&RECORD)] = function(&RECORD);

/// What WASI says when all is well.
pub(crate) const SUCCESS: u64 = 0;

/// One function of WASI, on paths below the first granted directory. `link` and `rename` go from
/// there to the last granted one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attempt<'a> {
    Read(&'a str),
    Write(&'a str),
    Create(&'a str),
    Truncate(&'a str),
    MakeDirectory(&'a str),
    RemoveDirectory(&'a str),
    Unlink(&'a str),
    Touch(&'a str),
    ReadLink(&'a str),
    Rename(&'a str, &'a str),
    Link(&'a str, &'a str),
    Symlink(&'a str, &'a str),
}

const READ_RIGHT: u64 = 1 << 1;
const WRITE_RIGHT: u64 = 1 << 6;

impl<'a> Attempt<'a> {
    /// The paths, and the code that leaves the error's number on the stack. The first path is at
    /// 4096, the second one at 8192, and what is to be written at 3000.
    fn code(self, last: u32) -> (&'a str, &'a str, String) {
        let (one, two) = match self {
            Self::Read(path)
            | Self::Write(path)
            | Self::Create(path)
            | Self::Truncate(path)
            | Self::MakeDirectory(path)
            | Self::RemoveDirectory(path)
            | Self::Unlink(path)
            | Self::Touch(path)
            | Self::ReadLink(path) => (path, ""),
            Self::Rename(one, two) | Self::Link(one, two) | Self::Symlink(one, two) => (one, two),
        };
        let first = format!("(i32.const 4096) (i32.const {})", one.len());
        let second = format!("(i32.const 8192) (i32.const {})", two.len());
        let open = |flags: u32, rights: u64| {
            format!(
                "(call $open (i32.const 3) (i32.const 1) {first} (i32.const {flags})
                    (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 100))"
            )
        };
        // What is opened counts only if it also is of use.
        let then = |open: String, io: &str| {
            format!(
                "(if (result i32) (local.tee $errno {open})
                    (then (local.get $errno))
                    (else (call {io} (i32.load (i32.const 100))
                        (i32.const 200) (i32.const 1) (i32.const 300))))"
            )
        };
        let code = match self {
            Self::Read(_) => then(open(0, READ_RIGHT), "$read"),
            Self::Write(_) => then(open(0, WRITE_RIGHT), "$write"),
            Self::Create(_) => then(open(1, WRITE_RIGHT), "$write"),
            Self::Truncate(_) => open(8, WRITE_RIGHT),
            Self::MakeDirectory(_) => format!("(call $mkdir (i32.const 3) {first})"),
            Self::RemoveDirectory(_) => format!("(call $rmdir (i32.const 3) {first})"),
            Self::Unlink(_) => format!("(call $unlink (i32.const 3) {first})"),
            Self::Touch(_) => format!(
                "(call $times (i32.const 3) (i32.const 1) {first}
                    (i64.const 0) (i64.const 0) (i32.const 10))"
            ),
            Self::ReadLink(_) => format!(
                "(call $readlink (i32.const 3) {first}
                    (i32.const 12288) (i32.const 4096) (i32.const 300))"
            ),
            Self::Rename(..) => {
                format!("(call $rename (i32.const 3) {first} (i32.const {last}) {second})")
            }
            Self::Link(..) => format!(
                "(call $link (i32.const 3) (i32.const 0) {first} (i32.const {last}) {second})"
            ),
            Self::Symlink(..) => {
                format!("(call $symlink {first} (i32.const {last}) {second})")
            }
        };
        (one, two, code)
    }

    fn module(self, grants: u32) -> Vec<u8> {
        let (one, two, code) = self.code(2 + grants);
        let import = |name: &str, as_name: &str, params: &str| {
            format!(
                r#"(import "wasi_snapshot_preview1" "{name}"
                    (func ${as_name} (param {params}) (result i32)))"#
            )
        };
        let imports = [
            import("path_open", "open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
            import("fd_read", "read", "i32 i32 i32 i32"),
            import("fd_write", "write", "i32 i32 i32 i32"),
            import("path_create_directory", "mkdir", "i32 i32 i32"),
            import("path_remove_directory", "rmdir", "i32 i32 i32"),
            import("path_unlink_file", "unlink", "i32 i32 i32"),
            import(
                "path_filestat_set_times",
                "times",
                "i32 i32 i32 i32 i64 i64 i32",
            ),
            import("path_readlink", "readlink", "i32 i32 i32 i32 i32 i32"),
            import("path_rename", "rename", "i32 i32 i32 i32 i32 i32"),
            import("path_link", "link", "i32 i32 i32 i32 i32 i32 i32"),
            import("path_symlink", "symlink", "i32 i32 i32 i32 i32"),
        ];
        let text = format!(
            r#"(module {imports}
                (memory (export "memory") 2)
                (func (export "offshoot.arguments") (param i32) (result i32) (i32.const 1024))
                (data (i32.const 3000) "x")
                (data (i32.const 200) "\b8\0b\00\00\01\00\00\00")
                (data (i32.const 4096) "{one}")
                (data (i32.const 8192) "{two}")
                (func (export "offshoot.call.f") (param i32) (result i64) (local $errno i32)
                    (i32.store8 (i32.const 2000) (i32.const 0))
                    (i32.store8 (i32.const 2001) {code})
                    (i64.or (i64.shl (i64.const 2000) (i64.const 32)) (i64.const 2)))
                (@custom "{SECTION}" "{manifest}"))"#,
            imports = imports.concat(),
            one = escaped(one.as_bytes()),
            two = escaped(two.as_bytes()),
            manifest = escaped(&MANIFEST),
        );
        wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Has a context run it with these grants; WASI's number of the error.
    pub(crate) async fn run(self, context: &Context, grants: &[Grant]) -> u64 {
        let count = u32::try_from(grants.len()).expect("a few");
        let plugin = Plugin::from_bytes("evil.wasm", self.module(count)).expect("a plugin so far");
        let plugin = grants.iter().cloned().fold(plugin, Plugin::grant);
        let ran = context.call_named::<u64>(&plugin, "f", &()).await;
        ran.unwrap_or_else(|error| panic!("{self:?}: {error:#}"))
    }
}

/// A plugin that opens the same file until it is refused, and then gives up.
pub(crate) fn hoarder(path: &str) -> Plugin {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open" (func $open
                (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (func (export "offshoot.arguments") (param i32) (result i32) (i32.const 1024))
            (data (i32.const 4096) "{path}")
            (func (export "offshoot.call.f") (param i32) (result i64)
                (loop $again
                    (br_if $again (i32.eqz (call $open (i32.const 3) (i32.const 1)
                        (i32.const 4096) (i32.const {length}) (i32.const 0)
                        (i64.const {READ_RIGHT}) (i64.const 0) (i32.const 0) (i32.const 100)))))
                unreachable)
            (@custom "{SECTION}" "{manifest}"))"#,
        length = path.len(),
        manifest = escaped(&MANIFEST),
    );
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    Plugin::from_bytes("evil.wasm", wasm).expect("a plugin so far")
}

/// Bytes as text of the text format.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}
