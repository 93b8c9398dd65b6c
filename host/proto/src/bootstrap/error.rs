//! Why a remote shell did not become a child.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::conversation::Encoding;
use crate::connect::ConnectStage;
use crate::limits::NOISE_MAX;

/// Why a remote shell did not become a child.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// There is no child for such a machine.
    #[error("unsupported platform: there is no child for `{uname}`")]
    UnsupportedPlatform {
        /// What it calls itself.
        uname: String,
    },
    /// No directory can hold the child and run it.
    #[error("no directory there can hold and run the child:{}", List(.0))]
    NoDirectory(Vec<RefusedDirectory>),
    /// The connection ended before the child said hello.
    #[error("it closed the connection {}{}", When(*stage), Printed(printed))]
    ClosedEarly {
        /// How far it had come.
        stage: ConnectStage,
        /// What it printed: the first and the last of it, without control characters.
        printed: String,
    },
    /// What it says makes no sense.
    #[error("{what}{}", Printed(printed))]
    Protocol {
        /// What is wrong with it.
        what: Misbehaviour,
        /// What it printed besides, likewise.
        printed: String,
    },
}

/// When a connection was closed, as the end of a sentence.
struct When(ConnectStage);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ConnectStage::Look => "while it looked for a directory",
            ConnectStage::Upload | ConnectStage::Hello => {
                "after it asked for the child and before that said hello"
            }
            _ => "before it answered: does the account's shell run commands?",
        })
    }
}

/// A directory that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedDirectory {
    /// Its path, without control characters.
    pub path: String,
    /// What was wrong with it.
    pub why: Refusal,
}

/// What was wrong with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The home is missing or somebody else's.
    Home,
    /// It does not exist and cannot be made, or is not the user's alone.
    Directory,
    /// Nothing can be written there.
    Write,
    /// Nothing can be run from there.
    NoExec,
    /// There is no `head` that counts bytes.
    Head,
    /// Not all of the child could be written, or not all of it came.
    Short,
    /// What came is not what was promised.
    Hash,
    /// The child does not run on this machine.
    Run,
    /// The child could not be given its name.
    Rename,
    /// There is no `/proc`, which a child without a file needs.
    Proc,
    /// It is no directory but memory, into which nothing there can put the child.
    Memory,
}

impl Refusal {
    /// The one that a remote shell calls `word`.
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "home" => Self::Home,
            "dir" => Self::Directory,
            "write" => Self::Write,
            "noexec" => Self::NoExec,
            "head" => Self::Head,
            "short" => Self::Short,
            "hash" => Self::Hash,
            "run" => Self::Run,
            "rename" => Self::Rename,
            "proc" => Self::Proc,
            "memory" => Self::Memory,
            _ => return None,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Home => "no home of this user's",
            Self::Directory => "cannot be made, or is not this user's alone (mode 0700, no link)",
            Self::Write => "not writable",
            Self::NoExec => "mounted noexec",
            Self::Head => "the machine has no `head -c`",
            Self::Short => "not enough space, or not all of the child arrived",
            Self::Hash => "the child arrived damaged",
            Self::Run => "the child does not run on this machine",
            Self::Rename => "the child could not be renamed",
            Self::Proc => "the machine has no `/proc`",
            Self::Memory => "it has no `perl` or `python3`, or forbids programs without a file",
        })
    }
}

/// What makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// It printed too much that is not an answer.
    Noise,
    /// It gave an answer that there is not.
    Answer(String),
    /// It gave an answer without an end.
    EndlessAnswer,
    /// It asked for a child that was not offered.
    NotOffered {
        /// Number of the platform.
        platform: String,
        /// How it should be packed, if there is such an encoding.
        encoding: Option<Encoding>,
    },
    /// It asked too often, or refused too many directories.
    TooOften,
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise => write!(f, "it printed {NOISE_MAX} bytes and no answer"),
            Self::Answer(answer) => write!(f, "it gave the unknown answer `{answer}`"),
            Self::EndlessAnswer => f.write_str("it gave an answer that does not end"),
            Self::NotOffered { platform, .. } => {
                write!(
                    f,
                    "it asked for a child that was not offered (`{platform}`)"
                )
            }
            Self::TooOften => f.write_str("it tried more directories than there are"),
        }
    }
}

struct List<'a>(&'a [RefusedDirectory]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, RefusedDirectory { path, why }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator} `{path}`: {why}")?;
        }
        Ok(())
    }
}

/// What a program printed, if anything.
struct Printed<'a>(&'a str);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("; it printed nothing"),
            text => write!(f, "; it printed: {text}"),
        }
    }
}
