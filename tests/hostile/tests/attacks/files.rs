//! Plugins with a wide grant of files that try to reach memory, environments and descriptors.
