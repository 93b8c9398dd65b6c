//! What the command finds by looking around: plugins, configuration, children.
