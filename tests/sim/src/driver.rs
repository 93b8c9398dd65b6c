//! What the real driver does for a node, for the simulated ones: drains it, runs its calls,
//! makes its children, and checks each thing that it is told against what really happened.

use bytes::Bytes;
use offshoot_abi::{CallErrorKind, CallFailure, GuestError};
use offshoot_proto::control::{CallOutcome, ConnectFailure, Connected, Hello, LogRecord, Welcome};
use offshoot_proto::limits::MESSAGE_MAX_DEFAULT;
use offshoot_proto::{Body, CallKey, ContextId, Event, Handle, LinkId, Node, Run};

use crate::evil::Evil;
use crate::model::{self, Plan, check_payload, named_in, payload};
use crate::wire::Way;
use crate::world::{Action, Kind, World};

impl World {
    /// Takes all that a node has to say and to send.
    pub(crate) fn drain(&mut self, process: usize) {
        if process == 0
            && let Some(node) = self.node(0)
        {
            let blocks = node.granted_blocks().into_iter();
            self.granted
                .extend(blocks.map(|(owner, first, count)| (first, (owner, count))));
        }
        loop {
            let Some(node) = self.node(process) else {
                return;
            };
            if let Some(event) = node.poll_event() {
                self.on_event(process, event);
                continue;
            }
            let Some(link) = node.poll_ready_link() else {
                break;
            };
            if let Some((wire, way)) = self.wire_of(process, link) {
                self.pump(wire, way);
            }
        }
        self.arm(process);
        self.resume_reading(process);
        self.check_gauges(process);
        self.check_streams(process);
    }

    fn arm(&mut self, process: usize) {
        let Some(due) = self.node(process).and_then(Node::poll_timeout) else {
            return;
        };
        let due = due.0.max(self.now);
        if self.processes[process]
            .timer
            .is_none_or(|armed| due < armed)
        {
            self.processes[process].timer = Some(due);
            self.schedule(due, Action::Timer { process });
        }
    }

    pub(crate) fn resume_reading(&mut self, process: usize) {
        for index in 0..self.processes[process].wires.len() {
            let wire = self.processes[process].wires[index];
            let state = &mut self.wires[wire];
            let (way, link) = if state.upper.process == process {
                (Way::Up, state.upper.link)
            } else {
                (Way::Down, state.lower.link)
            };
            if !state.pipe(way).blocked {
                continue;
            }
            let may = self.node(process).is_some_and(|node| node.may_read(link));
            if may {
                self.wires[wire].pipe(way).blocked = false;
                self.schedule_read(wire, way, self.now);
            }
        }
    }

    fn on_event(&mut self, process: usize, event: Event) {
        self.note(|| format!("process {process}: {}", short(&event)));
        match event {
            Event::Message {
                handle,
                src,
                body,
                receipt,
                last,
                ..
            } => match self.programs.inlet(process, handle) {
                Some(inlet) => self.on_item(inlet, src, &body, receipt, last),
                None => self.on_message(process, handle, src, &body),
            },
            Event::Writable { dst, handle } => self.on_writable(process, dst, handle),
            Event::Detach
            | Event::ChildDetached { .. }
            | Event::Image { .. }
            | Event::Overflow { .. } => {}
            // Those that are asked to end do so.
            Event::ChildEnding { .. } => {}
            Event::Expired { handle } => self.on_expired(process, handle),
            Event::Run(run) => self.on_run(process, run),
            // It may have returned since the node decided that.
            Event::CancelRun(key) => {
                let at = self.now + self.rng.below(500);
                self.schedule(at, Action::Finish { process, key });
            }
            Event::Connect {
                src,
                reply_to,
                connect,
            } => {
                let id = connect.id;
                let here = self.intended.get(&id) == Some(&process);
                if !self.processes[process].tainted && !here {
                    self.fail(format!(
                        "process {process} is to make context {id} by nobody's order"
                    ));
                }
                self.growing.insert(id, Some((src, reply_to)));
                let at = self.now + self.rng.below(5000);
                self.schedule(at, Action::Grow { process, id });
            }
            // No honest context of the simulation cancels what it asked for.
            Event::CancelConnect { .. } => {}
            Event::Log { src, record } => self.on_log(src, &record),
            Event::IdsGranted => self.on_ids(process, None),
            Event::IdsRefused { reason } => self.on_ids(process, Some(&reason)),
            Event::ContextLost { id, .. } => self.on_lost(process, id),
            Event::CutLink { link, .. } => self.on_cut(process, link),
            Event::Shutdown => self.on_shutdown(process),
        }
    }

