//! Moves bytes over wires, and ends wires and processes.

use crate::rng::fold;
use crate::wire::Way;
use crate::world::{Action, Kind, World};

/// Bytes that a writer takes from a node at most; it may get one frame more.
const TAKE_MAX: u64 = 64 * 1024;

impl World {
    /// Moves bytes from a writer into its pipe while there is room.
    pub(crate) fn pump(&mut self, wire: usize, way: Way) {
        loop {
            let state = &mut self.wires[wire];
            let (process, link, open) = {
                let end = state.writer(way);
                (end.process, end.link, end.open)
            };
            let reader_open = state.reader(way).open;
            let pipe = state.pipe(way);
            if !open || pipe.ended || pipe.room() == 0 {
                return;
            }
            if pipe.handover.is_empty() {
                let most = if self.rng.chance(200) { 500 } else { TAKE_MAX };
                let enough = self.rng.range(1, most) as usize;
                let mut out = Vec::new();
                let some = self
                    .node(process)
                    .is_some_and(|node| node.poll_transmit(link, &mut out, enough));
                if !some {
                    return;
                }
                if self.processes[process].mangled && way == Way::Up && self.rng.chance(100) {
                    let index = self.rng.index(out.len());
                    out[index] ^= 1 << self.rng.below(8);
                }
                self.wires[wire].pipe(way).handover = out;
            }
            let now = self.now;
            let pipe = self.wires[wire].pipe(way);
            if !reader_open {
                pipe.handover.clear();
                return;
            }
            if let Some(ready) = pipe.write(now)
                && !pipe.read_scheduled
            {
                pipe.read_scheduled = true;
                self.schedule(ready, Action::Read { wire, way });
            }
        }
    }

    /// The reader of a pipe takes what there is, if it may.
    pub(crate) fn read(&mut self, wire: usize, way: Way) {
        let now = self.now;
        let state = &mut self.wires[wire];
        state.pipe(way).read_scheduled = false;
        let (process, link, open) = {
            let end = state.reader(way);
            (end.process, end.link, end.open)
        };
        if !open || !self.processes[process].alive {
            return;
        }
        let Some(ready) = self.wires[wire].pipe(way).ready_at(now) else {
            return;
        };
        if ready > now {
            return self.schedule_read(wire, way, ready);
        }
        if !self.listens(process) {
            if self.wires[wire].pipe(way).ended {
                self.die(process);
            }
            return;
        }
        if let Kind::Honest(node) = &mut self.processes[process].kind
            && !node.may_read(link)
        {
            self.wires[wire].pipe(way).blocked = true;
            return;
        }
        let pipe = self.wires[wire].pipe(way);
        let bytes = pipe.read(now, &mut self.rng);
        if bytes.is_empty() {
            return self.close(wire, way.back(), true);
        }
        self.digest = fold(self.digest, bytes.len() as u64 ^ u64::from(bytes[0]) << 32);
        self.note(|| {
            format!(
                "process {process} reads {} bytes {way:?} wire {wire}",
                bytes.len()
            )
        });
        self.schedule(now, Action::Pump { wire, way });
        if let Some(ready) = self.wires[wire].pipe(way).ready_at(now) {
            self.schedule_read(wire, way, ready.max(now + 1));
        }
        let instant = self.instant();
        match &mut self.processes[process].kind {
            Kind::Honest(node) => {
                node.handle_bytes(link, &bytes, instant);
                self.drain(process);
            }
            Kind::Evil(_) => self.overhear(process, wire, &bytes),
        }
    }

    pub(crate) fn schedule_read(&mut self, wire: usize, way: Way, at: u64) {
        let pipe = self.wires[wire].pipe(way);
        if !pipe.read_scheduled {
            pipe.read_scheduled = true;
            self.schedule(at, Action::Read { wire, way });
        }
    }

    /// Closes the end of a wire from which `out` leads away. With `tell`, its node is told;
    /// without, it knows.
    pub(crate) fn close(&mut self, wire: usize, out: Way, tell: bool) {
        let end = self.wires[wire].writer(out);
        if !end.open {
            return;
        }
        end.open = false;
        let (process, link) = (end.process, end.link);
        self.note(|| format!("process {process} closes wire {wire}"));
        let lower = self.wires[wire].lower.process;
        self.processes[lower].lost = true;
        let pipe = self.wires[wire].pipe(out);
        // What was written before may arrive, down to any byte.
        let held = pipe.held();
        let keep = if self.rng.chance(500) {
            held
        } else {
            self.rng.index(held + 1)
        };
        let pipe = self.wires[wire].pipe(out);
        pipe.end(keep);
        if let Some(ready) = pipe.ready_at(self.now) {
            self.schedule_read(wire, out, ready);
        }
        if !self.processes[process].alive {
            return;
        }
        if matches!(self.processes[process].kind, Kind::Evil(_)) {
            let at = self.now + 1;
            self.schedule(at, Action::Die { process });
            return;
        }
        if tell {
            let now = self.instant();
            if let Some(node) = self.node(process) {
                node.handle_closed(link, "the wire is closed", now);
            }
            self.drain(process);
        }
    }

    pub(crate) fn die(&mut self, process: usize) {
        if !self.processes[process].alive {
            return;
        }
        self.note(|| format!("process {process} dies"));
        self.processes[process].alive = false;
        self.processes[process].lost = true;
        for wire in self.processes[process].wires.clone() {
            let lower = self.wires[wire].lower.process == process;
            self.close(wire, if lower { Way::Up } else { Way::Down }, false);
        }
    }
}
