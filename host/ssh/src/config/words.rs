//! Takes a line of `ssh_config` apart: a keyword, and what follows it.
//!
//! The keyword ends at white space or at one `=`. The rest is words with the quotes and the
//! escapes of OpenSSH's own, which are not those of any shell.

const SPACE: &[char] = &[' ', '\t', '\r', '\n', '\x0c'];

/// The keyword of a line in lower case, and the rest; nothing for a line that says nothing.
pub(crate) fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_matches(SPACE);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keyword, rest) = match line.strip_prefix('"') {
        // A keyword may be quoted as well.
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => {
            let end = line.find(|c| SPACE.contains(&c) || c == '=' || c == '"');
            line.split_at(end.unwrap_or(line.len()))
        }
    };
    let rest = rest.trim_start_matches(SPACE);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((keyword.to_ascii_lowercase(), rest.trim_start_matches(SPACE)))
}

/// The words of what follows a keyword; nothing where a quote is not closed.
pub(crate) fn words(rest: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = rest.chars().peekable();
    loop {
        while chars.next_if(|&c| c == ' ' || c == '\t').is_some() {}
        // A comment starts where a word would, not inside one.
        if matches!(chars.peek(), None | Some('#')) {
            return Some(words);
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let escaped = chars.next_if(|&next| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && next == ' ')
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::{keyword, words};

    #[test]
    fn b001_a_keyword_ends_at_space_or_one_equals_sign() {
        for line in [
            "Port 22",
            " port=22",
            "PORT = 22",
            "\tPort\t22\r\n",
            "\"port\" 22",
        ] {
            assert_eq!(keyword(line), Some(("port".to_owned(), "22")), "{line:?}");
        }
        assert_eq!(keyword("Port==22"), Some(("port".to_owned(), "=22")));
        assert_eq!(keyword("  # Port 22"), None);
        assert_eq!(keyword(" \t"), None);
    }

    #[test]
    fn b001_words_have_quotes_escapes_and_comments() {
        let check = |rest: &str, want: &[&str]| {
            assert_eq!(
                words(rest).as_deref(),
                Some(
                    want.iter()
                        .map(|&w| w.to_owned())
                        .collect::<Vec<_>>()
                        .as_slice()
                ),
                "{rest:?}"
            );
        };
        check("a b\tc", &["a", "b", "c"]);
        check("a # b", &["a"]);
        check("a#b", &["a#b"]);
        check(r#""a b" 'c d'"#, &["a b", "c d"]);
        check(r#"a" "b"#, &["a b"]);
        check(r"a\ b \c", &["a b", r"\c"]);
        check(r#""a\"b" "" x"#, &["a\"b", "", "x"]);
        check("", &[]);
        assert_eq!(words("\"a"), None);
        assert_eq!(words("it's"), None);
    }
}
