//! Processes that speak the protocol and mean harm.
//!
//! Below honest parents they must harm nobody but themselves and what is below them.

use offshoot_proto::control::{self, CallOutcome, Connect, Connected, GrantIds, Hello};
use offshoot_proto::{ContextId, Decoder, Frame, Handle, Header, LinkId};

use crate::forge::{self, View};
use crate::rng::Rng;
use crate::wire::Way;
use crate::world::{Action, Kind, World};

/// What an evil process knows and how it behaves.
#[derive(Debug)]
pub(crate) struct Evil {
    decoder: Decoder,
    /// Headers of the last messages that came by.
    seen: Vec<Header>,
    /// Ids that it was granted: some of each block.
    granted: Vec<ContextId>,
    number: u32,
    /// It reads what it is sent.
    reads: bool,
    /// How many of a thousand messages for others it passes on.
    forwards: u64,
    /// How often it goes on to speak.
    bursts: u64,
    /// Frames of one burst at most.
    burst: u64,
    /// How many bursts of a thousand end in garbage.
    garbage: u64,
}

impl Evil {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            decoder: Decoder::default(),
            seen: Vec::new(),
            granted: Vec::new(),
            number: 0,
            reads: rng.chance(850),
            forwards: *rng.pick(&[0, 500, 1000]),
            bursts: rng.below(6),
            burst: *rng.pick(&[2, 10, 10, 60]),
            garbage: *rng.pick(&[0, 0, 200]),
        }
    }

    fn remember(&mut self, header: Header) {
        const SEEN_MAX: usize = 32;
        if self.seen.len() == SEEN_MAX {
            self.seen.remove(0);
        }
        self.seen.push(header);
    }
}

impl World {
    fn evil(&mut self, process: usize) -> Option<&mut Evil> {
        let process = &mut self.processes[process];
        match &mut process.kind {
            Kind::Evil(evil) if process.alive => Some(evil),
            _ => None,
        }
    }

    /// An evil process sends a burst of frames, to its parent or to a child.
    pub(crate) fn speak(&mut self, process: usize) {
        let known: Vec<ContextId> = self.intended.keys().copied().collect();
        let me = self.processes[process].id;
        let Some(evil) = self.evil(process) else {
            return;
        };
        let (seen, granted) = (evil.seen.clone(), evil.granted.clone());
        let mut above = Vec::new();
        let mut at = self.processes[process].parent;
        while let Some(parent) = at {
            above.push(self.processes[parent].id);
            at = self.processes[parent].parent;
        }
        let calls = self.model.pending(0);
        let mut guessed: Vec<_> = calls
            .map(|call| (ContextId::CONTROLLER, self.model.calls[call].handle))
            .collect();
        guessed.extend(self.sibling_waits());
        guessed.extend(self.guessable());
        let view = View {
            me,
            above,
            known,
            guessed,
            granted,
            seen,
        };
        let mut rng = self.rng.clone();
        let Some(evil) = self.evil(process) else {
            return;
        };
        let mut out = Vec::new();
        for _ in 0..=rng.below(evil.burst) {
            let start = out.len();
            let forge = *rng.pick(&[
                forge::frame,
                forge::frame,
                forge::frame,
                forge::borrowed,
                forge::intruding,
                forge::growing,
                forge::streaming,
            ]);
            forge(&mut rng, &view, &mut evil.number, &mut out);
            // What does no harm once may do so often.
            if rng.chance(60) {
                let again = out[start..].repeat(rng.below(40) as usize);
                out.extend(again);
            }
        }
        match rng.below(1000) {
            _ if out.is_empty() => {}
            roll if roll < evil.garbage => out.extend(b"sh: no job control\n"),
            roll if roll < 2 * evil.garbage => {
                let length = rng.index(out.len());
                out.truncate(length);
            }
            roll if roll < 3 * evil.garbage => {
                let index = rng.index(out.len());
                out[index] ^= 1 << rng.below(8);
            }
            _ => {}
        }
        let again = evil.bursts > 0;
        evil.bursts = evil.bursts.saturating_sub(1);
        self.rng = rng;
        let wires = self.processes[process].wires.clone();
        let up = self.wire_up(process);
        let wire = match up {
            Some(up) if self.rng.chance(700) => up,
            _ => *self.rng.pick(&wires),
        };
        self.note(|| {
            format!(
                "process {process} speaks {} evil bytes on wire {wire}",
                out.len()
            )
        });
        self.say(process, wire, &out);
        if again {
            let at = self.now + self.rng.below(20_000);
            self.schedule(at, Action::Speak { process });
        }
    }

