//! What a plugin may be allowed to touch.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A capability given to a plugin. Nothing is granted by default.
///
/// The text form is what the command line takes and what errors print: `read:/etc`,
/// `write:/var/tmp`, `env:LANG`, `router`. The plugin sees a granted path under its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grant {
    /// Read the directory and all below it. Given for a single file, just that file's directory
    /// entry could not be told apart from its neighbours, so directories only.
    Read(String),
    /// Read and write the directory and all below it.
    Write(String),
    /// See one environment variable of the context's process.
    Env(String),
    /// Make contexts, call functions in them, send and receive.
    Router,
}

/// Text form of [`Grant::Router`].
const ROUTER: &str = "router";

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read:{path}"),
            Self::Write(path) => write!(f, "write:{path}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Router => f.write_str(ROUTER),
        }
    }
}

/// Text that is not a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseGrantError {
    text: String,
    /// Why a grant of that form is refused.
    flaw: Option<&'static str>,
}

impl fmt::Display for ParseGrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it holds may look like something else.
        let text = self.text.escape_debug();
        match self.flaw {
            Some(flaw) => write!(f, "`{text}` is not a grant: {flaw}"),
            None => write!(
                f,
                "`{text}` is not a grant: write `read:/DIR`, `write:/DIR`, `env:NAME` or `router`"
            ),
        }
    }
}

impl core::error::Error for ParseGrantError {}

impl FromStr for Grant {
    type Err = ParseGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |flaw| ParseGrantError {
            text: text.to_owned(),
            flaw,
        };
        if text == ROUTER {
            return Ok(Self::Router);
        }
        let (kind, what) = text.split_once(':').ok_or_else(|| refused(None))?;
        let grant = match kind {
            "read" if what.starts_with('/') => Self::Read(what.to_owned()),
            "write" if what.starts_with('/') => Self::Write(what.to_owned()),
            "env" if !what.is_empty() && !what.contains(['=', '\0']) => Self::Env(what.to_owned()),
            _ => return Err(refused(None)),
        };
        match grant.flaw() {
            Some(flaw) => Err(refused(Some(flaw))),
            None => Ok(grant),
        }
    }
}

impl Grant {
    /// Why this grant would give something else than what a person reads in it; nothing when it
    /// gives just that. Hosts refuse one that has a flaw.
    pub fn flaw(&self) -> Option<&'static str> {
        let (Self::Read(name) | Self::Write(name) | Self::Env(name)) = self else {
            return None;
        };
        if name.chars().any(is_unseen) {
            return Some("it holds characters that are not seen; write the name without them");
        }
        if name.trim() != name {
            return Some("it begins or ends with a space; write the name without it");
        }
        if matches!(self, Self::Env(_)) {
            return None;
        }
        let Some(path) = name.strip_prefix('/') else {
            return Some("the path is not absolute; write it from `/` on");
        };
        // The root has no components, and a last slash is no other directory.
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() && path.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Some("the path holds `..`, `.` or `//`; write the directory that is meant");
        }
        None
    }
}

/// Whether a character changes what a person reads without being seen itself: control characters,
/// those that change the direction, and spaces of no width.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A grant that a plugin says it needs, and what for. A wish is not a right: the caller decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The grant.
    pub grant: Grant,
    /// Why, in the plugin's words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_grant_gives_what_is_read_in_it() {
        for text in [
            "read:/etc/../root",
            "read:/..",
            "read:/./etc",
            "read:/etc/.",
            "read://etc",
            "read:/etc//x",
            "read:/etc//",
            "read:/etc ",
            "write:/tmp\u{202e}cte",
            "read:/e\u{200b}tc",
            "read:/etc\u{200e}",
            "read:/a\nb",
            "env:A\u{7}",
            "env:A ",
        ] {
            let error = text.parse::<Grant>().unwrap_err().to_string();
            assert!(!error.contains(is_unseen), "{error:?}");
            assert!(!error.contains("write `read:/DIR`"), "{error}");
        }
        assert!(Grant::Read("etc".into()).flaw().is_some());
        for text in ["read:/", "read:/etc/", "write:/a b/..c", "env:A", "router"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
    }
}
