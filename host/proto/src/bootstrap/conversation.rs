//! Reads what the command prints, and says what to send.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{BootstrapError, Misbehaviour, Refusal, RefusedDirectory};
use super::stage0::{CANDIDATES, Stage0};
use crate::commands_a_terminal;
use crate::connect::ConnectStage;
use crate::handshake;
use crate::limits::NOISE_MAX;

/// Bytes of an answer at most: the longest path of a directory, and some.
const ANSWER_MAX: usize = 5 * 1024;
const _: () = assert!(
    ANSWER_MAX < NOISE_MAX,
    "an answer is judged before noise is"
);

/// Places that may be refused: each candidate, and the home before it is one.
const REFUSALS_MAX: usize = CANDIDATES + 1;

/// Bytes of what was printed that an error shows, of the start and of the end each.
const PRINTED_EACH: usize = 200;

/// How a child is packed for its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// By gzip.
    Gzip,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send exactly this child, and nothing behind it.
    Upload {
        /// Which of the platforms that were offered.
        platform: usize,
        /// How.
        encoding: Encoding,
        /// Where it goes, without control characters: for a log.
        directory: String,
    },
    /// The child runs. The conversation is over.
    Serving {
        /// All that was printed from its greeting on. What comes later continues it.
        behind: Vec<u8>,
        /// All that was printed before that is not ours.
        noise: Vec<u8>,
    },
    /// There will be no child. The conversation is over.
    Failed(BootstrapError),
}

/// Everything that is said until the child says hello.
///
/// The driver passes in what it reads ([`handle_bytes`](Self::handle_bytes),
/// [`handle_closed`](Self::handle_closed)), and then takes steps from
/// [`poll_step`](Self::poll_step) until there is none. How long it waits is its own affair.
#[derive(Debug)]
pub struct Conversation {
    nonce: String,
    /// For each platform, whether it can be sent compressed.
    offered: Vec<bool>,
    /// What was printed and may yet become an answer.
    seen: Vec<u8>,
    /// How much of that was searched in vain: it may come byte by byte.
    searched: usize,
    /// What was printed and is no answer.
    noise: Vec<u8>,
    stage: ConnectStage,
    uploads: usize,
    refused: Vec<RefusedDirectory>,
    steps: VecDeque<Step>,
    over: bool,
}

impl Conversation {
    /// The conversation that `stage0` begins.
    pub fn new(stage0: &Stage0) -> Self {
        let offered = stage0.platforms.iter();
        Self {
            nonce: stage0.nonce().to_owned(),
            offered: offered.map(|one| one.gzip_size.is_some()).collect(),
            seen: Vec::new(),
            searched: 0,
            noise: Vec::new(),
            stage: ConnectStage::Command,
            uploads: 0,
            refused: Vec::new(),
            steps: VecDeque::new(),
            over: false,
        }
    }

    /// Takes in what was printed. It must not be called once the conversation is over: what comes
    /// then belongs to somebody else, and is dropped here.
    pub fn handle_bytes(&mut self, mut bytes: &[u8]) {
        // A piece at a time, so that no more is held than may be printed.
        while !self.over && !bytes.is_empty() {
            let room = (NOISE_MAX + 1).saturating_sub(self.seen.len() + self.noise.len());
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            self.seen.extend_from_slice(piece);
            bytes = rest;
            while let Some(answer) = self.next_answer() {
                self.handle_answer(answer);
            }
            if !self.over && self.seen.len() + self.noise.len() > NOISE_MAX {
                self.misbehaved(Misbehaviour::Noise);
            }
        }
        if let Some(Step::Serving { behind, .. }) = self.steps.back_mut() {
            // It came in the same read as the greeting.
            behind.extend_from_slice(bytes);
        }
    }

    /// Takes in that nothing more will be printed.
    pub fn handle_closed(&mut self) {
        if self.over {
            return;
        }
        let printed = self.printed();
        let stage = self.stage;
        self.fail(BootstrapError::ClosedEarly { stage, printed });
    }

    /// What to do next, if anything.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// What was printed so far that is not ours: the first and the last of it, without control
    /// characters. For whoever gives up waiting.
    pub fn printed(&self) -> String {
        let mut all = self.noise.clone();
        all.extend_from_slice(&self.seen);
        excerpt(&all)
    }

    /// How far it has come: [`Command`](ConnectStage::Command) until the far end has answered,
    /// [`Upload`](ConnectStage::Upload) from the first request for a child on, and
    /// [`Hello`](ConnectStage::Hello) once that has begun to say hello.
    pub fn stage(&self) -> ConnectStage {
        self.stage
    }