    /// Queues bytes of an evil process.
    fn say(&mut self, process: usize, wire: usize, bytes: &[u8]) {
        const QUEUE_MAX: usize = 1 << 20;
        let way = self.way_out(process, wire);
        let pipe = self.wires[wire].pipe(way);
        if pipe.handover.len() < QUEUE_MAX {
            pipe.handover.extend_from_slice(bytes);
        }
        self.pump(wire, way);
    }

    fn way_out(&self, process: usize, wire: usize) -> Way {
        if self.wires[wire].upper.process == process {
            Way::Down
        } else {
            Way::Up
        }
    }

    /// Whether an evil process takes in what it is sent.
    pub(crate) fn listens(&mut self, process: usize) -> bool {
        self.evil(process).is_none_or(|evil| evil.reads)
    }

    /// An evil process has read `bytes`.
    pub(crate) fn overhear(&mut self, process: usize, wire: usize, bytes: &[u8]) {
        // What comes from below makes no sense to a decoder that is in the middle of a frame from
        // above, and what an evil process could learn from it does not matter.
        let from_above = self.wire_up(process) == Some(wire);
        let Some(evil) = self.evil(process) else {
            return;
        };
        let mut frames = Vec::new();
        if from_above && evil.decoder.push(bytes, &mut frames).is_err() {
            evil.decoder = Decoder::default();
        }
        for frame in frames {
            self.consider(process, &frame);
        }
    }

    fn consider(&mut self, process: usize, frame: &Frame) {
        let me = self.processes[process].id;
        let Some(evil) = self.evil(process) else {
            return;
        };
        evil.remember(frame.header);
        evil.number = evil.number.wrapping_add(1);
        let (number, forwards) = (evil.number, evil.forwards);
        let mut out = Vec::new();
        if frame.header.dst != me {
            let below = self.by_id.get(&frame.header.dst).copied();
            let wire = self.processes[process].wires.iter().copied().find(|&wire| {
                let lower = self.wires[wire].lower.process;
                lower != process && below.is_some_and(|below| self.is_above(lower, below))
            });
            if let Some(wire) = wire
                && self.rng.chance(forwards)
            {
                frame.header.encode(&frame.payload, &mut out);
                self.say(process, wire, &out);
            }
            return;
        }
        let Some(up) = self.wire_up(process) else {
            return;
        };
        match frame.header.handle {
            Handle::CALL_FUNCTION if self.rng.chance(700) => {
                let lie = CallOutcome::Value(vec![0; self.rng.index(40)].into()).encode();
                forge::answer(&frame.header, &lie, number, &mut out);
            }
            Handle::GRANT_IDS => {
                if let Some(grant) = control::decode::<GrantIds>(&frame.payload)
                    && grant.owner == me
                    && let Some(evil) = self.evil(process)
                {
                    evil.granted
                        .extend((grant.first..grant.first.saturating_add(4)).map(ContextId));
                }
                return;
            }
            Handle::CONNECT if self.rng.chance(800) => {
                if let Some(connect) = control::decode::<Connect>(&frame.payload)
                    && self.rng.chance(700)
                {
                    self.grow_evil(process, connect.id);
                }
                let up = Connected::Up {
                    hello: Hello {
                        target: String::new(),
                        pid: 0,
                    },
                    name: "evil".to_owned(),
                };
                forge::answer(&frame.header, &control::encode(&up), number, &mut out);
            }
            _ => return,
        }
        self.say(process, up, &out);
    }

    /// An evil process starts a child, honest or not.
    fn grow_evil(&mut self, process: usize, id: ContextId) {
        if self.by_id.contains_key(&id) || self.intended.get(&id) != Some(&process) {
            return;
        }
        let mut parents = Vec::new();
        let mut at = Some(process);
        while let Some(above) = at {
            parents.push(self.processes[above].id);
            at = self.processes[above].parent;
        }
        let link = LinkId(1 + self.processes[process].wires.len() as u32);
        let child = self.spawn(process, link, id, parents);
        self.note(|| format!("process {child} is context {id}, below evil process {process}"));
    }
}
