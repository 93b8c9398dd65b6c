//! Ranges in host names: `web[01:50]`, `db-[a:c]`, `n[0:100:10].example.com`.

use super::HOSTS_MAX;

/// The names that a pattern stands for, in order; a name without ranges stands for itself.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, range, after)) = next_range(rest) {
        let middles = values(range)?;
        if names.len().saturating_mul(middles.len()) > HOSTS_MAX {
            return Err(format!(
                "`{pattern}` stands for more than {HOSTS_MAX} hosts"
            ));
        }
        names = names
            .iter()
            .flat_map(|name| middles.iter().map(move |it| format!("{name}{before}{it}")))
            .collect();
        rest = after;
    }
    match rest.find(['[', ']']) {
        Some(_) => Err(format!(
            "`{pattern}` has a bracket that is no part of a range such as `[1:9]`"
        )),
        None => Ok(names.iter().map(|name| format!("{name}{rest}")).collect()),
    }
}

/// What is before the first range, in it, and behind it.
fn next_range(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('[')?;
    let (range, after) = rest.split_once(']')?;
    (range.contains(':') && !before.contains(']')).then_some((before, range, after))
}

fn values(range: &str) -> Result<Vec<String>, String> {
    let bad = |why: &str| format!("bad range `[{range}]`: {why}");
    let bounds: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match bounds[..] {
        [first, last] => (first, last, "1"),
        [first, last, step] => (first, last, step),
        _ => return Err(bad("write a first, a last and perhaps a step")),
    };
    let first = if first.is_empty() { "0" } else { first };
    let step: usize = match step.parse() {
        Ok(0) | Err(_) => return Err(bad("its step is not a number above 0")),
        Ok(step) => step,
    };
    if last.is_empty() {
        return Err(bad("it has no end"));
    }
    if let (Some(from), Some(to)) = (letter(first), letter(last)) {
        if from > to {
            return Err(bad("it ends before it begins"));
        }
        let letters = (from..=to).step_by(step);
        return Ok(letters.map(|index| LETTERS[index].to_string()).collect());
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Err(bad("its ends must be two numbers, or two letters"));
    }
    let width = match first.strip_prefix('0') {
        Some("") | None => 0,
        Some(_) if first.len() != last.len() => {
            return Err(bad(
                "where one end has leading zeros both must be equally long",
            ));
        }
        Some(_) => first.len(),
    };
    let number = |text: &str| {
        text.parse::<usize>()
            .map_err(|_| bad("its ends are too large"))
    };
    let (from, to) = (number(first)?, number(last)?);
    if from > to {
        return Err(bad("it ends before it begins"));
    }
    if (to - from) / step >= HOSTS_MAX {
        return Err(bad(&format!("it stands for more than {HOSTS_MAX} hosts")));
    }
    let numbers = (from..=to).step_by(step);
    Ok(numbers.map(|number| format!("{number:0width$}")).collect())
}

/// In the order in which ranges count them.
const LETTERS: [char; 52] = {
    let mut letters = ['a'; 52];
    let mut index = 0;
    while index < 26 {
        letters[index] = (b'a' + index as u8) as char;
        letters[index + 26] = (b'A' + index as u8) as char;
        index += 1;
    }
    letters
};

fn letter(text: &str) -> Option<usize> {
    LETTERS.iter().position(|letter| text.chars().eq([*letter]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, want: &[&str]) {
        assert_eq!(expand(pattern).unwrap(), want);
    }

    #[test]
    fn ranges_count_numbers_and_letters() {
        check("web", &["web"]);
        check("web[1:3]", &["web1", "web2", "web3"]);
        check("web[08:10]", &["web08", "web09", "web10"]);
        check("web[:2]", &["web0", "web1", "web2"]);
        check("n[0:100:50].x", &["n0.x", "n50.x", "n100.x"]);
        check("db-[a:c]", &["db-a", "db-b", "db-c"]);
        check("db-[y:B]", &["db-y", "db-z", "db-A", "db-B"]);
        check("[1:2]-[a:b]", &["1-a", "1-b", "2-a", "2-b"]);
        check(
            "10.0.[0:1].[9:10]",
            &["10.0.0.9", "10.0.0.10", "10.0.1.9", "10.0.1.10"],
        );
        check("web[5:5]", &["web5"]);
    }

    #[track_caller]
    fn refused(pattern: &str, want: &str) {
        assert_eq!(expand(pattern).unwrap_err(), want);
    }

    #[test]
    fn a_range_that_is_none_is_told() {
        refused("w[3:1]", "bad range `[3:1]`: it ends before it begins");
        refused("w[c:a]", "bad range `[c:a]`: it ends before it begins");
        refused("w[1:]", "bad range `[1:]`: it has no end");
        refused(
            "w[1:5:0]",
            "bad range `[1:5:0]`: its step is not a number above 0",
        );
        refused(
            "w[1:2:3:4]",
            "bad range `[1:2:3:4]`: write a first, a last and perhaps a step",
        );
        refused(
            "w[1:b]",
            "bad range `[1:b]`: its ends must be two numbers, or two letters",
        );
        refused(
            "w[01:100]",
            "bad range `[01:100]`: where one end has leading zeros both must be equally long",
        );
        refused(
            "w[1",
            "`w[1` has a bracket that is no part of a range such as `[1:9]`",
        );
        refused(
            "w[1]",
            "`w[1]` has a bracket that is no part of a range such as `[1:9]`",
        );
        refused(
            "w]1:2[",
            "`w]1:2[` has a bracket that is no part of a range such as `[1:9]`",
        );
    }

    #[test]
    fn a_range_is_bounded_before_it_is_counted() {
        refused(
            "w[1:99999999]",
            "bad range `[1:99999999]`: it stands for more than 65536 hosts",
        );
        refused(
            "w[1:999][1:999]",
            "`w[1:999][1:999]` stands for more than 65536 hosts",
        );
        refused(
            "w[1:99999999999999999999999]",
            "bad range `[1:99999999999999999999999]`: its ends are too large",
        );
    }
}
