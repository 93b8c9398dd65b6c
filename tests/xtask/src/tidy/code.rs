//! Tells Rust code from what only looks like it: comments and literals.

/// `source` with every comment, string and character literal blanked out, line by line.
///
/// It is a scanner, not a parser: enough to look for words in code.
pub(super) fn without_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let length = text_length(rest, code.chars().next_back());
        if length == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        }
        // Lines keep their numbers.
        let blank = rest[..length].chars();
        code.extend(blank.map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

/// Code without what is compiled for its tests alone: each item behind `#[cfg(test)]` is blanked out.
pub(super) fn shipped(code: &str) -> String {
    const TEST: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(TEST) {
        out.push_str(&rest[..at]);
        let item = &rest[at + TEST.len()..];
        let length = item_length(item);
        out.extend(item[..length].chars().filter(|&c| c == '\n'));
        rest = &item[length..];
    }
    out.push_str(rest);
    out
}

/// Up to the semicolon or the closing brace that ends the first item.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Whether `code` has `word` with no letter, digit or underscore on either side.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|found| found == word)
}

/// Length of the comment or literal that `rest` starts with; 0 when it starts with code.
fn text_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    if rest.starts_with('\'') {
        return character_length(rest);
    }
    let inside_a_name = before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    if rest.starts_with('r') && !inside_a_name {
        return raw_string_length(rest);
    }
    0
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A quote also starts a lifetime, which is code.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.chars().skip(1);
    match (characters.next(), characters.next()) {
        (Some('\\'), _) => quoted_length(rest, '\''),
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 0,
    }
}

fn raw_string_length(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|&c| c == '#').count();
    let body = 1 + hashes;
    if !rest[body..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    match rest[body + 1..].find(&end) {
        Some(at) => body + 1 + at + end.len(),
        None => rest.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, unsafe_in_code: bool) {
        assert_eq!(
            has_word(&without_text(source), "unsafe"),
            unsafe_in_code,
            "{source}"
        );
    }

    #[test]
    fn code_is_found_and_text_is_not() {
        check("let x = unsafe { y };", true);
        check("#[unsafe(no_mangle)]", true);
        check("fn not_unsafe_at_all() {}", false);
        check("// unsafe", false);
        check("/* a /* unsafe */ unsafe */ fn f() {}", false);
        check("/* a */ unsafe", true);
        check(r#"let s = "unsafe \" unsafe";"#, false);
        check(r##"let s = r#"unsafe " unsafe"#; safe()"##, false);
        check(r##"let s = r#"x"#; unsafe { f() }"##, true);
        check("fn f<'a>(x: &'a str) { unsafe { g(x) } }", true);
        check("let quote = '\"'; unsafe { f() }", true);
        check(r"let quote = '\''; unsafe { f() }", true);
        check("let bytes = br\"unsafe\";", false);
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = "a\n/* b\nc */\n\"d\ne\"\nf";
        assert_eq!(without_text(source).lines().count(), source.lines().count());
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        for source in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "r", "'"] {
            assert_eq!(without_text(source).chars().count(), source.chars().count());
        }
    }
}
