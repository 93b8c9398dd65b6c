//! Sessions with real servers, on machines made for it.

mod auth;
mod bench;
mod bulk;
mod crowds;
mod host_keys;
mod hostile;
mod network;
mod ways;
