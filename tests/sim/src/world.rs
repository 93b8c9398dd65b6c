//! A tree of processes over wires, one clock, one queue of actions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use bytes::Bytes;
use offshoot_proto::control::{Bind, PluginLimits};
use offshoot_proto::{CallKey, ContextId, Handle, Instant, LinkId, Node};

use crate::evil::Evil;
use crate::model::{self, Model};
use crate::profile::Profile;
use crate::rng::{Rng, fold};
use crate::streams::Programs;
use crate::wire::{End, Pipe, Way, Wire};

/// Actions after which a schedule is taken to be without end.
const STEPS_MAX: u64 = 2_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// The schedule's next operation.
    Operate,
    Read {
        wire: usize,
        way: Way,
    },
    Pump {
        wire: usize,
        way: Way,
    },
    Timer {
        process: usize,
    },
    /// A function returns.
    Finish {
        process: usize,
        key: CallKey,
    },
    /// A child appears, or fails to.
    Grow {
        process: usize,
        id: ContextId,
    },
    Die {
        process: usize,
    },
    /// An evil process speaks.
    Speak {
        process: usize,
    },
    /// A program puts the next item into a stream.
    Put {
        outlet: usize,
    },
    /// A program takes the next message.
    Take {
        inlet: usize,
    },
}

#[derive(Debug)]
pub(crate) enum Kind {
    Honest(Box<Node>),
    Evil(Box<Evil>),
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: ContextId,
    pub(crate) parent: Option<usize>,
    pub(crate) kind: Kind,
    pub(crate) wires: Vec<usize>,
    pub(crate) alive: bool,
    /// It, or its link to its parent, is gone or about to go.
    pub(crate) lost: bool,
    /// It is evil, or below one that is.
    pub(crate) tainted: bool,
    /// Its bytes are changed on their way up.
    pub(crate) mangled: bool,
    /// The controller was told that it is there.
    pub(crate) up: bool,
    pub(crate) timer: Option<u64>,
    pub(crate) serial: Option<CallKey>,
    /// The call that each key stands for, if it is one of the model's.
    pub(crate) running: BTreeMap<CallKey, (Option<usize>, bool)>,
    pub(crate) logs_sent: u32,
    pub(crate) logs_seen: u32,
    pub(crate) shutdown_asked: bool,
    /// It waits for ids, to make a child of that process or of itself.
    pub(crate) wants_ids: Option<Option<usize>>,
}

/// A plugin that calls can name.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) bind: Arc<Bind>,
    pub(crate) image: Option<Bytes>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) profile: Profile,
    pub(crate) now: u64,
    pub(crate) processes: Vec<Process>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) model: Model,
    pub(crate) by_id: BTreeMap<ContextId, usize>,
    /// Where each id that was allotted is to appear.
    pub(crate) intended: BTreeMap<ContextId, usize>,
    /// Ids whose contexts could not be made.
    pub(crate) failed: BTreeSet<ContextId>,
    /// Ids whose contexts nobody waits for any more.
    pub(crate) unwanted: BTreeSet<ContextId>,
    /// Who asked for a child, and where the answer goes.
    pub(crate) growing: BTreeMap<ContextId, Option<(ContextId, Handle)>>,
    /// New contexts that a process waits for, by its handle.
    pub(crate) connecting: BTreeMap<(usize, Handle), ContextId>,
    /// Blocks that the controller ever granted, by their first ids: to whom, and how many.
    pub(crate) granted: BTreeMap<u32, (ContextId, u32)>,
    /// Processes that a process in another branch waits for, by its handle.
    pub(crate) asks: BTreeMap<(usize, Handle), usize>,
    pub(crate) programs: Programs,
    /// The chain of calls that each caller has with each callee.
    pub(crate) chains: BTreeMap<(usize, usize), u64>,
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) operations_left: u64,
    pub(crate) digest: u64,
    pub(crate) violation: Option<String>,
    log: Option<Vec<String>>,
    queue: BinaryHeap<Reverse<(u64, u64, Action)>>,
    next_action: u64,
    steps: u64,
}

