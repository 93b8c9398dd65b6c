//! Writes the one command that a remote shell runs.
//!
//! `stage0.sh` is the command as it is written; `stage0.pl` and `stage0.py` are what it has perl
//! and python do. What is sent is minified: it travels with every connection, and a login shell
//! must see one word without line breaks.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::handshake::NONCE_LEN;

/// Platforms that one command can tell apart: all of it must fit into the shortest argument list
/// in use.
const PLATFORMS_MAX: usize = 16;

/// Places that are tried at most: directories, and memory after them.
pub(super) const CANDIDATES: usize = 5;

/// A child for one kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// What `uname -sm` prints there, such as `Linux x86_64`, with `*` and `?` as in a shell.
    pub uname: Vec<String>,
    /// SHA-256 of the child; also its name in the cache.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub size: u64,
    /// Its bytes when compressed by gzip, if it is offered like that.
    pub gzip_size: Option<u64>,
}

/// Whether the child is left behind for the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Keep {
    /// In a directory of its user alone.
    #[default]
    Cache,
    /// Not at all: its file is gone before it starts.
    Nothing,
}

/// How a child from the cache is checked before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Verify {
    /// Owner, mode and size. The directory is its user's alone, so more finds only bit rot.
    #[default]
    Quick,
    /// Its hash, too, where the machine has a program for it.
    Always,
}

/// A part of the command that a shell could misread.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unquotable {
    /// The nonce.
    #[error("a nonce is {NONCE_LEN} hexadecimal digits")]
    Nonce,
    /// A platform's name.
    #[error("`{0}` cannot be a pattern for what `uname -sm` prints")]
    Platform(String),
    /// The cache's name.
    #[error("`{0}` cannot be the name of a cache: use letters, digits, `-` and `_`")]
    Cache(String),
    /// The child's name in process listings.
    #[error(
        "remote name `{}` cannot be told to a remote shell: use letters, digits, spaces and \
         `@:.,+=%_-`", .0.escape_debug()
    )]
    RemoteName(String),
    /// There are none, or too many.
    #[error("one command offers 1 to {PLATFORMS_MAX} platforms, and not {0}")]
    Count(usize),
}

/// The command that starts a child.
#[derive(Clone, Debug)]
pub struct Stage0 {
    nonce: String,
    cache: String,
    pub(super) platforms: Vec<Platform>,
    keep: Keep,
    verify: Verify,
    remote_name: Option<String>,
}

