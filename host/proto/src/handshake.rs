//! Finds the greeting of a child in what its connection prints.
//!
//! What comes before it is not ours: a remote shell's banner, a login script's chatter, with or
//! without a newline at its end. So the greeting is a line that contains a nonce of this one
//! connection, wherever on a line it starts, and everything behind it is frames.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::commands_a_terminal;
use crate::control::{self, Hello, Welcome};
use crate::decoder::Decoder;
use crate::frame::{Frame, FrameError, Header};
use crate::id::{ContextId, Handle};
use crate::limits::{NOISE_MAX, PROTOCOL_VERSION};

/// Bytes of a nonce, in hexadecimal.
pub const NONCE_LEN: usize = 32;

/// Bytes of a greeting line at most.
const GREETING_MAX: usize = 256;

/// Why a greeting was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// There is none.
    #[error("it printed {NOISE_MAX} bytes and no greeting; the first are: {0:?}")]
    Noise(String),
    /// The other end speaks another protocol or comes from another build.
    #[error(
        "it is another build of offshoot (protocol {protocol}, build {build}; this one is \
         protocol {PROTOCOL_VERSION}, build {expected})"
    )]
    OtherBuild {
        /// Its protocol version.
        protocol: String,
        /// Its build id.
        build: String,
        /// Our build id.
        expected: String,
    },
    /// What follows the greeting is not a frame.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// What follows the greeting is a frame, but not the one that belongs there.
    #[error("it did not say what it can run")]
    NoHello,
}

/// The greeting of a child of this build.
pub fn greeting(nonce: &str, build: &str) -> String {
    format!("{}{PROTOCOL_VERSION} {build}\n", marker(nonce))
}

/// The frame that carries `body` as the first one on a link.
pub fn first_frame<T: serde::Serialize>(body: &T) -> Vec<u8> {
    let payload = control::encode(body);
    let header = Header {
        first: true,
        last: true,
        dead: false,
        stream: false,
        answer: false,
        hops: 0,
        number: 0,
        total: payload.len() as u32,
        dst: ContextId::default(),
        src: ContextId::default(),
        auth: ContextId::default(),
        handle: Handle::HELLO,
        reply_to: Handle::NONE,
    };
    let mut out = Vec::new();
    header.encode(&payload, &mut out);
    out
}

/// The body of the first frame on a link.
pub fn first_body<T: for<'a> serde::Deserialize<'a>>(frame: &Frame) -> Option<T> {
    (frame.header.handle == Handle::HELLO).then(|| control::decode(&frame.payload))?
}

/// A parent's welcome, and the bytes behind it. They may hold a password, and are overwritten when
/// they are dropped.
pub type Welcomed = (Welcome, Zeroizing<Vec<u8>>);

/// Waits for a parent's welcome.
#[derive(Debug, Default)]
pub struct ExpectWelcome {
    /// What is behind the welcome may hold a password.
    seen: Zeroizing<Vec<u8>>,
}

impl ExpectWelcome {
    /// Takes in what the parent sent; gives the welcome and the bytes behind it.
    ///
    /// # Errors
    ///
    /// Fails when it is anything but a welcome.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Result<Option<Welcomed>, HandshakeError> {
        self.seen.extend_from_slice(bytes);
        let length = Decoder::first_len(&self.seen)?;
        let Some((first, rest)) = length.and_then(|length| self.seen.split_at_checked(length))
        else {
            return Ok(None);
        };
        let mut frames = Vec::new();
        Decoder::default().push(first, &mut frames)?;
        let welcome = frames
            .first()
            .and_then(first_body)
            .ok_or(HandshakeError::NoHello)?;
        Ok(Some((welcome, Zeroizing::new(rest.to_owned()))))
    }
}

/// How a greeting starts. The nonce follows, and then a space.
pub(crate) const GREETING: &str = "OFFSHOOT ";

fn marker(nonce: &str) -> String {
    format!("{GREETING}{nonce} ")
}

/// Waits for a child's greeting and hello.
#[derive(Debug)]
pub struct ExpectHello {
    marker: String,
    build: String,
    seen: Vec<u8>,
    /// How much of that was searched in vain: it may come byte by byte.
    searched: usize,
    /// Where the greeting starts, once there is one.
    greeting_at: Option<usize>,
    /// Where the frames start, once the greeting is known to be right.
    frames_at: Option<usize>,
}

/// A child that has said hello.
#[derive(Debug)]
pub struct HelloReceived {
    /// What it said.
    pub hello: Hello,
    /// Bytes that it sent behind that.
    pub rest: Vec<u8>,
    /// What the connection printed before the greeting.
    pub noise: Vec<u8>,
}

impl ExpectHello {
    /// Waits for the greeting with `nonce` from a child of `build`.
    pub fn new(nonce: &str, build: &str) -> Self {
        Self {
            marker: marker(nonce),
            build: build.to_owned(),
            seen: Vec::new(),
            searched: 0,
            greeting_at: None,
            frames_at: None,
        }
    }

