//! What this context writes about itself on its own machine.

use offshoot_proto::control::Traces;

use super::Driver;
use crate::diagnostics::{DebugLog, Profile};

impl Driver {
    /// What the context writes, and its children will.
    pub fn traces(&self) -> Traces {
        Traces {
            debug: self.debug_log.get().is_some(),
            profiling: self.profile.get().is_some(),
        }
    }

    /// Starts to write, from now on.
    pub fn start_traces(&self, traces: Traces) {
        if traces.profiling {
            self.profile.get_or_init(Profile::default);
        }
        if !traces.debug || self.debug_log.get().is_some() {
            return;
        }
        match DebugLog::create() {
            Ok((log, path)) => {
                let _ = self.debug_log.set(log);
                self.log(3, "offshoot", &format!("debug log: {}", path.display()));
            }
            Err(error) => self.log(2, "offshoot", &format!("cannot write a debug log: {error}")),
        }
    }

    /// Notes what happens, if anyone wants to know.
    pub fn debug(&self, text: impl FnOnce() -> String) {
        if let Some(log) = self.debug_log.get() {
            log.write("driver", &text());
        }
    }

    /// Writes the profile: the context ends in order.
    pub fn write_profile(&self, thread: &str) {
        let Some(profile) = self.profile.get() else {
            return;
        };
        let remarks = {
            let state = self.lock();
            let (id, stats) = (state.node.id(), state.node.stats());
            format!("context {id} ({}): {stats:?}", Self::name_of(&state, id))
        };
        if let Err(error) = profile.write(thread, &remarks) {
            self.debug(|| format!("cannot write a profile: {error}"));
        }
    }
}
