//! How INI files write values: the words of a line, and Python's literals.

/// The words of a line as a shell would see them, without the comment.
pub(super) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('"'), '\\') => match characters.next() {
                Some(c @ ('"' | '\\')) => word.get_or_insert_default().push(c),
                Some(c) => word.get_or_insert_default().extend(['\\', c]),
                None => break,
            },
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '\\') => match characters.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("it ends with a backslash"),
            },
            (None, '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quotation mark has no partner");
    }
    words.extend(word);
    Ok(words)
}

/// A value as text: a quoted string without its quotes, all else as it is. A comment ends a value
/// only where what is before it is a literal: `22 # ssh` is 22, `bob # here` is all of it.
pub(super) fn value(text: &str) -> String {
    let text = text.trim();
    if let Some(quoted) = quoted(text) {
        return quoted;
    }
    if let Some((before, _)) = text.split_once('#') {
        let before = before.trim();
        let number = !before.is_empty() && before.bytes().all(|byte| byte.is_ascii_digit());
        if number || matches!(before, "True" | "False" | "None") {
            return before.to_owned();
        }
    }
    text.to_owned()
}

/// The inside of a text that is one quoted string, perhaps with a comment behind it.
fn quoted(text: &str) -> Option<String> {
    let open = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut inside = String::new();
    let mut characters = text[1..].chars();
    loop {
        match characters.next()? {
            '\\' => match characters.next()? {
                c @ ('\\' | '\'' | '"') => inside.push(c),
                'n' => inside.push('\n'),
                't' => inside.push('\t'),
                c => inside.extend(['\\', c]),
            },
            c if c == open => break,
            c => inside.push(c),
        }
    }
    let rest = characters.as_str().trim();
    (rest.is_empty() || rest.starts_with('#')).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let split = |line| words(line).unwrap();
        assert_eq!(split("web1  a=1\tb='x y' # c"), ["web1", "a=1", "b=x y"]);
        assert_eq!(split(r#"w a="q \" \n" b=\ c"#), ["w", "a=q \" \\n", "b= c"]);
        assert_eq!(split("w a='' b=#c"), ["w", "a=", "b="]);
        assert_eq!(split("# all comment"), [""; 0]);
        assert_eq!(words("w a='b"), Err("a quotation mark has no partner"));
        assert_eq!(words("w a=\"b\\"), Err("a quotation mark has no partner"));
        assert_eq!(words("w \\"), Err("it ends with a backslash"));
    }

    #[test]
    fn values_lose_their_quotes() {
        assert_eq!(value(" bob "), "bob");
        assert_eq!(value("'bob'"), "bob");
        assert_eq!(value("\"a # b\" # c"), "a # b");
        assert_eq!(value("'it\\'s'"), "it's");
        assert_eq!(value("22 # ssh"), "22");
        assert_eq!(value("True#x"), "True");
        assert_eq!(value("bob # here"), "bob # here");
        assert_eq!(value("'a' 'b"), "'a' 'b");
        assert_eq!(value(""), "");
        assert_eq!(value("'"), "'");
    }
}
