//! The plugins that a router knows by name.

use std::sync::{PoisonError, RwLock};

use foldhash::HashMap;

use super::{Plugin, PluginError, search};

#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_name: RwLock<HashMap<String, Plugin>>,
}

impl Registry {
    /// Adds a plugin, in place of an earlier one of its name.
    pub(crate) fn add(&self, plugin: Plugin) {
        let name = plugin.name().to_owned();
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name, plugin);
    }

    /// The plugin of that name: one that was added, else one from the search path, which is kept.
    pub(crate) fn get(&self, name: &str) -> Result<Plugin, PluginError> {
        {
            let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(plugin) = by_name.get(name) {
                return Ok(plugin.clone());
            }
        }
        let plugin = search::find(name)?;
        self.add(plugin.clone());
        Ok(plugin)
    }
}
