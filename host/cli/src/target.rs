//! Reads target lists: `local,local/local*3`.
//!
//! ```text
//! TARGETS = TARGET { "," TARGET }
//! TARGET  = HOP { "/" HOP }
//! HOP     = WAY [ "*" COUNT ]
//! WAY     = "local" | "ssh:" [ USER "@" ] HOST [ ":" PORT ] | TOOL [ ":" USER ]
//! TOOL    = "sudo" | "su" | "doas"
//! ```
//!
//! A host that has colons stands in brackets. A new kind of hop is a line in [`KINDS`] and a
//! variant of [`Hop`].

use std::ops::Range;

use offshoot_text::{NameError, NameKind};

use super::report::Diagnostic;
use offshoot::json::near;

/// Contexts that one command may start.
///
/// Each costs a process and some file descriptors; a larger number is more likely a slip.
pub(super) const CONTEXTS_MAX: usize = 4096;

/// How to get from one context to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hop {
    /// A child process on the same machine, as the same user.
    Local,
    /// Another machine.
    Ssh {
        user: Option<String>,
        host: String,
        port: Option<u16>,
        /// The key to log in with, which words do not say.
        identity_file: Option<String>,
    },
    /// Another user, by `sudo`.
    Sudo(Option<String>),
    /// Another user, by `su`.
    Su(Option<String>),
    /// Another user, by `doas`.
    Doas(Option<String>),
}

/// The kinds of hops, by the word that a user writes.
const KINDS: &[&str] = &["local", "ssh", "sudo", "su", "doas"];

/// A hop, and how many of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CountedHop {
    pub(super) hop: Hop,
    /// The hop as the user wrote it, without the count.
    pub(super) label: String,
    pub(super) count: usize,
}

/// Where to call: the hops to it, and its name where it is a host of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: Option<String>,
    pub(super) hops: Vec<CountedHop>,
}

impl From<Vec<CountedHop>> for Target {
    fn from(hops: Vec<CountedHop>) -> Self {
        Self { name: None, hops }
    }
}

/// Whether a text begins with a kind of hop, and so can be nothing but a way.
pub(super) fn is_path(text: &str) -> bool {
    let word = text.split(['*', '/', ':']).next().unwrap_or_default();
    KINDS.contains(&word)
}