    fn on_message(&mut self, process: usize, handle: Handle, src: ContextId, body: &Body) {
        if let Some(number) = self.model.by_handle(process, handle) {
            let callee = self.model.calls[number].callee;
            let way = self.way(process, callee);
            let verdict = self.model.answered(number, body, way);
            return self.judge(verdict);
        }
        if self.on_sibling(process, handle, src, Some(body)).is_some() {
            return;
        }
        let Some(id) = self.connecting.remove(&(process, handle)) else {
            return self.fail(format!(
                "process {process} got a message from {src} for {handle}"
            ));
        };
        let up = match body {
            Body::Data(bytes) => {
                let answer = offshoot_proto::control::decode::<Connected>(bytes);
                matches!(answer, Some(Connected::Up { .. }))
            }
            Body::Dead(dead) => {
                let via = self.intended[&id];
                if self.way(process, via) == model::Way::Healthy {
                    self.fail(format!(
                        "context {id} was refused by a healthy context: {dead:?}"
                    ));
                }
                false
            }
        };
        if up && let Some(&child) = self.by_id.get(&id) {
            self.processes[child].up = true;
        }
    }

    fn on_expired(&mut self, process: usize, handle: Handle) {
        if let Some(number) = self.model.by_handle(process, handle) {
            let verdict = self.model.expired(number, self.now);
            return self.judge(verdict);
        }
        if self
            .on_sibling(process, handle, ContextId::CONTROLLER, None)
            .is_some()
        {
            return;
        }
        match self.connecting.remove(&(process, handle)) {
            // As the real driver: nobody wants it any more, should it appear.
            Some(id) => {
                self.unwanted(id);
                if let Some(node) = self.node(process) {
                    node.shut_down(id);
                }
            }
            None => self.fail(format!(
                "process {process}: handle {handle} expired after its end"
            )),
        }
    }

    fn on_run(&mut self, process: usize, run: Run) {
        let Run {
            key,
            caller,
            bind,
            body,
            deadline,
            is_awaited,
        } = run;
        let state = &mut self.processes[process];
        if !body.concurrent && state.serial.replace(key).is_some() {
            return self.fail(format!("process {process} runs two serial calls at once"));
        }
        let tainted = state.tainted;
        let known = named_in(body.arguments()).filter(|_| !tainted);
        state.running.insert(key, (known, !body.concurrent));
        if !tainted {
            let verdict = match known {
                Some(number) => self
                    .check_run(process, number, caller, body.arguments())
                    .and_then(|()| {
                        let wanted = self.model.calls[number].handle != Handle::NONE;
                        if wanted == is_awaited {
                            Ok(())
                        } else {
                            Err(format!("call {number} is awaited: {is_awaited}"))
                        }
                    }),
                None => Err(format!("process {process} runs a call that nobody made")),
            };
            self.judge(verdict);
            let there = self
                .node(process)
                .and_then(|node| node.image(&bind.image))
                .cloned();
            let plugin = self.plugins.iter().find(|plugin| plugin.bind == bind);
            if plugin.is_none_or(|plugin| plugin.image != there) {
                self.fail(format!(
                    "process {process} runs call {known:?} with another image"
                ));
            }
        }
        let busy = if self.rng.chance(400) {
            0
        } else {
            self.rng.range(1, 20_000)
        };
        let end = self.now + busy;
        match deadline {
            Some(deadline) if deadline.0 <= end => {
                let outcome =
                    CallOutcome::Failed(CallFailure::new(CallErrorKind::DeadlineExceeded, ""));
                self.finish(process, key, Some(outcome));
            }
            _ if busy == 0 => self.finish(process, key, None),
            _ => self.schedule(end, Action::Finish { process, key }),
        }
    }

