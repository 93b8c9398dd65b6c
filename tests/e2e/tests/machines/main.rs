//! Contexts on real machines, by real tools: `ssh`, `sudo`, `su` and `doas`.

mod becoming;
mod chains;
mod ssh;
mod world;
