//! What the schedule does to the tree: contexts, calls, cancels, and accidents.

use core::time::Duration;

use offshoot_proto::control::Arguments;
use offshoot_proto::{CallRequest, ContextId, Handle, SendError};

use crate::model::{self, Call, End, GRACE, Plan, payload};
use crate::wire::Way;
use crate::world::{Action, Kind, World};

/// Stalls last at most this long, in microseconds.
const STALL_MAX: u64 = 2_000_000;

impl World {
    /// Does the next thing, and schedules the one after it.
    pub(crate) fn operate(&mut self) {
        if self.operations_left == 0 {
            return;
        }
        self.operations_left -= 1;
        let at = self.now + self.rng.below(self.profile.pause + 1);
        self.schedule(at, Action::Operate);
        let accident = self.rng.below(1000);
        let (kill, cut) = (self.profile.kill, self.profile.cut);
        if accident < kill {
            return self.kill_one();
        }
        if accident < kill + cut {
            return self.cut_one();
        }
        if accident < kill + cut + self.profile.stall {
            return self.stall_one();
        }
        if self.rng.chance(self.profile.streams) {
            return self.program();
        }
        let wanted = self.intended.len() < self.profile.contexts;
        match self.rng.below(100) {
            0..45 if wanted => self.connect(),
            0..75 => {
                for _ in 0..=self.rng.below(self.profile.burst) {
                    self.call_one();
                }
            }
            75..83 => self.forget_one(),
            83..85 => self.give_up_one(),
            85..92 => {
                for _ in 0..=self.rng.below(4) {
                    self.ask_sibling();
                }
            }
            92..97 => {
                let process = self.rng.index(self.processes.len());
                if process > 0 {
                    self.log(process);
                }
            }
            _ => self.shut_down_one(),
        }
    }

    /// A process that the controller knows to be there.
    pub(crate) fn pick_up(&mut self) -> Option<usize> {
        let up: Vec<usize> = (1..self.processes.len())
            .filter(|&it| self.processes[it].up)
            .collect();
        (!up.is_empty()).then(|| *self.rng.pick(&up))
    }

    /// Someone who may makes a call.
    fn call_one(&mut self) {
        let Some(callee) = self.pick_up() else {
            return;
        };
        let mut caller = 0;
        if self.rng.chance(200) {
            let mut above = self.processes[callee].parent;
            while let Some(process) = above {
                if self.rng.chance(400) {
                    caller = process;
                    break;
                }
                above = self.processes[process].parent;
            }
        }
        if self.node(caller).is_some() {
            self.call(caller, callee);
        }
    }

    fn length(&mut self) -> usize {
        let most = if self.rng.chance(self.profile.large) {
            self.profile.large_max
        } else {
            self.profile.small_max
        };
        self.rng.below(most) as usize
    }

    fn call(&mut self, caller: usize, callee: usize) {
        let now = self.now;
        let number = self.model.calls.len();
        let (arguments, result) = (self.length(), self.length());
        let concurrent = self.rng.chance(300);
        let chain = if self.rng.chance(250) {
            self.chain(caller, callee)
        } else {
            0
        };
        let awaited = self.rng.chance(900);
        let timeout = self.rng.chance(300).then(|| self.rng.range(1, 60_000));
        let plan = match self.rng.below(20) {
            0 if chain == 0 => Plan::Missing,
            1..4 => Plan::Fail,
            _ => Plan::Return,
        };
        let plugin = match plan {
            Plan::Missing => self.plugins.len() - 1,
            _ => self.rng.index(self.plugins.len() - 1),
        };
        let (bind, image) = (
            self.plugins[plugin].bind.clone(),
            self.plugins[plugin].image.clone(),
        );
        let dst = self.processes[callee].id;
        let instant = self.instant();
        let payload = payload(number, arguments);
        let Some(node) = self.node(caller) else {
            return;
        };
        if let Some(image) = image
            && let Err(error) = node.provide_image(bind.image, &image)
        {
            return self.fail(format!("no room for an image: {error}"));
        }
        let request = CallRequest {
            dst,
            bind: &bind,
            function: "f",
            signature: 0,
            concurrent,
            chain,
            is_awaited: awaited,
            arguments: Arguments::Copied(&payload),
            timeout: timeout.map(Duration::from_micros),
        };
        let made = node.call(request, instant);
        self.note(|| {
            format!("call {number} from process {caller} to {callee}: {made:?}, {plan:?}")
        });
        let way = self.way(caller, callee);
        let (handle, end) = match made {
            Ok(handle) => (handle, (!awaited).then_some(End::NotAwaited)),
            Err(SendError::NoRoute(_))
                if way != model::Way::Healthy || !self.knows(caller, dst) =>
            {
                (Handle::NONE, Some(End::NotSent))
            }
            Err(error) => return self.fail(format!("call {number} cannot be made: {error}")),
        };
        self.model.add(Call {
            caller,
            callee,
            handle,
            concurrent: concurrent && chain == 0,
            chain,
            arguments,
            result,
            plan,
            due: timeout.map(|timeout| now + timeout + GRACE),
            runs: 0,
            returned: false,
            end,
        });
        self.drain(caller);
    }

