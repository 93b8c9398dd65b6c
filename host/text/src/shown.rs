//! What a terminal or a log is shown of the words of others.

use core::fmt;

/// Whether `c` does more to a line than appear in it: control characters, line and paragraph
/// separators, and marks that change the order or the shape of what is around them.
///
/// Words of other contexts, servers, tools and files go through this before a user reads them.
pub fn commands_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        )
}

/// Bytes of a [`Shown`] text; a longer one is cut.
const SHOWN_MAX: usize = 8 * 1024;

/// A text of another context, server or tool as users may read it: without what a terminal would
/// act on, and of a bounded length. Newlines and tabs stay.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = *self;
        let end = (0..=SHOWN_MAX.min(text.len()))
            .rev()
            .find(|&end| text.is_char_boundary(end));
        let acts = |c: char| commands_a_terminal(c) && !matches!(c, '\n' | '\t');
        let parts = text[..end.unwrap_or(0)].split(acts);
        parts.into_iter().try_for_each(|part| f.write_str(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_terminal_is_never_driven_by_what_is_shown() {
        let hostile = "\x1b]52;c;aGk=\x07ok\u{202e}\rmo\u{200f}\u{61c}\u{2028}re\u{9b}31m\n\t.";
        assert_eq!(Shown(hostile).to_string(), "]52;c;aGk=okmore31m\n\t.");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let shown = Shown(&format!(".{}", "ä".repeat(SHOWN_MAX))).to_string();
        assert_eq!(shown.len(), SHOWN_MAX - 1);
    }

    #[test]
    fn what_would_steer_a_line_is_told_from_text() {
        let marks = "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\
                     \u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{206a}\u{206f}\u{1b}\u{9b}\u{7f}\0";
        assert!(marks.chars().all(commands_a_terminal));
        // Joiners hold emoji and scripts together.
        let text = "a ä \u{200d}\u{200c} 漢 ש ش 👩\u{200d}🚀 …";
        assert!(!text.chars().any(commands_a_terminal));
    }
}