/// The hops of each target of a list.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<CountedHop>>, Diagnostic> {
    let mut contexts = 0usize;
    let mut targets = Vec::new();
    for target in split(text, 0..text.len(), ',') {
        let mut hops: Vec<CountedHop> = Vec::new();
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

fn parse_hop(text: &str, part: Range<usize>) -> Result<CountedHop, Diagnostic> {
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
    Ok(CountedHop {
        hop: parse_way(text, kind)?,
        label: word.to_owned(),
        count,
    })
}

fn parse_way(text: &str, way: Range<usize>) -> Result<Hop, Diagnostic> {
    let (name, detail) = match text[way.clone()].find(':') {
        Some(colon) => {
            let colon = way.start + colon;
            (way.start..colon, Some(colon + 1..way.end))
        }
        None => (way.clone(), None),
    };
    let user = || match &detail {
        Some(user) => parse_name(text, user.clone(), NameKind::User).map(Some),
        None => Ok(None),
    };
    Ok(match (&text[name.clone()], &detail) {
        ("local", None) => Hop::Local,
        ("local", Some(detail)) => {
            return Err(bad(
                text,
                detail.start - 1..detail.end,
                "`local` leads nowhere else",
            ));
        }
        ("ssh", Some(detail)) => parse_ssh(text, detail.clone())?,
        ("ssh", None) => return Err(bad(text, way, "a host is missing behind `ssh`")),
        ("sudo", _) => Hop::Sudo(user()?),
        ("su", _) => Hop::Su(user()?),
        ("doas", _) => Hop::Doas(user()?),
        _ => return Err(unknown_kind(text, name)),
    })
}

/// `[user@]host[:port]`.
fn parse_ssh(text: &str, detail: Range<usize>) -> Result<Hop, Diagnostic> {
    let (user, address) = match text[detail.clone()].rfind('@') {
        Some(at) => {
            let at = detail.start + at;
            let user = parse_name(text, detail.start..at, NameKind::User)?;
            (Some(user), at + 1..detail.end)
        }
        None => (None, detail),
    };
    let word = &text[address.clone()];
    let (host, port) = match (word.strip_prefix('['), word.find(':')) {
        (Some(_), _) => {
            let end = word.find(']').map(|end| address.start + end);
            let end = end.ok_or_else(|| bad(text, address.clone(), "a `]` is missing"))?;
            let port = match &text[end + 1..address.end] {
                "" => None,
                rest if rest.starts_with(':') => Some(end + 2..address.end),
                _ => return Err(bad(text, end + 1..address.end, "a `:` is missing here")),
            };
            (address.start + 1..end, port)
        }
        (None, Some(colon)) => {
            let colon = address.start + colon;
            (address.start..colon, Some(colon + 1..address.end))
        }
        (None, None) => (address, None),
    };
    let port = match port {
        Some(port) => match text[port.clone()].parse() {
            Ok(0) | Err(_) => return Err(bad(text, port, "a port is a number from 1 to 65535")),
            Ok(port) => Some(port),
        },
        None => None,
    };
    let host = parse_name(text, host, NameKind::Host)?;
    Ok(Hop::Ssh {
        user,
        host,
        port,
        identity_file: None,
    })
}

/// A name that no tool can take for an option, and no shell for more than a word.
fn parse_name(text: &str, range: Range<usize>, kind: NameKind) -> Result<String, Diagnostic> {
    let word = &text[range.clone()];
    if word.is_empty() {
        return Err(bad(text, range, &format!("a {kind} is missing here")));
    }
    let refused = |error: NameError| {
        let at = error
            .character()
            .and_then(|c| Some((word.find(c)?, c.len_utf8())));
        let at = at.map(|(at, length)| range.start + at..range.start + at + length);
        bad(text, at.unwrap_or(range.clone()), &error.to_string())
    };
    kind.check(word).map_err(refused)?;
    match word.find(' ') {
        Some(at) => {
            let at = range.start + at;
            Err(bad(
                text,
                at..at + 1,
                &format!("a {kind} cannot have spaces here"),
            ))
        }
        None => Ok(word.to_owned()),
    }
}

fn parse_count(text: &str, digits: Range<usize>) -> Result<usize, Diagnostic> {
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

fn unknown_kind(text: &str, kind: Range<usize>) -> Diagnostic {
    let word = &text[kind.clone()];
    let known: Vec<String> = KINDS.iter().map(|kind| format!("`{kind}`")).collect();
    let guesses = near(word, KINDS.iter().copied());
    let problem = problem(text, kind, &format!("unknown kind of hop `{word}`"))
        .note(format!("the kinds of hops are {}", known.join(", ")));
    match guesses.first() {
        Some(guess) => problem.help(format!("did you mean `{guess}`?")),
        // Most tools take a host where we take a kind.
        None if is_host(word) => problem.help(format!(
            "another machine is `ssh:{word}`; names of an inventory need `--inventory FILE`"
        )),
        None => problem.help(SYNTAX),
    }
}

fn is_host(word: &str) -> bool {
    !word.starts_with('-')
        && word
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.@".contains(c))
}

const SYNTAX: &str = "write hops joined by `/`, such as `ssh:bob@web1/sudo`, and `local*8` for \
    eight of them; join targets by `,`";

fn bad(text: &str, range: Range<usize>, what: &str) -> Diagnostic {
    problem(text, range, what).help(SYNTAX)
}

fn problem(text: &str, range: Range<usize>, what: &str) -> Diagnostic {
    Diagnostic::usage(format!("bad target: {what}")).excerpt(text, range)
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

    #[test]
    fn ways_are_read() {
        let way = |text: &str| parse(text).unwrap()[0].last().unwrap().hop.clone();
        let ssh = |user: Option<&str>, host: &str, port| Hop::Ssh {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            identity_file: None,
        };
        assert_eq!(way("ssh:web1"), ssh(None, "web1", None));
        assert_eq!(
            way("ssh:bob@web1:2222"),
            ssh(Some("bob"), "web1", Some(2222))
        );
        assert_eq!(way("ssh:a@b@[::1]:22"), ssh(Some("a@b"), "::1", Some(22)));
        assert_eq!(way("ssh:web1/sudo"), Hop::Sudo(None));
        assert_eq!(way("ssh:web1/sudo:www"), Hop::Sudo(Some("www".to_owned())));
        assert_eq!(way("su:bob"), Hop::Su(Some("bob".to_owned())));
        assert_eq!(way("doas*2"), Hop::Doas(None));
    }

    /// Compares the message and the place of the carets.
    #[track_caller]
    fn refused(text: &str, message: &str, carets: Range<usize>) {
        let problem = parse(text).unwrap_err();
        let want = bad(text, carets, message);
        let same = |problem: &Diagnostic| {
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
        refused("shs:web1", "unknown kind of hop `shs`", 0..3);
        refused("local/ssh", "a host is missing behind `ssh`", 6..9);
        refused("ssh:", "a host is missing here", 4..4);
        refused("sudo:", "a user is missing here", 5..5);
        refused("ssh:bob@", "a host is missing here", 8..8);
        refused("ssh:web1:x", "a port is a number from 1 to 65535", 9..10);
        refused("ssh:web1:0", "a port is a number from 1 to 65535", 9..10);
        refused("ssh:[::1", "a `]` is missing", 4..8);
        refused(
            "ssh:-oProxyCommand=id",
            "a host's name cannot begin with '-': correct `-oProxyCommand=id`",
            4..5,
        );
        refused("local:x", "`local` leads nowhere else", 5..7);
        refused(
            "sudo:-h",
            "a user's name cannot begin with '-': correct `-h`",
            5..6,
        );
        refused(
            "ssh:web1$(id)",
            "'$' cannot be part of a host's name: correct `web1$(id)`",
            8..9,
        );
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