    fn check_run(
        &mut self,
        process: usize,
        number: usize,
        caller: ContextId,
        arguments: &[u8],
    ) -> model::Verdict {
        self.model.run(number, process)?;
        let call = &self.model.calls[number];
        if self.processes[call.caller].id != caller {
            return Err(format!("call {number} claims to be from context {caller}"));
        }
        if !check_payload(arguments, number, call.arguments) {
            return Err(format!(
                "the arguments of call {number} were changed on the way"
            ));
        }
        Ok(())
    }

    /// A function has returned: with `outcome`, or as it was going to.
    pub(crate) fn finish(&mut self, process: usize, key: CallKey, outcome: Option<CallOutcome>) {
        if !self.processes[process].alive {
            return;
        }
        let state = &mut self.processes[process];
        let Some((known, serial)) = state.running.remove(&key) else {
            return;
        };
        if serial {
            state.serial = None;
        }
        let outcome = outcome.unwrap_or_else(|| match known {
            Some(number) => {
                let call = &mut self.model.calls[number];
                call.returned = true;
                match call.plan {
                    Plan::Fail => CallOutcome::Failed(GuestError::default().into()),
                    _ => CallOutcome::Value(payload(number, call.result).into()),
                }
            }
            None => CallOutcome::Value(Bytes::new()),
        });
        if let (Some(number), CallOutcome::Failed(_)) = (known, &outcome) {
            self.model.failed(number);
        }
        let now = self.instant();
        if let Some(node) = self.node(process) {
            node.finish(key, outcome, now);
        }
        self.drain(process);
    }

    /// A child of `process` appears, or fails to.
    pub(crate) fn grow(&mut self, process: usize, id: ContextId) {
        let Some(asked) = self.growing.remove(&id) else {
            return;
        };
        if !self.processes[process].alive {
            return;
        }
        if self.rng.chance(self.profile.connect_fails) {
            self.failed.insert(id);
            let Some(node) = self.node(process) else {
                return;
            };
            node.abandon(id, "it could not be started");
            if let Some((src, reply_to)) = asked {
                let failed =
                    Connected::Failed(ConnectFailure::Other("it could not be started".to_owned()));
                node.answer_connect(src, reply_to, &failed);
            }
            return self.drain(process);
        }
        let tainted = self.processes[process].tainted;
        let Some(node) = self.node(process) else {
            return;
        };
        let Some(link) = node.attach(id) else {
            if !tainted {
                self.fail(format!(
                    "process {process} did not expect context {id} any more"
                ));
            }
            return;
        };
        let mut parents = vec![node.id()];
        parents.extend_from_slice(node.parent_ids());
        let child = self.spawn(process, link, id, parents);
        self.note(|| format!("process {child} is context {id}, below process {process}"));
        match asked {
            None => self.processes[child].up = true,
            Some((src, reply_to)) => {
                let up = Connected::Up {
                    hello: Hello {
                        target: String::new(),
                        pid: child as u32,
                    },
                    name: format!("p{child}"),
                };
                if let Some(node) = self.node(process) {
                    node.answer_connect(src, reply_to, &up);
                }
            }
        }
        self.drain(process);
    }

    /// Starts the process of a context, linked to its parent.
    pub(crate) fn spawn(
        &mut self,
        parent: usize,
        link: LinkId,
        id: ContextId,
        parents: Vec<ContextId>,
    ) -> usize {
        let evil = self.rng.chance(self.profile.evil);
        let mangled = self.rng.chance(self.profile.mangle);
        let (kind, own_link) = if evil {
            (Kind::Evil(Box::new(Evil::new(&mut self.rng))), LinkId(0))
        } else {
            let welcome = Welcome {
                id,
                parents,
                name: String::new(),
                message_max: MESSAGE_MAX_DEFAULT,
                log_level: 3,
                unidirectional: !self.profile.siblings,
                traces: Default::default(),
                lost_after_ms: 0,
            };
            let (node, own_link) = Node::child(&welcome, self.rng.word());
            (Kind::Honest(Box::new(node)), own_link)
        };
        let child = self.add_process(id, Some(parent), kind);
        self.processes[child].mangled = mangled;
        self.processes[child].shutdown_asked = self.unwanted.contains(&id);
        self.processes[child].tainted |= mangled;
        self.add_wire((parent, link), (child, own_link));
        if evil {
            let at = self.now + self.rng.below(3000);
            self.schedule(at, Action::Speak { process: child });
        }
        child
    }

