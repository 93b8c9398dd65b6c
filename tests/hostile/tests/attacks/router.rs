//! Plugins with the grant `router` that try to order what plugins may not.
