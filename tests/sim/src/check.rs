//! What must hold after every step, and what must be left when nothing moves any more: nothing.

use offshoot_proto::limits::{
    CALLS_CONCURRENT_MAX, CALLS_QUEUED_MAX, OWN_BACKLOG_MAX, REFUSALS_BACKLOG_MAX,
    RELAY_BACKLOG_MAX,
};
use offshoot_proto::{ContextId, Gauges, Handle};

use crate::model::Way;
use crate::world::World;

/// What a node can take in beyond a bound before its driver stops reading: what each of the
/// schedule's wires delivers at once.
const READ_SLACK: usize = 13 * (1 << 17);

impl World {
    /// Every table of a node that lives is within its bound.
    pub(crate) fn check_gauges(&mut self, process: usize) {
        let plugins = self.plugins.len();
        let tainted = self.processes[process].tainted;
        let evil_below = self.profile.evil > 0;
        let Some(node) = self.node(process) else {
            return;
        };
        let gauges = node.gauges();
        let own_max = if evil_below {
            OWN_BACKLOG_MAX + REFUSALS_BACKLOG_MAX
        } else {
            OWN_BACKLOG_MAX
        };
        let bounds = [
            ("own backlog", gauges.own_backlog, own_max),
            (
                "relay backlog",
                gauges.relay_backlog,
                RELAY_BACKLOG_MAX + READ_SLACK,
            ),
            ("queued calls", gauges.calls_queued, CALLS_QUEUED_MAX),
            (
                "running calls",
                gauges.calls_running,
                1 + CALLS_CONCURRENT_MAX,
            ),
            ("cancelled calls", gauges.calls_waiting, gauges.calls_queued),
            (
                "bindings",
                gauges.bindings,
                if tainted { usize::MAX } else { plugins },
            ),
        ];
        let over = bounds.iter().find(|(_, have, most)| have > most);
        if let Some((what, have, most)) = over {
            self.fail(format!(
                "process {process} has {have} {what}, at most {most} are right"
            ));
        }
    }

    /// Everything has come to rest: every wait that can end has ended.
    pub(crate) fn check_rest(&mut self, evil_is_left: bool) {
        if self.violation.is_some() {
            return;
        }
        for process in 0..self.processes.len() {
            if self.processes[process].alive {
                self.check_calls(process, evil_is_left);
                self.check_programs(process, evil_is_left);
                self.check_node(process, evil_is_left);
            }
        }
    }

    fn check_calls(&mut self, caller: usize, evil_is_left: bool) {
        let verdict = self.model.overdue(caller, self.now);
        self.judge(verdict);
        let pending: Vec<usize> = self.model.pending(caller).collect();
        for number in pending {
            let callee = self.model.calls[number].callee;
            let evil = self.way(caller, callee) == Way::Evil;
            if !(evil && evil_is_left) {
                let call = format!("{:?}", self.model.calls[number]);
                self.fail(format!("call {number} has not ended: {call}"));
            }
        }
    }

    fn check_node(&mut self, process: usize, evil_is_left: bool) {
        let tainted = self.processes[process].tainted;
        let waits = self.model.pending(process).count();
        let of_process = |(of, _): &&(usize, Handle)| *of == process;
        let connects = self.connecting.keys().filter(of_process).count()
            + self.asks.keys().filter(of_process).count()
            + usize::from(self.processes[process].wants_ids.is_some());
        let Some(node) = self.node(process) else {
            return;
        };
        let gauges = node.gauges();
        let known = node.context_ids();
        let violations = node.stats().violations;
        let (queued, running) = node.calls();
        let inlets = self.programs.open_inlets(process);
        if gauges.listeners != waits + connects + inlets + gauges.streams_out {
            self.fail(format!(
                "process {process} listens on {} handles for {waits} calls, {connects} other \
                 answers, {inlets} programs and {} streams",
                gauges.listeners, gauges.streams_out
            ));
        }
        if tainted {
            return;
        }
        self.check_routes(process);
        if evil_is_left {
            return;
        }
        // Where siblings may talk, evil ones may also say what is an offence.
        let evil_near = (0..self.processes.len()).any(|it| {
            self.processes[it].tainted && (self.profile.siblings || self.is_above(process, it))
        });
        if violations > 0 && !evil_near {
            self.fail(format!(
                "process {process} counts {violations} offences of honest contexts"
            ));
        }
        let Gauges {
            assemblies,
            own_backlog,
            relay_backlog,
            streams_out,
            ..
        } = gauges;
        let left =
            assemblies + own_backlog + relay_backlog + queued + running + connects + streams_out;
        if left > 0 {
            self.fail(format!("process {process} has something left: {gauges:?}"));
        }
        let there = self.contexts_below(process);
        if known != there {
            self.fail(format!(
                "process {process} knows contexts {known:?}, and there are {there:?}"
            ));
        }
    }

    /// Contexts that are really below a process, in order.
    fn contexts_below(&self, process: usize) -> Vec<ContextId> {
        let mut ids: Vec<ContextId> = (0..self.processes.len())
            .filter(|&it| it != process && self.is_above(process, it))
            .filter(|&it| self.way(process, it) != Way::Broken && self.processes[it].alive)
            .map(|it| self.processes[it].id)
            .collect();
        ids.sort_unstable();
        ids
    }
}
