//! What a context knows of those that were made through it: their names and what images they run.

use std::sync::Arc;

use offshoot_proto::ContextId;
use offshoot_proto::{Node, SendError};

use super::{Driver, State};
use offshoot_wasm::{Profile, Target};

/// Names of contexts that are gone, which are kept.
const DEPARTED_MAX: usize = 1024;

/// What is known of a context.
#[derive(Clone)]
pub struct ContextInfo {
    /// Its name, for errors and logs.
    pub name: Arc<str>,
    /// What images it runs.
    pub target: Arc<str>,
}

impl Driver {
    /// Notes what a context is that was made through this one.
    pub fn register_context(&self, id: ContextId, known: ContextInfo) {
        self.lock().known.insert(id, known);
    }

    /// A context's name, also of one that is not known.
    pub(super) fn name_of(state: &State, id: ContextId) -> Arc<str> {
        match state.known.get(&id) {
            Some(known) => known.name.clone(),
            None if id == ContextId::CONTROLLER => "controller".into(),
            None if id == state.node.id() => crate::identity::name().into(),
            None => {
                let mut departed = state.departed.iter().rev();
                let departed = departed.find(|(departed, _)| *departed == id);
                departed.map_or_else(|| format!("context {id}").into(), |(_, name)| name.clone())
            }
        }
    }

    /// A context is gone. Its name is kept for a while: errors that tell of it are read later.
    pub(super) fn unregister_context(state: &mut State, id: ContextId) {
        if let Some(known) = state.known.remove(&id) {
            if state.departed.len() == DEPARTED_MAX {
                state.departed.pop_front();
            }
            state.departed.push_back((id, known.name));
        }
    }

    /// A context's name, for errors.
    pub fn name(&self, id: ContextId) -> Arc<str> {
        Self::name_of(&self.lock(), id)
    }

    /// What images a context runs. One that is not known is taken to run what this one does.
    pub fn target_of(&self, id: ContextId) -> Arc<str> {
        match self.lock().known.get(&id) {
            Some(known) => known.target.clone(),
            None => Target::native(Profile::detect()).to_string().into(),
        }
    }

    /// Takes in what a plugin says of a context that it made. Its name is believed only where it
    /// shows whose child it is: it ends up in this program's log.
    pub fn resolve_context(
        &self,
        id: ContextId,
        name: &str,
        target: &str,
    ) -> Result<ContextInfo, SendError> {
        let mut state = self.lock();
        if let Some(known) = state.known.get(&id) {
            return Ok(known.clone());
        }
        if id == ContextId::CONTROLLER || id == state.node.id() {
            drop(state);
            return Ok(ContextInfo {
                name: self.name(id),
                target: self.target_of(id),
            });
        }
        let parent = state.node.parent_of(id).ok_or(SendError::NoRoute(id))?;
        let parent = Self::name_of(&state, parent);
        let is_its_child = name.strip_prefix(&*parent);
        let believed = is_its_child.is_some_and(|rest| rest.starts_with('.'))
            && Node::check_name(name).is_ok();
        let known = ContextInfo {
            name: match believed {
                true => name.into(),
                false => format!("{parent}.{id}").into(),
            },
            target: target.into(),
        };
        state.known.insert(id, known.clone());
        Ok(known)
    }
}
