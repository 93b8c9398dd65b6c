//! Contexts on real machines, by real tools: `ssh`, `sudo`, `su` and `doas`.

mod becoming;
mod boot;
mod chains;
mod endings;
mod liveness;
mod prompts;
mod secrets;
mod ssh;
mod world;