    /// Takes in what the connection printed.
    ///
    /// # Errors
    ///
    /// Fails when it cannot become a greeting any more.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Result<Option<HelloReceived>, HandshakeError> {
        self.seen.extend_from_slice(bytes);
        if self.frames_at.is_none() {
            self.frames_at = self.find_greeting()?;
        }
        let Some(frames_at) = self.frames_at else {
            if self.seen.len() > NOISE_MAX {
                return Err(HandshakeError::Noise(self.noise_text()));
            }
            return Ok(None);
        };
        let mut frames = Vec::new();
        let mut decoder = Decoder::default();
        let behind = self.seen.split_off(frames_at);
        // One frame only: the bytes behind it belong to the link that is about to exist.
        let length = Decoder::first_len(&behind)?;
        let Some((first, rest)) = length.and_then(|length| behind.split_at_checked(length)) else {
            self.seen.extend_from_slice(&behind);
            return Ok(None);
        };
        decoder.push(first, &mut frames)?;
        let hello = frames
            .first()
            .and_then(first_body)
            .ok_or(HandshakeError::NoHello)?;
        let mut noise = core::mem::take(&mut self.seen);
        noise.truncate(self.greeting_at.unwrap_or(0));
        Ok(Some(HelloReceived {
            hello,
            rest: rest.to_owned(),
            noise,
        }))
    }

    /// What was printed so far, for an error: the first and the last of it, safe to print.
    pub fn noise_text(&self) -> String {
        const EACH: usize = 300;
        let text = String::from_utf8_lossy(&self.seen);
        let clean: String = text
            .chars()
            .map(|c| {
                if commands_a_terminal(c) && c != '\n' {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        let clean = clean.trim();
        let (Some((head, _)), Some((tail, _))) = (
            clean.char_indices().nth(EACH),
            clean.char_indices().rev().nth(EACH),
        ) else {
            return clean.to_owned();
        };
        if head >= tail {
            return clean.to_owned();
        }
        format!("{} ... {}", &clean[..head], &clean[tail..])
    }

    /// Where the greeting ends; `None` when it has not ended yet.
    fn find_greeting(&mut self) -> Result<Option<usize>, HandshakeError> {
        let Some(start) = self.find_marker() else {
            return Ok(None);
        };
        let versions = &self.seen[start + self.marker.len()..];
        let line = &versions[..versions.len().min(GREETING_MAX)];
        let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
            if versions.len() > GREETING_MAX {
                return Err(HandshakeError::Noise(self.noise_text()));
            }
            return Ok(None);
        };
        let versions = String::from_utf8_lossy(&line[..end]).replace(commands_a_terminal, " ");
        let (protocol, build) = versions.split_once(' ').unwrap_or((&versions, "unknown"));
        if protocol.parse() != Ok(PROTOCOL_VERSION) || build != self.build {
            return Err(HandshakeError::OtherBuild {
                protocol: protocol.to_owned(),
                build: build.to_owned(),
                expected: self.build.clone(),
            });
        }
        Ok(Some(start + self.marker.len() + end + 1))
    }

    fn find_marker(&mut self) -> Option<usize> {
        if self.greeting_at.is_none() {
            let found = find(&self.seen[self.searched..], self.marker.as_bytes());
            self.greeting_at = found.map(|at| self.searched + at);
            // The marker may have begun to arrive.
            self.searched = self.seen.len().saturating_sub(self.marker.len());
        }
        self.greeting_at
    }
}

/// Where `needle` starts.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    fn hello() -> Hello {
        Hello {
            target: "t".to_owned(),
            pid: 7,
        }
    }

    #[test]
    fn a_greeting_is_found_behind_any_noise_and_in_any_pieces() {
        let mut bytes = b"Welcome to web1!\nOFFSHOOT 0 \nno newline here:".to_vec();
        let noise = bytes.len();
        bytes.extend_from_slice(greeting(NONCE, "b1").as_bytes());
        bytes.extend_from_slice(&first_frame(&hello()));
        bytes.extend_from_slice(b"rest");
        for chunk in 1..=bytes.len() {
            let mut expect = ExpectHello::new(NONCE, "b1");
            let mut greeted = None;
            let mut later = Vec::new();
            for part in bytes.chunks(chunk) {
                match greeted {
                    None => greeted = expect.on_bytes(part).unwrap(),
                    Some(_) => later.extend_from_slice(part),
                }
            }
            let mut greeted = greeted.expect("a greeting");
            greeted.rest.extend_from_slice(&later);
            assert_eq!(greeted.hello, hello());
            assert_eq!(greeted.rest, b"rest", "in chunks of {chunk}");
            assert_eq!(greeted.noise.len(), noise);
        }
    }

    #[test]
    fn another_build_is_named() {
        let mut expect = ExpectHello::new(NONCE, "b1");
        let error = expect
            .on_bytes(greeting(NONCE, "b2").as_bytes())
            .unwrap_err();
        assert_eq!(
            alloc::string::ToString::to_string(&error),
            alloc::format!(
                "it is another build of offshoot (protocol {PROTOCOL_VERSION}, build b2; this one \
                 is protocol {PROTOCOL_VERSION}, build b1)"
            )
        );
    }

    #[test]
    fn endless_noise_is_given_up() {
        let mut expect = ExpectHello::new(NONCE, "b1");
        let result = (0..=NOISE_MAX / 1000).find_map(|_| expect.on_bytes(&[b'x'; 1000]).err());
        assert!(
            matches!(result, Some(HandshakeError::Noise(_))),
            "{result:?}"
        );
    }

    #[test]
    fn a_versions_line_is_bounded_and_commands_no_terminal() {
        let mut expect = ExpectHello::new(NONCE, "b1");
        let line = format!("{}1 \u{1b}[2Jevil\u{202e}\n", marker(NONCE));
        let error = expect.on_bytes(line.as_bytes()).unwrap_err();
        let text = alloc::string::ToString::to_string(&error);
        assert!(text.contains("build  [2Jevil ;"), "{text}");
        let mut expect = ExpectHello::new(NONCE, "b1");
        let line = format!("{}1 {}\n", marker(NONCE), "b".repeat(GREETING_MAX));
        let error = expect.on_bytes(line.as_bytes()).unwrap_err();
        assert!(matches!(error, HandshakeError::Noise(_)), "{error:?}");
    }
}
