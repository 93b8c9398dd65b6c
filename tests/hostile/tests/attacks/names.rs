//! Names of hosts and users that are commands.
