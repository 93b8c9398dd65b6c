//! Reads one file of an inventory as text.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::report::Diagnostic;

/// Bytes of one file. Thousands of hosts with many variables fit.
const FILE_MAX: u64 = 16 << 20;

/// A path as messages show it.
pub(super) fn shown(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}

pub(super) fn read_file(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| {
        match error.kind() {
        std::io::ErrorKind::NotFound => Diagnostic::usage(format!("there is no file {shown}")).help(
            "`--hosts` and `--inventory` take files; targets by themselves go before the function",
        ),
        _ => Diagnostic::usage(format!("cannot read {shown}: {error}")),
    }
    })?;
    read_text(file, &shown.to_string())
}

pub(super) fn read_input() -> Result<String, Diagnostic> {
    read_text(std::io::stdin().lock(), "standard input")
}

fn read_text(source: impl std::io::Read, shown: &str) -> Result<String, Diagnostic> {
    let mut bytes = Vec::new();
    let read = source.take(FILE_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Diagnostic::usage(format!("cannot read {shown}: {error}")))?;
    if bytes.len() as u64 > FILE_MAX {
        let most = FILE_MAX >> 20;
        return Err(Diagnostic::usage(format!(
            "{shown} has more than {most} MiB"
        )));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Diagnostic::usage(format!("{shown} is not text in UTF-8")))?;
    // Some editors put a mark before all else.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}