    /// A process logs something.
    pub(crate) fn log(&mut self, process: usize) {
        self.processes[process].logs_sent += 1;
        let record = LogRecord {
            level: 3,
            target: "sim".to_owned(),
            text: self.processes[process].logs_sent.to_string(),
        };
        let now = self.instant();
        if let Some(node) = self.node(process) {
            node.log(&record, now);
        }
        self.drain(process);
    }

    fn on_log(&mut self, src: ContextId, record: &LogRecord) {
        if record.target == "offshoot::router" {
            return;
        }
        let Some(&process) = self.by_id.get(&src) else {
            // Its parent may speak for it.
            let parent = self.intended.get(&src);
            let spoken_for = parent.is_some_and(|&parent| self.processes[parent].tainted);
            if !spoken_for && !self.is_made_up(src) {
                self.fail(format!("a log of context {src}, which never was"));
            }
            return;
        };
        let state = &mut self.processes[process];
        if state.tainted {
            return;
        }
        let number = record.text.parse().unwrap_or(0);
        if number <= state.logs_seen || number > state.logs_sent {
            let seen = state.logs_seen;
            return self.fail(format!(
                "log {number} of context {src} came after log {seen}"
            ));
        }
        state.logs_seen = number;
    }

    fn on_lost(&mut self, process: usize, id: ContextId) {
        if let Some(&lost) = self.by_id.get(&id) {
            if self.way(process, lost) == model::Way::Healthy {
                self.fail(format!("context {id} was said to be lost, and is well"));
            }
            return;
        }
        let failed = self.failed.contains(&id);
        let parent = self.intended.get(&id).copied();
        let healthy = parent.is_some_and(|it| self.way(process, it) == model::Way::Healthy);
        if !failed && healthy {
            self.fail(format!(
                "context {id} was said to be lost before it was there"
            ));
        }
    }

    fn on_cut(&mut self, process: usize, link: LinkId) {
        let Some((wire, way)) = self.wire_of(process, link) else {
            return self.fail(format!(
                "process {process} cuts a link that it does not have"
            ));
        };
        let peer = self.wires[wire].reader(way).process;
        let by_its_own = match &self.processes[peer].kind {
            Kind::Evil(_) => true,
            Kind::Honest(_) => self.processes[peer].mangled,
        };
        let from_above = way == Way::Up && self.processes[process].tainted;
        if !by_its_own && !from_above {
            self.fail(format!(
                "process {process} cuts the link to process {peer}, which is honest"
            ));
        }
        self.close(wire, way, false);
    }

    fn on_shutdown(&mut self, process: usize) {
        let wire = self.wire_up(process);
        let parted = wire.is_some_and(|wire| !self.wires[wire].lower.open);
        let state = &mut self.processes[process];
        let ordered = state.shutdown_asked || state.tainted || parted;
        state.lost = true;
        if !ordered {
            self.fail(format!("process {process} is to end by nobody's order"));
        }
        let at = self.now + self.rng.below(2000);
        self.schedule(at, Action::Die { process });
    }
}

fn short(event: &Event) -> String {
    match event {
        Event::Message {
            handle, src, body, ..
        } => match body {
            Body::Data(bytes) => format!("{} bytes from {src} for {handle}", bytes.len()),
            Body::Dead(dead) => format!("{dead:?} from {src} for {handle}"),
        },
        Event::Run(run) => {
            let number = named_in(run.body.arguments());
            format!("runs call {number:?} of {} as {:?}", run.caller, run.key)
        }
        other => format!("{other:?}"),
    }
}
