//! What a terminal or a log is shown of the words of others.

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

#[cfg(test)]
mod tests {
    use super::commands_a_terminal;

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
