//! The piece of a message that travels on a link: a fixed header, then the payload.
//!
//! ```text
//! offset  size  field
//!      0     2  magic, "O" 0xF5
//!      2     1  flags: 1 first frame, 2 last frame, 4 dead, 8 stream, 16 answer
//!      3     1  hops crossed so far
//!      4     4  length of this frame's payload
//!      8     4  CRC-32C of header (with this field 0) and payload
//!     12     4  number of the message, counted by its source
//!     16     4  length of the whole message
//!     20     4  destination context
//!     24     4  source context
//!     28     4  context whose authority the message bears
//!     32     8  handle in the destination
//!     40     8  handle in the source for the answer, or 0; of a stream: for its credit
//!     48        payload
//! ```
//!
//! Numbers are little-endian. The checksum is not there for the transport, which has its own: it
//! catches what a background job of a remote shell writes into our stream.

use bytes::Bytes;

use crate::commands_a_terminal;
use crate::id::{ContextId, Handle};
use crate::limits::FRAME_PAYLOAD_MAX;
use crate::secrets;

/// Bytes of a header.
pub const HEADER_LEN: usize = 48;

const MAGIC: [u8; 2] = [b'O', 0xf5];
const FIRST: u8 = 1;
const LAST: u8 = 2;
const DEAD: u8 = 4;
const STREAM: u8 = 8;
const ANSWER: u8 = 16;
const CHECKSUM: core::ops::Range<usize> = 8..12;

/// A frame's header, without length and checksum, which follow from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the message starts with this frame.
    pub first: bool,
    /// Whether it ends with this frame.
    pub last: bool,
    /// Whether the message says that there will be no answer, and why.
    pub dead: bool,
    /// Whether it is one of a stream, for which `reply_to` is given credit.
    pub stream: bool,
    /// Whether a node answers with it, and not a program: only that ends a call, and only that is
    /// credit.
    pub answer: bool,
    /// Links crossed so far.
    pub hops: u8,
    /// The source's number for the message; its frames share it.
    pub number: u32,
    /// Bytes of the whole message.
    pub total: u32,
    /// Where it goes.
    pub dst: ContextId,
    /// Where it comes from.
    pub src: ContextId,
    /// On whose authority.
    pub auth: ContextId,
    /// The address in the destination.
    pub handle: Handle,
    /// The address in the source that an answer goes to.
    pub reply_to: Handle,
}

/// A header and its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: Header,
    /// This frame's part of the message.
    pub payload: Bytes,
}

/// Why bytes are not a frame. The link that carried them is beyond repair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes do not start like a frame.
    #[error(
        "non-protocol bytes on the link: \"{}\"; a program on that machine probably wrote to the \
         connection's standard output",
        escape(.0)
    )]
    Magic(alloc::vec::Vec<u8>),
    /// The length cannot be right.
    #[error("a frame of {0} bytes exceeds the limit of {FRAME_PAYLOAD_MAX}")]
    TooLong(u32),
    /// The fields contradict each other.
    #[error("a frame contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// The bytes were changed on the way.
    #[error("a frame's checksum does not match its content")]
    Checksum,
}

impl Header {
    /// Appends the frame of this header and `payload` to `out`.
    pub fn encode(&self, payload: &[u8], out: &mut alloc::vec::Vec<u8>) {
        debug_assert!(payload.len() <= FRAME_PAYLOAD_MAX);
        let mut flags = 0;
        for (set, flag) in [
            (self.first, FIRST),
            (self.last, LAST),
            (self.dead, DEAD),
            (self.stream, STREAM),
            (self.answer, ANSWER),
        ] {
            if set {
                flags |= flag;
            }
        }
        let mut header = [0; HEADER_LEN];
        header[..2].copy_from_slice(&MAGIC);
        header[2] = flags;
        header[3] = self.hops;
        header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[12..16].copy_from_slice(&self.number.to_le_bytes());
        header[16..20].copy_from_slice(&self.total.to_le_bytes());
        header[20..24].copy_from_slice(&self.dst.0.to_le_bytes());
        header[24..28].copy_from_slice(&self.src.0.to_le_bytes());
        header[28..32].copy_from_slice(&self.auth.0.to_le_bytes());
        header[32..40].copy_from_slice(&self.handle.0.to_le_bytes());
        header[40..48].copy_from_slice(&self.reply_to.0.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header), payload);
        header[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
    }
}

/// A frame that has arrived. Most of what a large message is made of is copied once, from where it
/// was read to where it is needed.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    pub(crate) header: Header,
    pub(crate) payload: Payload<'a>,
}

/// Its bytes.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    /// They are where they were read.
    Read(&'a [u8]),
    /// They came in pieces, and were put together.
    Kept(Bytes),
}

impl Arrived<'_> {
    /// Keeps it for longer than what was read.
    pub(crate) fn keep(self) -> Frame {
        let Self { header, payload } = self;
        let payload = match payload {
            Payload::Read(payload) => secrets::keep(&header, payload),
            Payload::Kept(payload) => payload,
        };
        Frame { header, payload }
    }
}

impl core::ops::Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(payload) => payload,
            Self::Kept(payload) => payload,
        }
    }
}

/// Bytes of the frame that starts with `header`, header included, before any of it is believed.
pub(crate) fn announced_len(header: &[u8; HEADER_LEN]) -> Result<usize, FrameError> {
    if header[..2] != MAGIC {
        return Err(FrameError::Magic(header.to_vec()));
    }
    let length = u32_at(header, 4);
    if length as usize > FRAME_PAYLOAD_MAX {
        return Err(FrameError::TooLong(length));
    }
    Ok(HEADER_LEN + length as usize)
}

/// Where the frame that starts with `header` says that it goes, before any of it is believed.
pub(crate) fn announced_handle(header: &[u8; HEADER_LEN]) -> Handle {
    Handle(u64_at(header, 32))
}

/// Reads a whole frame's header, and checks it against itself and against the payload.
pub(crate) fn check(header: &[u8; HEADER_LEN], payload: &[u8]) -> Result<Header, FrameError> {
    let mut plain = *header;
    plain[CHECKSUM].fill(0);
    if crc32c::crc32c_append(crc32c::crc32c(&plain), payload) != u32_at(header, CHECKSUM.start) {
        return Err(FrameError::Checksum);
    }
    let flags = header[2];
    let parsed = Header {
        first: flags & FIRST != 0,
        last: flags & LAST != 0,
        dead: flags & DEAD != 0,
        stream: flags & STREAM != 0,
        answer: flags & ANSWER != 0,
        hops: header[3],
        number: u32_at(header, 12),
        total: u32_at(header, 16),
        dst: ContextId(u32_at(header, 20)),
        src: ContextId(u32_at(header, 24)),
        auth: ContextId(u32_at(header, 28)),
        handle: Handle(u64_at(header, 32)),
        reply_to: Handle(u64_at(header, 40)),
    };
    if flags & !(FIRST | LAST | DEAD | STREAM | ANSWER) != 0 {
        return Err(FrameError::Inconsistent("unknown flags"));
    }
    let length = payload.len() as u32;
    if length > parsed.total {
        return Err(FrameError::Inconsistent("it is longer than its message"));
    }
    if parsed.first && parsed.last && length != parsed.total {
        return Err(FrameError::Inconsistent("it is shorter than its message"));
    }
    Ok(parsed)
}

fn u32_at(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn u64_at(header: &[u8; HEADER_LEN], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Bytes as text that is safe to print on a terminal.
fn escape(bytes: &[u8]) -> alloc::string::String {
    alloc::string::String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if commands_a_terminal(c) { '.' } else { c })
        .collect()
}
