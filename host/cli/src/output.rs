//! Results on standard output.

use std::io::{ErrorKind, Write};

use offshoot_proto::commands_a_terminal;

use super::report::{Diagnostic, Status};
use super::screen;

/// Why a line could not be written.
pub(super) enum WriteError {
    /// Whoever read our output has seen enough, and wants no complaint.
    Closed,
    /// Something that the user should know.
    Diagnostic(Diagnostic),
}

/// Writes a line at once, so that a reader sees each result as it comes.
pub(super) fn line(text: &str) -> Result<(), WriteError> {
    let mut stdout = std::io::stdout().lock();
    screen::around(|| writeln!(stdout, "{text}").and_then(|()| stdout.flush())).map_err(|error| {
        match error.kind() {
            ErrorKind::BrokenPipe => WriteError::Closed,
            _ => WriteError::Diagnostic(Diagnostic::failed(format!(
                "cannot write to standard output: {error}"
            ))),
        }
    })
}

/// Writes a text; the exit status tells whether someone read it.
pub(super) fn text(text: &str) -> Result<std::process::ExitCode, Diagnostic> {
    match line(text.trim_end_matches('\n')) {
        Ok(()) => Ok(std::process::ExitCode::SUCCESS),
        Err(WriteError::Closed) => Ok(Status::PipeClosed.into()),
        Err(WriteError::Diagnostic(problem)) => Err(problem),
    }
}

/// JSON on one line, without characters that would command a terminal.
pub(super) fn json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    // Such characters occur in strings only, where an escape says the same.
    if !text.contains(commands_a_terminal) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match commands_a_terminal(c) {
            true => clean.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn json_stays_the_same_value_and_commands_no_terminal() {
        let value = json!({"a\u{9b}": "\u{1b}[2J\u{7f}\u{202e}\u{200f}ü€"});
        let text = super::json(&value);
        assert_eq!(text, r#"{"a\u009b":"\u001b[2J\u007f\u202e\u200fü€"}"#);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
