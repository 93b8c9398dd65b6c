//! A link as the operating system offers it: two pipes with a latency, room for so many bytes,
//! and no promise about how they are cut into reads.

use std::collections::VecDeque;

use offshoot_proto::LinkId;

use crate::rng::Rng;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Up,
    Down,
}

impl Way {
    pub(crate) fn back(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// The end of a wire in one process.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) process: usize,
    pub(crate) link: LinkId,
    pub(crate) open: bool,
}

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) upper: End,
    pub(crate) lower: End,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
}

impl Wire {
    pub(crate) fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    pub(crate) fn writer(&mut self, way: Way) -> &mut End {
        self.reader(way.back())
    }

    pub(crate) fn reader(&mut self, way: Way) -> &mut End {
        match way {
            Way::Up => &mut self.upper,
            Way::Down => &mut self.lower,
        }
    }
}

/// How a reader finds the bytes cut.
#[derive(Clone, Copy, Debug)]
enum Cutting {
    /// As they were written.
    Coarse,
    /// In small pieces, until enough of them were seen.
    Fine,
}

/// After so many bytes a narrow pipe gets wide and a fine reader coarse: by then they have done
/// what they can, and each large message would be thousands of actions long.
const FINE_BYTES: usize = 3000;

/// See [`Pipe::room`].
const PAGE: usize = 4096;

/// What a pipe of Linux holds.
const WIDE: usize = 65_536;

#[derive(Debug)]
pub(crate) struct Pipe {
    chunks: VecDeque<(u64, Vec<u8>)>,
    /// Bytes of the first chunk that were read.
    read: usize,
    held: usize,
    passed: usize,
    capacity: usize,
    latency: u64,
    cutting: Cutting,
    /// What the writer took from its node and has not written yet.
    pub(crate) handover: Vec<u8>,
    /// Nothing is delivered before this time.
    pub(crate) stalled_until: u64,
    /// Nothing will be written any more.
    pub(crate) ended: bool,
    /// A read is in the queue of actions.
    pub(crate) read_scheduled: bool,
    /// The reader's node does not want to read.
    pub(crate) blocked: bool,
}

impl Pipe {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let capacity = *rng.pick(&[97, 4096, WIDE, 1 << 20]);
        let cutting = *rng.pick(&[Cutting::Coarse, Cutting::Coarse, Cutting::Fine]);
        Self {
            chunks: VecDeque::new(),
            read: 0,
            held: 0,
            passed: 0,
            capacity: if rng.chance(200) { capacity } else { WIDE },
            latency: rng.range(1, 3000),
            cutting,
            handover: Vec::new(),
            stalled_until: 0,
            ended: false,
            read_scheduled: false,
            blocked: false,
        }
    }

    pub(crate) fn room(&self) -> usize {
        if self.passed < FINE_BYTES {
            return self.capacity.saturating_sub(self.held);
        }
        // A full pipe of the system becomes writable again by whole pages only.
        let room = self.capacity.max(WIDE).saturating_sub(self.held);
        if room < PAGE { 0 } else { room }
    }

    /// Moves what has room from the hand-over into the pipe; gives when it can be read.
    pub(crate) fn write(&mut self, now: u64) -> Option<u64> {
        let length = self.room().min(self.handover.len());
        if length == 0 {
            return None;
        }
        let rest = self.handover.split_off(length);
        let chunk = std::mem::replace(&mut self.handover, rest);
        let last = self.chunks.back().map_or(0, |(ready, _)| *ready);
        let ready = last.max(now + self.latency);
        self.held += length;
        self.chunks.push_back((ready, chunk));
        Some(ready)
    }

    /// When the next bytes, or the end, can be read.
    pub(crate) fn ready_at(&self, now: u64) -> Option<u64> {
        let at = match self.chunks.front() {
            Some((ready, _)) => *ready,
            None if self.ended => now,
            None => return None,
        };
        Some(at.max(self.stalled_until).max(now))
    }

    /// Reads what is there by `now`: nothing when it is the end.
    pub(crate) fn read(&mut self, now: u64, rng: &mut Rng) -> Vec<u8> {
        let Some((ready, chunk)) = self.chunks.front() else {
            return Vec::new();
        };
        if *ready > now {
            return Vec::new();
        }
        let rest = &chunk[self.read..];
        let most = match self.cutting {
            Cutting::Coarse => rest.len(),
            Cutting::Fine if self.passed < FINE_BYTES => rng.range(1, 64) as usize,
            Cutting::Fine => rng.range(1, 40_000) as usize,
        };
        let bytes = rest[..most.min(rest.len())].to_vec();
        self.read += bytes.len();
        self.passed += bytes.len();
        self.held -= bytes.len();
        if self.read == chunk.len() {
            self.read = 0;
            self.chunks.pop_front();
        }
        bytes
    }

    /// Ends the pipe; of the bytes under way, only the first `keep` arrive.
    pub(crate) fn end(&mut self, keep: usize) {
        self.ended = true;
        self.handover.clear();
        let mut left = keep;
        for (index, (_, chunk)) in self.chunks.iter_mut().enumerate() {
            let read = if index == 0 { self.read } else { 0 };
            chunk.truncate(read + left.min(chunk.len() - read));
            left -= chunk.len() - read;
        }
        let read = self.read;
        let mut index = 0;
        self.chunks.retain(|(_, chunk)| {
            let there = if index == 0 { read } else { 0 };
            index += 1;
            chunk.len() > there
        });
        if self.chunks.is_empty() {
            self.read = 0;
        }
        self.held = self
            .chunks
            .iter()
            .map(|(_, chunk)| chunk.len())
            .sum::<usize>();
        self.held -= self.read.min(self.held);
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }
}
