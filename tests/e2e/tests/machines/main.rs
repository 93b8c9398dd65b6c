//! Contexts on real machines, by real tools: `ssh`, `sudo`, `su` and `doas`.

mod becoming;
mod boot;
mod chains;
mod credentials;
mod endings;
mod host_keys;
mod leaving;
mod lines;
mod liveness;
mod no_client;
mod platforms;
mod progress;
mod prompts;
mod secrets;
mod ssh;
mod ssh_config;
mod world;
