//! The locks of the queues, by a name of their own: `tests/interleavings` compiles the queues with
//! those of a scheduler instead.

pub(crate) use std::sync::{Mutex, MutexGuard};
