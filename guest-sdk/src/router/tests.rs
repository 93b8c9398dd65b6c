//! The semantics of receivers and selects, over a host that is a table in this thread.

use super::*;

pub(crate) mod host;
mod receivers;
mod selects;
