//! Contexts on real machines, by real tools: `ssh`, `sudo`, `su` and `doas`.

mod becoming;
mod chains;
mod endings;
mod liveness;
mod secrets;
mod ssh;
mod world;