impl World {
    pub(crate) fn new(seed: u64, log: bool) -> Self {
        let mut rng = Rng::new(seed);
        let profile = Profile::of(&mut rng);
        let plugins = plugins(&mut rng);
        let mut node = Node::controller(rng.word());
        node.set_unidirectional(!profile.siblings);
        let operations_left = profile.operations;
        let mut world = Self {
            rng,
            profile,
            now: 0,
            processes: Vec::new(),
            wires: Vec::new(),
            model: Model::default(),
            by_id: BTreeMap::new(),
            intended: BTreeMap::new(),
            failed: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            growing: BTreeMap::new(),
            connecting: BTreeMap::new(),
            granted: BTreeMap::new(),
            asks: BTreeMap::new(),
            programs: Programs::default(),
            chains: BTreeMap::new(),
            plugins,
            operations_left,
            digest: seed,
            violation: None,
            log: log.then(Vec::new),
            queue: BinaryHeap::new(),
            next_action: 0,
            steps: 0,
        };
        world.add_process(ContextId::CONTROLLER, None, Kind::Honest(Box::new(node)));
        world.processes[0].up = true;
        world.schedule(0, Action::Operate);
        world
    }

    /// Acts until nothing is left to do, or something is wrong.
    pub(crate) fn run(&mut self) {
        while self.violation.is_none()
            && let Some(Reverse((at, _, action))) = self.queue.pop()
        {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.fail(format!("still busy after {STEPS_MAX} actions"));
                return;
            }
            self.now = at;
            self.digest = fold(fold(self.digest, at), code(action));
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Operate => self.operate(),
            Action::Read { wire, way } => self.read(wire, way),
            Action::Pump { wire, way } => {
                self.pump(wire, way);
                // What left may be what kept others from being read, or from sending.
                let process = self.wires[wire].writer(way).process;
                self.drain(process);
            }
            Action::Timer { process } => self.on_timer(process),
            Action::Finish { process, key } => self.finish(process, key, None),
            Action::Grow { process, id } => self.grow(process, id),
            Action::Die { process } => self.die(process),
            Action::Speak { process } => self.speak(process),
            Action::Put { outlet } => self.put(outlet),
            Action::Take { inlet } => self.take(inlet),
        }
    }

    pub(crate) fn schedule(&mut self, at: u64, action: Action) {
        self.next_action += 1;
        self.queue
            .push(Reverse((at.max(self.now), self.next_action, action)));
    }

    /// Says what is wrong; the first word counts.
    pub(crate) fn fail(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        self.note(|| format!("WRONG: {problem}"));
        self.violation.get_or_insert(problem);
    }

    pub(crate) fn judge(&mut self, verdict: model::Verdict) {
        if let Err(problem) = verdict {
            self.fail(problem);
        }
    }

    /// Adds a line to the log of a run that is watched.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            log.push(format!("{now:>9} {}", line()));
        }
    }

    pub(crate) fn into_log(self) -> Vec<String> {
        self.log.unwrap_or_default()
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant(self.now)
    }

    /// The node of an honest process that lives.
    pub(crate) fn node(&mut self, process: usize) -> Option<&mut Node> {
        let process = &mut self.processes[process];
        match &mut process.kind {
            Kind::Honest(node) if process.alive => Some(node),
            _ => None,
        }
    }

    pub(crate) fn add_process(
        &mut self,
        id: ContextId,
        parent: Option<usize>,
        kind: Kind,
    ) -> usize {
        let index = self.processes.len();
        let above = parent.is_some_and(|parent| self.processes[parent].tainted);
        let evil = matches!(kind, Kind::Evil(_));
        self.processes.push(Process {
            id,
            parent,
            kind,
            wires: Vec::new(),
            alive: true,
            lost: false,
            tainted: above || evil,
            mangled: false,
            up: false,
            timer: None,
            serial: None,
            running: BTreeMap::new(),
            logs_sent: 0,
            logs_seen: 0,
            shutdown_asked: false,
            wants_ids: None,
        });
        self.by_id.insert(id, index);
        index
    }

    pub(crate) fn add_wire(&mut self, upper: (usize, LinkId), lower: (usize, LinkId)) {
        let index = self.wires.len();
        let end = |(process, link)| End {
            process,
            link,
            open: true,
        };
        self.wires.push(Wire {
            upper: end(upper),
            lower: end(lower),
            up: Pipe::new(&mut self.rng),
            down: Pipe::new(&mut self.rng),
        });
        self.processes[upper.0].wires.push(index);
        self.processes[lower.0].wires.push(index);
    }

    /// The wire of a link, and the way that leads out of the process.
    pub(crate) fn wire_of(&self, process: usize, link: LinkId) -> Option<(usize, Way)> {
        self.processes[process].wires.iter().find_map(|&index| {
            let wire = &self.wires[index];
            let is = |end: &End| end.process == process && end.link == link;
            if is(&wire.upper) {
                Some((index, Way::Down))
            } else {
                is(&wire.lower).then_some((index, Way::Up))
            }
        })
    }

    /// The wire to a process' parent.
    pub(crate) fn wire_up(&self, process: usize) -> Option<usize> {
        let wires = self.processes[process].wires.iter().copied();
        wires
            .into_iter()
            .find(|&wire| self.wires[wire].lower.process == process)
    }

    /// Whether `upper` is above `lower`, or is it.
    pub(crate) fn is_above(&self, upper: usize, lower: usize) -> bool {
        let mut at = Some(lower);
        while let Some(process) = at {
            if process == upper {
                return true;
            }
            at = self.processes[process].parent;
        }
        false
    }

    /// How healthy the way from `upper` down to `lower` is.
    pub(crate) fn way(&self, upper: usize, lower: usize) -> model::Way {
        if self.processes[lower].tainted {
            return model::Way::Evil;
        }
        let mut at = lower;
        while at != upper {
            if self.processes[at].lost {
                return model::Way::Broken;
            }
            match self.processes[at].parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        model::Way::Healthy
    }

    fn on_timer(&mut self, process: usize) {
        if self.processes[process].timer == Some(self.now) {
            self.processes[process].timer = None;
        }
        let now = self.instant();
        if let Some(node) = self.node(process) {
            node.handle_timeout(now);
            self.drain(process);
        }
    }
}

