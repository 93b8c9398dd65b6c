//! The rules for names: those of OpenSSH's client, and for hosts those of `known_hosts` too.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;

use crate::shown::commands_a_terminal;

/// Bytes of a name; no resolver takes a longer one.
const NAME_MAX: usize = 1024;

/// What a shell acts on in the name of a host.
const SHELL_IN_HOST: &str = "'`\"$\\;&<>|(){}";

/// What makes a pattern, a marker, a comment or a port of a name in `known_hosts`.
const KNOWN_HOSTS: &str = "*?,![]#@";

/// What a shell acts on in the name of a user, as long as the name is one word. Domains of Windows
/// have `\` and `$` in theirs.
const SHELL_IN_USER: &str = "'`\";&<>|(){}";

/// Whose name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A host's name or address.
    Host,
    /// A user's name.
    User,
}

impl NameKind {
    /// Checks a name of this kind.
    ///
    /// # Errors
    ///
    /// Fails as [`check_host`] and [`check_user`] do.
    pub fn check(self, name: &str) -> Result<(), NameError> {
        match self {
            Self::Host => check_host(name),
            Self::User => check_user(name),
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::User => "user",
        })
    }
}

/// A name that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("a {0}'s name is missing")]
    Empty(NameKind),
    /// It has more bytes than any name.
    #[error("a {kind}'s name has {length} bytes, and may have {NAME_MAX}: use a shorter one")]
    TooLong {
        /// Whose name.
        kind: NameKind,
        /// Its bytes.
        length: usize,
    },
    /// A character that is not allowed at all.
    #[error("{character:?} cannot be part of a {kind}'s name: correct `{}`", name.escape_debug())]
    Character {
        /// Whose name.
        kind: NameKind,
        /// The name.
        name: String,
        /// The character.
        character: char,
    },
    /// A character that is not allowed where it is.
    #[error("a {kind}'s name cannot {position} {character:?}: correct `{}`", name.escape_debug())]
    Position {
        /// Whose name.
        kind: NameKind,
        /// The name.
        name: String,
        /// The character.
        character: char,
        /// Where: `begin with`, `end with`, `have a word that begins with`.
        position: &'static str,
    },
}

impl NameError {
    /// The character that is refused, if it is one.
    pub fn character(&self) -> Option<char> {
        match self {
            Self::Empty(_) | Self::TooLong { .. } => None,
            Self::Character { character, .. } | Self::Position { character, .. } => {
                Some(*character)
            }
        }
    }
}

/// Checks a host's name or address.
///
/// # Errors
///
/// Fails when a tool could take it for an option, a shell for more than a word, `known_hosts` for
/// another host's name, or a path for a directory.
pub fn check_host(name: &str) -> Result<(), NameError> {
    let kind = NameKind::Host;
    check_common(kind, name)?;
    let refused =
        |&c: &char| c == ' ' || c == '/' || SHELL_IN_HOST.contains(c) || KNOWN_HOSTS.contains(c);
    match name.chars().find(refused) {
        Some(character) => Err(forbidden(kind, name, character)),
        None => Ok(()),
    }
}

/// Checks a user's name.
///
/// # Errors
///
/// Fails when a tool could take it for an option, or a shell for more than words.
pub fn check_user(name: &str) -> Result<(), NameError> {
    let kind = NameKind::User;
    check_common(kind, name)?;
    if let Some(character) = name.chars().find(|&c| SHELL_IN_USER.contains(c)) {
        return Err(forbidden(kind, name, character));
    }
    if name.contains(" -") {
        return Err(misplaced(kind, name, '-', "have a word that begins with"));
    }
    match name.ends_with('\\') {
        true => Err(misplaced(kind, name, '\\', "end with")),
        false => Ok(()),
    }
}

fn check_common(kind: NameKind, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty(kind));
    }
    if name.len() > NAME_MAX {
        let length = name.len();
        return Err(NameError::TooLong { kind, length });
    }
    // A space is left to the callers.
    let refused = |&c: &char| commands_a_terminal(c) || (c.is_whitespace() && c != ' ');
    if let Some(character) = name.chars().find(refused) {
        return Err(forbidden(kind, name, character));
    }
    match name.starts_with('-') {
        true => Err(misplaced(kind, name, '-', "begin with")),
        false => Ok(()),
    }
}

fn forbidden(kind: NameKind, name: &str, character: char) -> NameError {
    NameError::Character {
        kind,
        name: name.to_owned(),
        character,
    }
}

fn misplaced(kind: NameKind, name: &str, character: char, position: &'static str) -> NameError {
    NameError::Position {
        kind,
        name: name.to_owned(),
        character,
        position,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn names_of_hosts_and_addresses_pass() {
        for good in [
            "web1",
            "web-1.example.com",
            "10.0.0.1",
            "::1",
            "fe80::1%eth0",
            "a_b",
            "bücher.example",
            "x",
        ] {
            assert_eq!(check_host(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_host_is_one_plain_word() {
        for c in "'`\"$\\;&<>|(){}*?,![]#@/ \t\n\r\0\u{1b}\u{7f}\u{a0}\u{2028}\u{200e}".chars() {
            for name in [
                alloc::format!("{c}web"),
                alloc::format!("we{c}b"),
                alloc::format!("web{c}"),
            ] {
                let error = check_host(&name).unwrap_err();
                assert_eq!(error.character(), Some(c), "{name:?}");
                assert!(
                    error.to_string().contains(&alloc::format!("{c:?}")),
                    "{error}"
                );
            }
        }
        assert_eq!(
            check_host("-oProxyCommand=id").unwrap_err().character(),
            Some('-')
        );
        assert_eq!(check_host(""), Err(NameError::Empty(NameKind::Host)));
        assert!(check_host(&"x".repeat(NAME_MAX + 1)).is_err());
    }

    #[test]
    fn names_of_users_pass() {
        for good in [
            "bob",
            "DOMAIN\\bob",
            "host$",
            "bob@example.com",
            "some one",
            "#1000",
            "a-b",
        ] {
            assert_eq!(check_user(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_user_is_no_more_than_words() {
        for c in "'`\";&<>|(){}\t\n\r\0\u{1b}\u{2029}".chars() {
            for name in [
                alloc::format!("{c}bob"),
                alloc::format!("b{c}ob"),
                alloc::format!("bob{c}"),
            ] {
                assert_eq!(
                    check_user(&name).unwrap_err().character(),
                    Some(c),
                    "{name:?}"
                );
            }
        }
        for bad in ["", "-lroot", "a -oX", "bob\\"] {
            assert!(check_user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_is_safe_to_show() {
        let error = check_host("a\u{1b}]0;x").unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
}
