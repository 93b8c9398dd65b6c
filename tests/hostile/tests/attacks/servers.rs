//! Servers that are not who they should be.
