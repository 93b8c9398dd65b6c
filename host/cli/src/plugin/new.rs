//! `offshoot plugin new`: a crate that compiles, with something to change in it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::NewArgs;
use crate::output;
use crate::report::Diagnostic;

const MANIFEST: &str = include_str!("template/Cargo.toml.txt");
const SOURCE: &str = include_str!("template/lib.rs.txt");
const IGNORED: &str = "/target\n";

/// For a crate inside another workspace, which cargo would otherwise ask to adopt it.
const STANDS_ALONE: &str =
    "\n# It stands alone, although another workspace is around it.\n[workspace]\n";

/// Characters of a crate's name at most; crates.io takes no longer ones.
const NAME_MAX: usize = 64;

pub(super) fn run(args: &NewArgs) -> Result<ExitCode, Diagnostic> {
    let path = &args.path;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    check_name(name)?;
    if path.exists() {
        return Err(
            Diagnostic::failed(format!("{} exists already", path.display()))
                .help("choose another name, or remove it first"),
        );
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let around = parent
        .canonicalize()
        .map_err(|error| failed(parent, &error))?;
    fs::create_dir(path).map_err(|error| failed(path, &error))?;
    create(&path.join("Cargo.toml"), &manifest(name, &around))?;
    create(&path.join(".gitignore"), IGNORED)?;
    let source = path.join("src");
    fs::create_dir(&source).map_err(|error| failed(&source, &error))?;
    create(&source.join("lib.rs"), &SOURCE.replace("{name}", name))?;
    output::text(&format!(
        "made {shown}: its functions are in {shown}/src/lib.rs\n\n  \
         cd {shown}\n  \
         cargo test\n  \
         offshoot plugin build\n  \
         offshoot call local {name}::greet you",
        shown = path.display()
    ))
}

fn manifest(name: &str, around: &Path) -> String {
    let dependency = match sdk_around(around) {
        Some(sdk) => format!("{{ path = {:?} }}", sdk.display().to_string()),
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
    };
    let manifest = MANIFEST
        .replace("{name}", name)
        .replace("{dependency}", &dependency);
    match is_in_workspace(around) {
        true => manifest + STANDS_ALONE,
        false => manifest,
    }
}

/// The SDK of the checkout that `around` lies in, relative to a directory right inside it.
fn sdk_around(around: &Path) -> Option<PathBuf> {
    let mut up = PathBuf::from("..");
    for directory in around.ancestors() {
        let manifest = fs::read_to_string(directory.join("guest-sdk/Cargo.toml"));
        if manifest.is_ok_and(|text| text.contains("name = \"offshoot-guest\"")) {
            return Some(up.join("guest-sdk"));
        }
        up.push("..");
    }
    None
}

fn is_in_workspace(around: &Path) -> bool {
    around.ancestors().any(|directory| {
        let manifest = fs::read_to_string(directory.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
    })
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> Result<(), Diagnostic> {
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => Diagnostic::failed(format!("there is no directory {shown}")),
        _ => Diagnostic::failed(format!("cannot make {shown}: {error}")),
    }
}

/// Refuses what cargo or rustc would refuse later, in a file that the user did not write.
fn check_name(name: &str) -> Result<(), Diagnostic> {
    let reason = if name.is_empty() {
        "a name is missing"
    } else if name.len() > NAME_MAX {
        "it is longer than 64 characters"
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        "it must start with a letter"
    } else if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    {
        "it may have ASCII letters, digits, `-` and `_` only"
    } else if RESERVED.contains(&name) {
        "the word means something else to Rust or cargo"
    } else {
        return Ok(());
    };
    let problem = Diagnostic::usage(format!("`{name}` cannot be a plugin's name: {reason}"));
    Err(match suggestion(name) {
        Some(suggestion) => problem.help(format!("how about `{suggestion}`?")),
        None => problem,
    })
}

fn suggestion(name: &str) -> Option<String> {
    let letters = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let mut better: String = letters
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .take(NAME_MAX)
        .collect();
    better = better.trim_end_matches('-').to_owned();
    if RESERVED.contains(&better.as_str()) {
        better += "-plugin";
    }
    (!better.is_empty() && better != name).then_some(better)
}

/// Keywords of Rust, and names of crates and cargo's own directories.
const RESERVED: &[&str] = &[
    "Self",
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_refuses_are_refused_here() {
        for name in ["hello", "disk-use", "a1_b"] {
            assert_eq!(check_name(name), Ok(()));
        }
        for (name, better) in [
            ("9lives", Some("lives")),
            ("a b", Some("a-b")),
            ("wörld", Some("w-rld")),
            ("fn", Some("fn-plugin")),
            ("", None),
            ("-", None),
        ] {
            assert!(check_name(name).is_err(), "{name}");
            assert_eq!(suggestion(name).as_deref(), better, "{name}");
        }
    }

    #[test]
    fn the_sdk_comes_from_the_checkout_around() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("a/b");
        fs::create_dir_all(&inside).unwrap();
        assert!(!manifest("x", &inside).contains("path = "));
        assert!(!manifest("x", &inside).contains("[workspace]"));

        fs::create_dir(root.path().join("guest-sdk")).unwrap();
        let sdk = "[package]\nname = \"offshoot-guest\"\n";
        fs::write(root.path().join("guest-sdk/Cargo.toml"), sdk).unwrap();
        fs::write(root.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        let text = manifest("x", &inside);
        assert!(
            text.contains("offshoot-guest = { path = \"../../../guest-sdk\" }"),
            "{text}"
        );
        assert!(text.ends_with("[workspace]\n"), "{text}");
    }
}
