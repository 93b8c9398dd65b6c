//! Reads target lists: `local,local/local*3`.
//!
//! ```text
//! TARGETS = TARGET { "," TARGET }
//! TARGET  = HOP { "/" HOP }
//! HOP     = KIND [ "*" COUNT ]
//! ```
//!
//! A new kind of hop is a line in [`KINDS`] and a variant of [`Hop`].

use std::ops::Range;

use super::report::Problem;
use crate::json::near;

/// Contexts that one command may start.
///
/// Each costs a process and some file descriptors; a larger number is more likely a slip.
pub(super) const CONTEXTS_MAX: usize = 4096;

/// How to get from one context to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hop {
    /// A child process on the same machine, as the same user.
    Local,
}

impl Hop {
    /// The machine that it leads to, if that is another one.
    pub(super) fn far_end(&self) -> Option<&str> {
        match self {
            Self::Local => None,
        }
    }
}

/// The kinds of hops, by the word that a user writes.
const KINDS: &[(&str, Hop)] = &[("local", Hop::Local)];

/// A hop, and how many of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hops {
    pub(super) hop: Hop,
    /// The hop as the user wrote it, without the count.
    pub(super) label: String,
    pub(super) count: usize,
}

/// Whether a text begins with a kind of hop, and so can be nothing but a way.
pub(super) fn is_path(text: &str) -> bool {
    let word = text.split(['*', '/', ':']).next().unwrap_or_default();
    KINDS.iter().any(|(kind, _)| *kind == word)
}

/// The hops of each target of a list.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<Hops>>, Problem> {
    let mut contexts = 0usize;
    let mut targets = Vec::new();
    for target in split(text, 0..text.len(), ',') {
        let mut hops: Vec<Hops> = Vec::new();
        let mut width = 1usize;
        for part in split(text, target.clone(), '/') {
            let hop = parse_hop(text, part.clone())?;
            width = width.saturating_mul(hop.count);
            contexts = contexts.saturating_add(width);
            if contexts > CONTEXTS_MAX {
                return Err(bad(text, part, "this makes too many contexts")
                    .note(format!("a command starts {CONTEXTS_MAX} contexts at most")));
            }
            hops.push(hop);
        }
        targets.push(hops);
    }
    Ok(targets)
}

fn parse_hop(text: &str, part: Range<usize>) -> Result<Hops, Problem> {
    let (kind, count) = match text[part.clone()].find('*') {
        Some(star) => {
            let star = part.start + star;
            (part.start..star, parse_count(text, star + 1..part.end)?)
        }
        None => (part.clone(), 1),
    };
    let word = &text[kind.clone()];
    if word.is_empty() {
        return Err(bad(text, kind, "a hop is missing here"));
    }
    let Some((_, hop)) = KINDS.iter().find(|(known, _)| *known == word) else {
        return Err(unknown_kind(text, kind));
    };
    Ok(Hops {
        hop: hop.clone(),
        label: word.to_owned(),
        count,
    })
}

fn parse_count(text: &str, digits: Range<usize>) -> Result<usize, Problem> {
    let word = &text[digits.clone()];
    if word.is_empty() {
        return Err(bad(text, digits, "a count is missing here"));
    }
    if let Some(at) = word.find(|c: char| !c.is_ascii_digit()) {
        let start = digits.start + at;
        let end = start + word[at..].chars().next().map_or(0, char::len_utf8);
        return Err(bad(text, start..end, "a count has digits only"));
    }
    match word.parse() {
        Ok(0) => Err(bad(text, digits, "a count of 0 starts nothing")),
        Ok(count) => Ok(count),
        Err(_) => Err(bad(text, digits, "this makes too many contexts")
            .note(format!("a command starts {CONTEXTS_MAX} contexts at most"))),
    }
}

fn unknown_kind(text: &str, kind: Range<usize>) -> Problem {
    let word = &text[kind.clone()];
    let known: Vec<String> = KINDS.iter().map(|(kind, _)| format!("`{kind}`")).collect();
    let guesses = near(word, KINDS.iter().map(|(kind, _)| *kind));
    let problem = problem(text, kind, &format!("unknown kind of hop `{word}`"))
        .note(format!("the kinds of hops are {}", known.join(", ")));
    match guesses.first() {
        Some(guess) => problem.help(format!("did you mean `{guess}`?")),
        None => problem.help(SYNTAX),
    }
}

const SYNTAX: &str = "write hops joined by `/`, such as `local/local`, and `local*8` for eight of \
    them; join targets by `,`";

fn bad(text: &str, range: Range<usize>, what: &str) -> Problem {
    problem(text, range, what).help(SYNTAX)
}

fn problem(text: &str, range: Range<usize>, what: &str) -> Problem {
    Problem::usage(format!("bad target: {what}")).excerpt(text, range)
}

/// The ranges between separators; always one more than there are separators.
fn split(text: &str, range: Range<usize>, separator: char) -> Vec<Range<usize>> {
    let mut start = range.start;
    let mut parts = Vec::new();
    for (at, _) in text[range.clone()].match_indices(separator) {
        parts.push(start..range.start + at);
        start = range.start + at + separator.len_utf8();
    }
    parts.push(start..range.end);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn counts(text: &str, want: &[&[usize]]) {
        let targets = parse(text).unwrap();
        let counts: Vec<Vec<usize>> = targets
            .iter()
            .map(|hops| hops.iter().map(|hop| hop.count).collect())
            .collect();
        assert_eq!(counts, want);
    }

    #[test]
    fn lists_are_read() {
        counts("local", &[&[1]]);
        counts("local*8", &[&[8]]);
        counts("local/local*3,local*2/local", &[&[1, 3], &[2, 1]]);
        counts("local*4096", &[&[4096]]);
    }

    /// Compares the message and the place of the carets.
    #[track_caller]
    fn refused(text: &str, message: &str, carets: Range<usize>) {
        let problem = parse(text).unwrap_err();
        let want = bad(text, carets, message);
        let same = |problem: &Problem| {
            let text = format!("{problem:?}");
            text[..text.find("notes:").unwrap()].to_owned()
        };
        assert_eq!(same(&problem), same(&want));
    }

    #[test]
    fn the_caret_is_under_the_slip() {
        refused("", "a hop is missing here", 0..0);
        refused("local,", "a hop is missing here", 6..6);
        refused("local,,local", "a hop is missing here", 6..6);
        refused("local//local", "a hop is missing here", 6..6);
        refused("*3", "a hop is missing here", 0..0);
        refused("local/lokal", "unknown kind of hop `lokal`", 6..11);
        refused("ssh:web1", "unknown kind of hop `ssh:web1`", 0..8);
        refused("local*", "a count is missing here", 6..6);
        refused("local*0", "a count of 0 starts nothing", 6..7);
        refused("local*1ö", "a count has digits only", 7..9);
        refused("local*-1", "a count has digits only", 6..7);
        refused("local*2*3", "a count has digits only", 7..8);
        refused("local*5000", "this makes too many contexts", 0..10);
        refused(
            "local*100/local*100",
            "this makes too many contexts",
            10..19,
        );
        refused(
            "local*99999999999999999999",
            "this makes too many contexts",
            6..26,
        );
    }
}
