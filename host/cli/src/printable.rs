//! Text of others, made harmless for a terminal.

use offshoot_proto::commands_a_terminal;

/// The text without characters that would command a terminal.
///
/// Plugins and their files choose names, docs and messages; they must not choose what the
/// terminal does.
pub(super) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => clean.push(c),
            c if commands_a_terminal(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}