    /// Finds the next answer and takes it out of what was printed.
    fn next_answer(&mut self) -> Option<Answer> {
        const GREETED: &[u8] = handshake::GREETING.as_bytes();
        while !self.over {
            let nonce = self.nonce.as_bytes();
            let found = handshake::find(&self.seen[self.searched..], nonce);
            let Some(at) = found.map(|at| self.searched + at) else {
                // The nonce may have begun to arrive.
                let hope = self.seen.len().saturating_sub(nonce.len() - 1);
                self.searched = self.searched.max(hope);
                return None;
            };
            self.searched = at;
            let behind = at + nonce.len();
            match self.seen.get(behind)? {
                b' ' if self.seen[..at].ends_with(GREETED) => {
                    self.take_noise(at - GREETED.len());
                    return Some(Answer::Greeting);
                }
                b':' => {
                    let line = &self.seen[behind + 1..];
                    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
                        return (line.len() > ANSWER_MAX).then_some(Answer::Endless);
                    };
                    if end > ANSWER_MAX {
                        return Some(Answer::Endless);
                    }
                    let text = String::from_utf8_lossy(&line[..end]).into_owned();
                    self.take_noise(at);
                    self.seen.drain(..nonce_and_line(&self.nonce, end));
                    return Some(Answer::Line(text));
                }
                // Somebody shows the command that we sent.
                _ => self.searched += 1,
            }
        }
        None
    }

    fn take_noise(&mut self, end: usize) {
        self.noise.extend(self.seen.drain(..end));
        self.searched = 0;
    }

    fn handle_answer(&mut self, answer: Answer) {
        let line = match answer {
            Answer::Greeting => {
                let behind = core::mem::take(&mut self.seen);
                let noise = core::mem::take(&mut self.noise);
                self.steps.push_back(Step::Serving { behind, noise });
                self.stage = ConnectStage::Hello;
                self.over = true;
                return;
            }
            Answer::Endless => return self.misbehaved(Misbehaviour::EndlessAnswer),
            Answer::Line(line) => line,
        };
        self.stage = self.stage.max(ConnectStage::Look);
        // A terminal may have put a return before the newline.
        let line = line.trim_end_matches('\r');
        let (word, rest) = line.split_once(':').unwrap_or((line, ""));
        match word {
            "arch" => {
                let uname = excerpt(rest.as_bytes());
                self.fail(BootstrapError::UnsupportedPlatform { uname });
            }
            "need" => self.on_need(rest),
            "no" => self.on_refusal(rest),
            "fail" => {
                let refused = core::mem::take(&mut self.refused);
                self.fail(BootstrapError::NoDirectory(refused));
            }
            _ => self.misbehaved(Misbehaviour::Answer(excerpt(line.as_bytes()))),
        }
    }

    fn on_need(&mut self, rest: &str) {
        let mut parts = rest.splitn(3, ':');
        let mut part = || parts.next().unwrap_or("");
        let (number, packing, directory) = (part(), part(), part());
        let encoding = match packing {
            "cat" => Some(Encoding::Plain),
            "gzip" => Some(Encoding::Gzip),
            _ => None,
        };
        let platform = number.parse().ok();
        let can_gzip = platform.and_then(|number: usize| self.offered.get(number));
        match (platform, can_gzip, encoding) {
            (Some(platform), Some(&can_gzip), Some(encoding))
                if can_gzip || encoding == Encoding::Plain =>
            {
                self.uploads += 1;
                if self.uploads > CANDIDATES {
                    return self.misbehaved(Misbehaviour::TooOften);
                }
                self.stage = ConnectStage::Upload;
                let directory = clean(directory);
                self.steps.push_back(Step::Upload {
                    platform,
                    encoding,
                    directory,
                });
            }
            _ => self.misbehaved(Misbehaviour::NotOffered {
                platform: excerpt(number.as_bytes()),
                encoding,
            }),
        }
    }

    fn on_refusal(&mut self, rest: &str) {
        let (word, path) = rest.split_once(':').unwrap_or((rest, ""));
        let Some(why) = Refusal::named(word) else {
            return self.misbehaved(Misbehaviour::Answer(excerpt(rest.as_bytes())));
        };
        if self.refused.len() == REFUSALS_MAX {
            return self.misbehaved(Misbehaviour::TooOften);
        }
        let path = clean(path);
        self.refused.push(RefusedDirectory { path, why });
    }

    fn misbehaved(&mut self, what: Misbehaviour) {
        let printed = match what {
            Misbehaviour::Noise => self.printed(),
            // How much of what follows has arrived is chance.
            _ => excerpt(&self.noise),
        };
        self.fail(BootstrapError::Protocol { what, printed });
    }

    fn fail(&mut self, error: BootstrapError) {
        self.over = true;
        self.steps.push_back(Step::Failed(error));
    }
}

enum Answer {
    /// What is behind the nonce and its colon.
    Line(String),
    /// The child's greeting stands at the start of what is left.
    Greeting,
    /// There is no end to it.
    Endless,
}

/// Bytes of an answer from its nonce to its newline.
fn nonce_and_line(nonce: &str, line: usize) -> usize {
    nonce.len() + ":".len() + line + "\n".len()
}

/// The first and the last of a text of somebody else's, on one line and safe to print.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let middle_end = bytes.len().saturating_sub(PRINTED_EACH);
    let (head, tail) = if middle_end <= PRINTED_EACH {
        (bytes, &[][..])
    } else {
        (&bytes[..PRINTED_EACH], &bytes[middle_end..])
    };
    let head = clean(&String::from_utf8_lossy(head));
    match clean(&String::from_utf8_lossy(tail)) {
        tail if tail.is_empty() => head,
        tail => format!("{head} ... {tail}"),
    }
}

/// A text without control characters, and with single spaces.
fn clean(text: &str) -> String {
    let text = text.replace(commands_a_terminal, " ");
    let mut clean = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    clean
}
