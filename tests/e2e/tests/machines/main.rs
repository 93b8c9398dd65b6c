//! Contexts on real machines, by real tools: `ssh`, `sudo`, `su` and `doas`.

mod becoming;
mod chains;
mod credentials;
mod host_keys;
mod leaving;
mod lines;
mod no_client;
mod platforms;
mod ssh;
mod ssh_config;
mod world;
