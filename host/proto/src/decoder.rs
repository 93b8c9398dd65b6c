//! Cuts a link's bytes into frames, however they arrive.

use alloc::vec::Vec;

use bytes::BytesMut;

use crate::frame::{self, Arrived, Frame, FrameError, HEADER_LEN, Payload};
use crate::secrets;

/// Holds what has arrived of a frame.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: BytesMut,
}

impl Decoder {
    /// Takes `bytes` in and appends each frame that they complete to `frames`.
    ///
    /// # Errors
    ///
    /// Fails on the first bytes that cannot be a frame; frames before them were appended. The
    /// decoder must not be used after that.
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let mut arrived = Vec::new();
        let result = self.take_in(bytes, &mut arrived);
        frames.extend(arrived.into_iter().map(Arrived::keep));
        result
    }

    /// The same, of frames that are still where they were read.
    pub(crate) fn take_in<'a>(
        &mut self,
        mut bytes: &'a [u8],
        frames: &mut Vec<Arrived<'a>>,
    ) -> Result<(), FrameError> {
        if !self.partial.is_empty() {
            bytes = self.complete(bytes, frames)?;
        }
        while let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
            let length = frame::announced_len(header)?;
            let Some(payload) = bytes.get(HEADER_LEN..length) else {
                self.partial.reserve(length);
                break;
            };
            let header = frame::check(header, payload)?;
            let payload = Payload::Read(payload);
            frames.push(Arrived { header, payload });
            bytes = &bytes[length..];
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes of an unfinished frame that are here, and how many it has as far as is known.
    pub fn unfinished(&self) -> Option<(usize, Option<usize>)> {
        let have = self.partial.len();
        let header = self.partial.first_chunk::<HEADER_LEN>();
        let length = header.and_then(|header| frame::announced_len(header).ok());
        (have > 0).then_some((have, length))
    }

    /// Whether a password may be in the unfinished frame.
    pub(crate) fn may_hold_secrets(&self) -> bool {
        let header = self.partial.first_chunk::<HEADER_LEN>();
        header.is_some_and(secrets::may_be_behind)
    }

    /// Bytes of the frame that `bytes` start with; `None` when its header is not whole yet.
    pub(crate) fn first_len(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        let header = bytes.first_chunk::<HEADER_LEN>();
        header.map(frame::announced_len).transpose()
    }

    /// Finishes the frame that is partly here, and returns the bytes behind it.
    fn complete<'a>(
        &mut self,
        bytes: &'a [u8],
        frames: &mut Vec<Arrived<'a>>,
    ) -> Result<&'a [u8], FrameError> {
        let bytes = self.fill(HEADER_LEN, bytes);
        let Some(&header) = self.partial.first_chunk::<HEADER_LEN>() else {
            return Ok(bytes);
        };
        let length = frame::announced_len(&header)?;
        self.partial
            .reserve(length.saturating_sub(self.partial.len()));
        let bytes = self.fill(length, bytes);
        if self.partial.len() < length {
            return Ok(bytes);
        }
        let header = frame::check(&header, &self.partial[HEADER_LEN..])?;
        let whole = core::mem::take(&mut self.partial);
        let payload = Payload::Kept(secrets::keep_rest(&header, whole, HEADER_LEN));
        frames.push(Arrived { header, payload });
        Ok(bytes)
    }

    /// Moves bytes over until `length` are here, and returns the others.
    fn fill<'a>(&mut self, length: usize, bytes: &'a [u8]) -> &'a [u8] {
        let missing = length.saturating_sub(self.partial.len());
        let (head, tail) = bytes.split_at(missing.min(bytes.len()));
        self.partial.extend_from_slice(head);
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Header;
    use crate::id::{ContextId, Handle};

    fn header(payload: &[u8], number: u32) -> Header {
        Header {
            first: true,
            last: true,
            dead: number % 2 == 1,
            stream: false,
            answer: false,
            hops: 3,
            number,
            total: payload.len() as u32,
            dst: ContextId(1),
            src: ContextId(2),
            auth: ContextId(3),
            handle: Handle(u64::MAX - 1),
            reply_to: Handle(1001),
        }
    }

    fn stream() -> (Vec<u8>, Vec<Frame>) {
        let mut bytes = Vec::new();
        let mut frames = Vec::new();
        for (number, length) in [0, 1, 47, 48, 49, 5000, 0].into_iter().enumerate() {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let header = header(&payload, number as u32);
            header.encode(&payload, &mut bytes);
            frames.push(Frame {
                header,
                payload: payload.into(),
            });
        }
        (bytes, frames)
    }

    #[test]
    fn frames_do_not_depend_on_how_bytes_arrive() {
        let (bytes, want) = stream();
        for chunk in (1..200).chain([1000, 4096, bytes.len()]) {
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for part in bytes.chunks(chunk) {
                decoder.push(part, &mut frames).unwrap();
            }
            assert_eq!(frames, want, "in chunks of {chunk}");
            assert_eq!(decoder.unfinished(), None);
        }
    }

    #[test]
    fn every_changed_byte_is_caught() {
        let payload = b"payload";
        let mut bytes = Vec::new();
        header(payload, 1).encode(payload, &mut bytes);
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[index] ^= 1 << bit;
                let mut frames = Vec::new();
                let result = Decoder::default().push(&bytes, &mut frames);
                assert!(frames.is_empty(), "byte {index} bit {bit}");
                // A length that grew is a frame that never ends; that is the end of file's error.
                assert!(
                    result.is_err() || (4..8).contains(&index),
                    "byte {index} bit {bit}"
                );
            }
        }
    }

    #[test]
    fn noise_is_quoted() {
        let noise = b"bash: warning: \x1b[31mno such job\n and then some more text follows";
        let error = Decoder::default().push(noise, &mut Vec::new()).unwrap_err();
        let text = alloc::string::ToString::to_string(&error);
        assert!(
            text.contains("\"bash: warning: .[31mno such job."),
            "{text}"
        );
    }
}