impl Stage0 {
    /// A command that answers with `nonce`, and keeps its files in folders called `cache`.
    ///
    /// # Errors
    ///
    /// Fails when a shell could misread one of them.
    pub fn new(nonce: &str, cache: &str, platforms: Vec<Platform>) -> Result<Self, Unquotable> {
        if nonce.len() != NONCE_LEN || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unquotable::Nonce);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if cache.is_empty() || !cache.bytes().all(plain) {
            return Err(Unquotable::Cache(cache.to_owned()));
        }
        if !(1..=PLATFORMS_MAX).contains(&platforms.len()) {
            return Err(Unquotable::Count(platforms.len()));
        }
        let pattern = |byte: u8| plain(byte) || matches!(byte, b' ' | b'.' | b'*' | b'?');
        for uname in platforms.iter().flat_map(|platform| &platform.uname) {
            if uname.is_empty() || !uname.bytes().all(pattern) {
                return Err(Unquotable::Platform(uname.clone()));
            }
        }
        Ok(Self {
            nonce: nonce.to_owned(),
            cache: cache.to_owned(),
            platforms,
            keep: Keep::default(),
            verify: Verify::default(),
            remote_name: None,
        })
    }

    /// Says what process listings are to show of the child, behind `offshoot:`.
    ///
    /// # Errors
    ///
    /// Fails when a shell could misread it.
    pub fn remote_name(self, name: &str) -> Result<Self, Unquotable> {
        if name.is_empty() || !name.chars().all(Self::is_plain_in_name) {
            return Err(Unquotable::RemoteName(name.to_owned()));
        }
        let remote_name = Some(name.to_owned());
        Ok(Self {
            remote_name,
            ..self
        })
    }

    /// Whether a remote name may have this character: every shell takes it for itself between
    /// quotes of either kind.
    pub fn is_plain_in_name(c: char) -> bool {
        c.is_ascii_alphanumeric() || " @:.,+=%_-".contains(c)
    }

    /// Says what is left behind.
    #[must_use]
    pub fn keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// Says how the cache is checked.
    #[must_use]
    pub fn verify(self, verify: Verify) -> Self {
        Self { verify, ..self }
    }

    /// The nonce that the answers carry.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// One line for a login shell of any kind: what `ssh` and `su -c` take.
    pub fn command(&self) -> String {
        format!("exec /bin/sh -c '{}'", self.script())
    }

    /// The same for what starts programs itself: `sudo`, `doas`.
    pub fn argv(&self) -> [String; 3] {
        ["/bin/sh".to_owned(), "-c".to_owned(), self.script()]
    }

    /// The same for `sudo -i`, which has a login shell read the words once more and lets it
    /// replace what looks like a variable. So there is none in them: `@` stands for `$` on the way.
    pub fn login_argv(&self) -> [String; 3] {
        let script = self.script();
        let [shell, option, _] = self.argv();
        // The name may have an `@` of its own.
        let hidden = script.replace('@', "~").replace('$', "@");
        let decode = r"tr @~ '\\044@'";
        [
            shell,
            option,
            format!("set -f;eval `echo '{hidden}'|{decode}`"),
        ]
    }

    /// The script as it is written, with comments. [`argv`](Self::argv) sends it minified.
    pub fn source(&self) -> String {
        let name = match &self.remote_name {
            Some(name) => format!(" \"{name}\""),
            None => String::new(),
        };
        branches(SHELL, |condition| self.holds(condition))
            .replace("@NONCE@", &self.nonce)
            .replace("@PLATFORMS@", &self.cases())
            .replace("@CACHE@", &self.cache)
            // Within double quotes, a `$` at their end is one.
            .replace("@PERL@", &minify(PERL).replace('$', "$\"\""))
            .replace("@PYTHON@", &minify(PYTHON))
            .replace("@NAME@", &name)
    }

    fn script(&self) -> String {
        minify(&self.source())
    }

    /// Whether the branch behind an `#if` is sent.
    fn holds(&self, condition: &str) -> bool {
        match condition {
            "cache" => self.keep == Keep::Cache,
            _ => self.verify == Verify::Always,
        }
    }

    /// The branches of a `case` that set the variables of each platform.
    fn cases(&self) -> String {
        let mut text = String::new();
        for (index, platform) in self.platforms.iter().enumerate() {
            let patterns = platform.uname.join("|").replace(' ', "?");
            let _ = write!(text, "{patterns})I={index} H=");
            for byte in platform.sha256 {
                let _ = write!(text, "{byte:02x}");
            }
            let _ = write!(text, " S={} M={} G=", platform.size, system_calls(platform));
            if let Some(size) = platform.gzip_size {
                let _ = write!(text, "{size}");
            }
            text.push_str(";;\n");
        }
        text
    }
}

/// The numbers of `memfd_create` and `execve`, for a language that does not know them by name.
fn system_calls(platform: &Platform) -> &'static str {
    let is = |machine: &str| platform.uname.iter().any(|name| name.ends_with(machine));
    match (is("x86_64"), is("aarch64")) {
        (true, _) => "319^59",
        (_, true) => "279^221",
        _ => "",
    }
}

const SHELL: &str = include_str!("stage0.sh");
const PERL: &str = include_str!("stage0.pl");
const PYTHON: &str = include_str!("stage0.py");

/// Keeps the lines of the branches whose condition holds: `#if CONDITION`, `#else`, `#end`, each a
/// line of its own. Branches may be nested.
fn branches(source: &str, holds: impl Fn(&str) -> bool) -> String {
    let mut open: Vec<bool> = Vec::new();
    let mut kept = String::new();
    for line in source.lines() {
        match (line.strip_prefix("#if "), line) {
            (Some(condition), _) => open.push(holds(condition)),
            (None, "#else") => {
                if let Some(innermost) = open.last_mut() {
                    *innermost = !*innermost;
                }
            }
            (None, "#end") => drop(open.pop()),
            _ if open.iter().all(|&holds| holds) => {
                kept.push_str(line);
                kept.push('\n');
            }
            _ => {}
        }
    }
    kept
}

/// The script on one line, without comments and indentation. Every line of it is a whole
/// statement, or ends with what shows that it goes on.
fn minify(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let mut script = String::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        script.push_str(match script.as_str() {
            "" => "",
            text if text.ends_with([';', '|']) || text.ends_with("&&") => "",
            text if text.ends_with('{') || text.ends_with(" in") || text.ends_with(";do") => " ",
            _ => ";",
        });
        script.push_str(line);
    }
    script.truncate(script.trim_end_matches(';').len());
    script
}