fn plugins(rng: &mut Rng) -> Vec<Plugin> {
    let large = if rng.chance(50) { 150_000 } else { 700 };
    let lengths = [Some(40), Some(3000), Some(large), None];
    let plugin = |(index, length): (usize, Option<usize>)| {
        let tag = index as u8 + 1;
        Plugin {
            bind: Arc::new(Bind {
                key: [tag; 16],
                plugin: "p".into(),
                image: [tag; 32],
                grants: Vec::new(),
                limits: PluginLimits::default(),
            }),
            image: length.map(|length| vec![tag; length].into()),
        }
    };
    lengths.into_iter().enumerate().map(plugin).collect()
}

/// An action as a number, for the digest.
fn code(action: Action) -> u64 {
    let way = |way| u64::from(way == Way::Up);
    let (kind, what) = match action {
        Action::Operate => (0, 0),
        Action::Read { wire, way: to } => (1, wire as u64 * 2 + way(to)),
        Action::Pump { wire, way: to } => (2, wire as u64 * 2 + way(to)),
        Action::Timer { process } => (3, process as u64),
        Action::Finish { process, key } => (4, (process as u64) << 32 | key.0),
        Action::Grow { process, id } => (5, (process as u64) << 32 | u64::from(id.0)),
        Action::Die { process } => (6, process as u64),
        Action::Speak { process } => (7, process as u64),
        Action::Put { outlet } => (8, outlet as u64),
        Action::Take { inlet } => (9, inlet as u64),
    };
    kind << 56 | what
}
