//! The one place where errors become text.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use super::printable::printable;
use super::screen;

/// Something that stopped a command, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnostic {
    status: Status,
    message: String,
    excerpt: Option<Excerpt>,
    notes: Vec<String>,
    help: Vec<String>,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It was tried, and failed.
    Failed = 1,
    /// The command line cannot work.
    Usage = 2,
    /// Nothing failed where it ran, but it could not run everywhere.
    Unreachable = 3,
    /// The terminal is gone.
    HungUp = 129,
    /// The keyboard asked for the end.
    Interrupted = 130,
    /// Something else asked for it.
    Terminated = 143,
    /// Nobody reads what we print. A shell would say the same of a program that the signal ended.
    PipeClosed = 141,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// A part of what the user typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Characters before the part.
    before: usize,
    /// Characters of the part; a missing one is marked by a single caret.
    length: usize,
}

impl Diagnostic {
    /// The command line cannot work.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }

    /// It was tried, and failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            excerpt: None,
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Shows the bytes `range` of `text` with carets under them.
    pub(super) fn excerpt(mut self, text: &str, range: std::ops::Range<usize>) -> Self {
        self.excerpt = Some(Excerpt {
            before: text[..range.start].chars().count(),
            length: text[range].chars().count(),
            text: text.to_owned(),
        });
        self
    }

    /// Adds a fact.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a remedy.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// The text, with colours if `style` has any.
    fn render(&self, style: Style) -> String {
        let mut lines = vec![style.line(RED, "error", &self.message)];
        if let Some(Excerpt {
            text,
            before,
            length,
        }) = &self.excerpt
        {
            let carets = "^".repeat((*length).max(1));
            lines.push(format!("  | {}", printable(text)));
            let carets = style.paint(RED, &carets);
            lines.push(format!("  | {:before$}{carets}", ""));
        }
        lines.extend(self.notes.iter().map(|note| style.line(CYAN, "note", note)));
        lines.extend(self.help.iter().map(|help| style.line(GREEN, "help", help)));
        lines.join("\n") + "\n"
    }
}

/// Writes the problem to standard error.
pub(super) fn print(problem: &Diagnostic) {
    let text = problem.render(Style::of_stderr());
    write(&text);
}

fn write(text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = screen::around(|| std::io::stderr().write_all(text.as_bytes()));
}

/// Writes a fact to standard error.
pub(super) fn note(text: &str) {
    let line = Style::of_stderr().line(CYAN, "note", text) + "\n";
    write(&line);
}

/// Writes a remedy to standard error.
pub(super) fn help(text: &str) {
    let line = Style::of_stderr().line(GREEN, "help", text) + "\n";
    write(&line);
}

/// Writes what went wrong in one of many places to standard error.
pub(super) fn failure(target: &str, text: &str) {
    let text = format!("{target}: {text}");
    let line = Style::of_stderr().line(RED, "error", &text) + "\n";
    write(&line);
}

const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[1;32m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Coloured,
}

impl Style {
    fn of_stderr() -> Self {
        match use_colours(std::io::stderr().is_terminal()) {
            true => Self::Coloured,
            false => Self::Plain,
        }
    }

    fn line(self, colour: &str, word: &str, text: &str) -> String {
        // Further lines belong to the same message.
        let text = printable(text).replace('\n', "\n  ");
        format!("{} {text}", self.paint(colour, &format!("{word}:")))
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("{colour}{text}{PLAIN}"),
        }
    }
}

/// Whether to print colours to a stream.
pub(super) fn use_colours(is_terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    is_terminal && !refused && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_where_and_what_to_do() {
        let problem = Diagnostic::usage("unknown kind of hop `loca`")
            .excerpt("lökal/loca*3", 7..11)
            .note("one\ntwo")
            .help("write `local`");
        let want = "\
error: unknown kind of hop `loca`
  | lökal/loca*3
  |       ^^^^
note: one
  two
help: write `local`
";
        assert_eq!(problem.render(Style::Plain), want);
        assert_eq!(problem.status(), Status::Usage);
    }

    #[test]
    fn a_plugin_cannot_command_the_terminal() {
        let problem = Diagnostic::failed("\u{1b}]0;title\u{7} \u{9b}2J \u{202e}a\u{200e}bc");
        let want = "error: \\u{1b}]0;title\\u{7} \\u{9b}2J \\u{202e}a\\u{200e}bc\n";
        assert_eq!(problem.render(Style::Plain), want);
    }

    #[test]
    fn colours_end_where_they_begin() {
        let text = Diagnostic::failed("no").render(Style::Coloured);
        assert_eq!(text, "\x1b[1;31merror:\x1b[0m no\n");
    }
}
