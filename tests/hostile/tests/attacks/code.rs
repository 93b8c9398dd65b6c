//! Plugins that try to replace code which another plugin, or another user, will run.
