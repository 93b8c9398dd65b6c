//! The scheduler's locks, for the files of the product.

pub(crate) use shuttle::sync::{Mutex, MutexGuard};