    /// The chain of a caller and a callee, or a new one in its place.
    fn chain(&mut self, caller: usize, callee: usize) -> u64 {
        let current = self.chains.get(&(caller, callee)).copied();
        if let Some(chain) = current
            && !self.rng.chance(200)
        {
            return chain;
        }
        if let Some(chain) = current {
            self.forget_chain(caller, callee, chain);
        }
        let chain = current.unwrap_or(0) + 1;
        self.chains.insert((caller, callee), chain);
        chain
    }

    pub(crate) fn forget_chain(&mut self, caller: usize, callee: usize, chain: u64) {
        let dst = self.processes[callee].id;
        if let Some(node) = self.node(caller) {
            node.forget_chain(dst, chain);
        }
        self.drain(caller);
    }

    fn forget_one(&mut self) {
        let callers: Vec<usize> = (0..self.processes.len()).collect();
        let caller = *self.rng.pick(&callers);
        let pending: Vec<usize> = self.model.pending(caller).collect();
        if pending.is_empty() || self.node(caller).is_none() {
            return;
        }
        let number = *self.rng.pick(&pending);
        self.note(|| format!("call {number} is forgotten"));
        let call = &mut self.model.calls[number];
        call.end = Some(End::Forgotten);
        let handle = call.handle;
        if let Some(node) = self.node(caller) {
            node.unsubscribe(handle);
        }
        self.drain(caller);
    }

    /// Nobody waits any more for a context that was asked for.
    fn give_up_one(&mut self) {
        let Some((&(maker, handle), &id)) = self.connecting.first_key_value() else {
            return;
        };
        self.note(|| format!("context {id} is not wanted any more"));
        self.connecting.remove(&(maker, handle));
        self.unwanted(id);
        if let Some(node) = self.node(maker) {
            node.unsubscribe(handle);
            node.shut_down(id);
        }
        self.drain(maker);
    }

    /// A context may end, or will be, by an order that came too early or too late.
    pub(crate) fn unwanted(&mut self, id: ContextId) {
        if let Some(&process) = self.by_id.get(&id) {
            self.processes[process].shutdown_asked = true;
        }
        self.unwanted.insert(id);
    }

    fn kill_one(&mut self) {
        if self.processes.len() > 1 {
            let process = 1 + self.rng.index(self.processes.len() - 1);
            self.die(process);
        }
    }

    /// A link breaks, for both of its ends and at any byte.
    fn cut_one(&mut self) {
        if self.wires.is_empty() {
            return;
        }
        let wire = self.rng.index(self.wires.len());
        self.note(|| format!("wire {wire} breaks"));
        let lower = self.wires[wire].lower.process;
        self.processes[lower].lost = true;
        for way in [Way::Up, Way::Down] {
            let held = self.wires[wire].pipe(way).held();
            let keep = self.rng.index(held + 1);
            let pipe = self.wires[wire].pipe(way);
            pipe.end(keep);
            let at = pipe.ready_at(self.now).unwrap_or(self.now);
            self.schedule_read(wire, way, at);
        }
    }

    fn stall_one(&mut self) {
        if self.wires.is_empty() {
            return;
        }
        let wire = self.rng.index(self.wires.len());
        let way = *self.rng.pick(&[Way::Up, Way::Down]);
        let until = self.now + self.rng.below(STALL_MAX);
        self.note(|| format!("wire {wire} delivers nothing {way:?} until {until}"));
        self.wires[wire].pipe(way).stalled_until = until;
    }

    fn shut_down_one(&mut self) {
        if let Some(process) = self.pick_up()
            && self.profile.faults
        {
            self.shut_down(process);
        }
    }

    pub(crate) fn shut_down(&mut self, process: usize) {
        // What is below it may be told by mistake only, or because its parent ends.
        self.processes[process].shutdown_asked = true;
        self.note(|| format!("process {process} is asked to end"));
        let id = self.processes[process].id;
        if let Some(node) = self.node(0) {
            node.shut_down(id);
        }
        self.drain(0);
    }

    /// Ends all evil, so that what waits for it ends.
    pub(crate) fn end_evil(&mut self) {
        for process in 0..self.processes.len() {
            if self.processes[process].mangled
                || matches!(self.processes[process].kind, Kind::Evil(_))
            {
                self.die(process);
            }
        }
    }
}
