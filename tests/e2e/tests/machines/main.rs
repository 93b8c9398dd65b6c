//! Contexts on real machines, by real tools: `ssh`, `sudo`, `su` and `doas`.

mod becoming;
mod chains;
mod platforms;
mod ssh;
mod world;
