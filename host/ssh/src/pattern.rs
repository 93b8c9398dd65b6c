//! Patterns of names, as `ssh_config` and `known_hosts` have them: `*`, `?`, and lists with `!`.

/// Whether a name matches a pattern with `*` and `?`.
///
/// It goes back to the last `*` only, which is enough, and keeps it from taking longer than the
/// product of the two lengths.
pub(crate) fn matches(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.as_bytes(), pattern.as_bytes());
    let (mut n, mut p) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                n += 1;
                p += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Whether a name matches one of several patterns and none that is negated. Patterns are put in
/// lower case first if so wanted.
pub(crate) fn matches_list(name: &str, patterns: &str, case: Case) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        let (pattern, negated) = match pattern.strip_prefix('!') {
            Some(pattern) => (pattern, true),
            None => (pattern, false),
        };
        let matches = match case {
            Case::AsIs => matches(name, pattern),
            Case::Lower => matches(name, &pattern.to_ascii_lowercase()),
        };
        match (matches, negated) {
            (true, true) => return false,
            (true, false) => found = true,
            (false, _) => {}
        }
    }
    found
}

/// What happens to a pattern before it is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    AsIs,
    Lower,
}

#[cfg(test)]
mod tests {
    use super::{Case, matches, matches_list};

    #[test]
    fn t12_patterns() {
        for (name, pattern, want) in [
            ("web1", "web?", true),
            ("web", "web?", false),
            ("web1.example.org", "*.example.org", true),
            ("example.org", "*.example.org", false),
            ("aab", "*ab", true),
            ("abab", "*ab", true),
            ("", "*", true),
            ("", "", true),
            ("x", "", false),
            ("abc", "a*b*c*", true),
            ("abc", "a**c", true),
            ("Web", "web", false),
        ] {
            assert_eq!(matches(name, pattern), want, "{name:?} {pattern:?}");
        }
    }

    #[test]
    fn t12_a_negated_pattern_wins_in_any_place() {
        for (list, want) in [
            ("*.org,!bad.org", false),
            ("!bad.org,*.org", false),
            ("!other.org,*.org", true),
            ("!other.org", false),
            ("BAD.org", true),
        ] {
            assert_eq!(matches_list("bad.org", list, Case::Lower), want, "{list}");
        }
        assert!(!matches_list("bad.org", "BAD.org", Case::AsIs));
    }

    #[test]
    fn t12_a_hostile_pattern_does_not_take_forever() {
        let name = "a".repeat(20_000);
        assert!(!matches(&name, &("*a".repeat(400) + "b")));
    }
}
