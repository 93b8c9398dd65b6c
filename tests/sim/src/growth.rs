//! Contexts are made: by the controller, or by others with ids that it granted them.

use offshoot_proto::control::{Connect, ConnectOptions, Method};
use offshoot_proto::{ContextId, SendError};

use crate::model;
use crate::world::{Action, World};

/// Long enough for every stall that a schedule makes.
const CONNECT_TIMEOUT_MS: u64 = 600_000;

impl World {
    /// Someone makes a context.
    pub(crate) fn connect(&mut self) {
        if self.rng.chance(self.profile.others)
            && let Some(maker) = self.pick_maker()
        {
            let below = self.up_below(maker);
            let via = (!below.is_empty() && self.rng.chance(400)).then(|| *self.rng.pick(&below));
            return self.make(maker, via, true);
        }
        let newest = (1..self.processes.len())
            .rev()
            .find(|&it| self.processes[it].up);
        let via = if self.rng.chance(self.profile.deep) {
            newest
        } else if self.rng.chance(500) {
            self.pick_up()
        } else {
            None
        };
        self.make(0, via, true);
    }

    /// One that may make contexts and is no part of an evil branch.
    fn pick_maker(&mut self) -> Option<usize> {
        let makers: Vec<usize> = (1..self.processes.len())
            .filter(|&it| self.processes[it].up && !self.processes[it].tainted)
            .filter(|&it| self.processes[it].alive)
            .collect();
        (!makers.is_empty()).then(|| *self.rng.pick(&makers))
    }

    fn up_below(&self, process: usize) -> Vec<usize> {
        (process + 1..self.processes.len())
            .filter(|&it| self.processes[it].up && self.is_above(process, it))
            .collect()
    }

    /// Whether a node has heard of a context below it.
    pub(crate) fn knows(&mut self, process: usize, id: ContextId) -> bool {
        self.node(process)
            .is_some_and(|node| node.context_ids().contains(&id))
    }

    /// `maker` makes a child of `via`, or its own. It asks for ids first, if it `may_ask`.
    fn make(&mut self, maker: usize, via: Option<usize>, may_ask: bool) {
        let via_id = via.map(|via| self.processes[via].id);
        let Some(node) = self.node(maker) else {
            return;
        };
        let (id, parent) = match (node.allocate_context(via_id), via) {
            (Ok(id), via) => (id, via.unwrap_or(maker)),
            (Err(SendError::NoRoute(_)), Some(via)) => {
                let healthy = self.way(maker, via) == model::Way::Healthy;
                // The word that it is there may still be on its way.
                if healthy && self.knows(maker, self.processes[via].id) {
                    self.fail(format!("no route to process {via}, which is well"));
                }
                return;
            }
            (Err(SendError::NeedsIds), via) if maker > 0 && may_ask => {
                return self.ask_for_ids(maker, via);
            }
            (Err(error), _) => return self.fail(format!("no id for a new context: {error}")),
        };
        self.note(|| format!("process {maker} wants context {id} below process {parent}"));
        if self.intended.insert(id, parent).is_some() {
            return self.fail(format!("context id {id} was allotted twice"));
        }
        let Some(via) = via_id else {
            self.growing.insert(id, None);
            let at = self.now + self.rng.below(5000);
            self.schedule(at, Action::Grow { process: maker, id });
            return self.drain(maker);
        };
        let connect = order(id);
        let now = self.instant();
        let asked = self
            .node(maker)
            .map(|node| node.connect_via(via, &connect, now));
        match asked {
            Some(Ok(handle)) => {
                self.connecting.insert((maker, handle), id);
            }
            other => self.fail(format!("cannot ask context {via} for a child: {other:?}")),
        }
        self.drain(maker);
    }

    fn ask_for_ids(&mut self, maker: usize, via: Option<usize>) {
        let now = self.instant();
        match self.node(maker).map(|node| node.request_ids(now)) {
            Some(Ok(_)) => self.processes[maker].wants_ids = Some(via),
            Some(Err(SendError::NoRoute(_))) if self.way(0, maker) != model::Way::Healthy => {}
            other => self.fail(format!("process {maker} cannot ask for ids: {other:?}")),
        }
        self.drain(maker);
    }

    /// The controller's answer to a process that asked for ids.
    pub(crate) fn on_ids(&mut self, maker: usize, refused: Option<&str>) {
        let Some(via) = self.processes[maker].wants_ids.take() else {
            return self.fail(format!("process {maker} did not ask for ids"));
        };
        match refused {
            None => self.make(maker, via, false),
            Some(reason) if self.way(0, maker) == model::Way::Healthy => {
                self.fail(format!("process {maker} gets no ids: {reason}"));
            }
            Some(_) => {}
        }
    }

    /// Whether an evil process may say that there is such a context.
    pub(crate) fn is_made_up(&self, id: ContextId) -> bool {
        let Some((_, &(owner, count))) = self.granted.range(..=id.0).next_back() else {
            return false;
        };
        let block = self.granted.range(..=id.0).next_back();
        let inside = block.is_some_and(|(&first, _)| id.0 - first < count);
        inside
            && match self.by_id.get(&owner) {
                Some(&owner) => self.processes[owner].tainted,
                None => self.is_made_up(owner),
            }
    }

    /// Every context that a node knows is where it was put, or made up by someone who was granted
    /// its id.
    pub(crate) fn check_routes(&mut self, process: usize) {
        let Some(node) = self.node(process) else {
            return;
        };
        for route in node.routes() {
            let right = match self.intended.get(&route.id) {
                Some(&parent) => self.processes[parent].id == route.parent,
                None => self.is_made_up(route.id),
            };
            if !right {
                self.fail(format!("process {process} believes in {route:?}"));
            }
        }
    }
}

/// The order to make a context.
pub(crate) fn order(id: ContextId) -> Connect {
    Connect {
        id,
        method: Method::Local {
            remote_name: None,
            child_path: None,
        },
        options: ConnectOptions {
            name: None,
            log_level: 3,
            traces: Default::default(),
            timeout: std::time::Duration::from_millis(CONNECT_TIMEOUT_MS),
        },
        wants_progress: false,
    }
}
