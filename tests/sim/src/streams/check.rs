//! What must hold of streams after every step, at rest, and at the end.

use offshoot_proto::limits::LINK_STREAMS_BYTES_MAX;

use super::Inlet;
use crate::model::Way;
use crate::world::World;

impl World {
    /// What a process counts of its streams is what was sent, and what was taken of it.
    pub(crate) fn check_streams(&mut self, process: usize) {
        if self.violation.is_some() || self.programs.inlets.is_empty() {
            return;
        }
        let Some(node) = self.node(process) else {
            return;
        };
        let (held, streams) = (node.gauges().held_bytes, node.outgoing_streams());
        let mine = |inlet: &&Inlet| inlet.process == process;
        let inboxes = self.programs.inlets.iter().filter(mine);
        let waiting: u64 = inboxes.flat_map(|it| &it.inbox).map(|it| it.cost).sum();
        if held != waiting {
            self.fail(format!(
                "process {process} counts {held} bytes for {waiting} that wait"
            ));
        }
        if held > LINK_STREAMS_BYTES_MAX {
            self.fail(format!("process {process} holds {held} bytes"));
        }
        for stream in streams {
            let there = self.by_id.get(&stream.dst).copied();
            let inlet = there.and_then(|it| self.programs.inlet(it, stream.handle));
            let (Some(there), Some(inlet)) = (there, inlet) else {
                self.fail(format!("process {process} has {stream:?}"));
                continue;
            };
            let (sent, taken) = match self.programs.streams.get(&(process, inlet)) {
                Some(known) => (known.sent, known.taken),
                None => (0, 0),
            };
            let honest = self.way_between(process, there) != Way::Evil;
            let credited = stream.taken <= taken || !honest;
            if stream.sent != sent || !credited {
                self.fail(format!(
                    "process {process} has {stream:?}; {sent} bytes were sent, {taken} taken"
                ));
            }
        }
        self.check_waits(process);
    }

    /// Every sender that waits for credit will be told.
    fn check_waits(&mut self, process: usize) {
        let Some(node) = self.node(process) else {
            return;
        };
        let streams = node.outgoing_streams();
        for outlet in 0..self.programs.outlets.len() {
            let state = &self.programs.outlets[outlet];
            if state.process != process || !state.open || state.pending.is_none() {
                continue;
            }
            let (dst, handle) = self.address(state.inlet);
            let stream = streams
                .iter()
                .find(|it| it.dst == dst && it.handle == handle);
            if !state.woken && !stream.is_some_and(|it| it.blocked) {
                self.fail(format!("outlet {outlet} waits, and nobody knows"));
            }
        }
    }

    /// Everything has come to rest: nobody waits who should not, and nothing was lost.
    pub(crate) fn check_programs(&mut self, process: usize, evil_is_left: bool) {
        for outlet in 0..self.programs.outlets.len() {
            let state = &self.programs.outlets[outlet];
            let there = self.programs.inlets[state.inlet].process;
            let evil = self.way_between(process, there) == Way::Evil;
            if state.process == process && state.open && !(evil && evil_is_left) {
                let state = format!("{state:?}");
                self.fail(format!("outlet {outlet} waits for ever: {state}"));
            }
        }
        for (number, inlet) in self.programs.inlets.iter().enumerate() {
            let Some(only) = inlet
                .only
                .filter(|_| inlet.open && inlet.process == process)
            else {
                continue;
            };
            let apart = !self.profile.siblings && self.are_apart(process, only);
            let way = self.way_between(process, only);
            let may_last = self.processes[only].alive || way == Way::Evil && evil_is_left;
            if way == Way::Broken || !may_last || way == Way::Healthy && apart {
                let problem = format!("inlet {number} waits for process {only}, which is lost");
                return self.fail(problem);
            }
        }
        self.check_items(process);
    }

    fn check_items(&mut self, process: usize) {
        for (number, item) in self.programs.items.iter().enumerate() {
            let outlet = &self.programs.outlets[item.outlet];
            let inlet = &self.programs.inlets[outlet.inlet];
            if !item.sent || item.arrived || inlet.process != process || !inlet.open {
                continue;
            }
            let welcome = inlet.only.is_none_or(|only| only == outlet.process);
            let apart = !self.profile.siblings && self.are_apart(process, outlet.process);
            let healthy = self.way_between(process, outlet.process) == Way::Healthy;
            if welcome && !apart && healthy {
                let problem = format!("item {number} of outlet {} is lost", item.outlet);
                return self.fail(problem);
            }
        }
    }

    /// After all programs have ended, no stream is left, nothing is held, and no chain is known.
    pub(crate) fn check_no_streams(&mut self) {
        for process in 0..self.processes.len() {
            let tainted = self.processes[process].tainted;
            let Some(node) = self.node(process).filter(|_| !tainted) else {
                continue;
            };
            let gauges = node.gauges();
            if gauges.streams_in + gauges.streams_out + gauges.chains > 0 || gauges.held_bytes > 0 {
                self.fail(format!("process {process} has streams left: {gauges:?}"));
            }
        }
    }
}
