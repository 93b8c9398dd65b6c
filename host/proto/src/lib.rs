//! Offshoot's wire format, router, trust and calls: state machines without I/O.
//!
//! A [`Node`] is one context's part of the tree. It has no sockets, no clock and no threads: a
//! driver moves bytes and time in and out. So a whole tree of contexts can be simulated from one
//! seed, with links cut at any byte.
//!
//! # The contract of a driver
//!
//! 1. Feed exactly one input ([`Node::handle_bytes`], [`Node::handle_closed`],
//!    [`Node::handle_timeout`], or a command such as [`Node::call`]).
//! 2. Then drain [`Node::poll_event`] until it is empty, and [`Node::poll_transmit`] for each
//!    link that [`Node::poll_ready_link`] names and that has room: what leaves by one link may
//!    be news for another, so it is done when no link is named. A link without room is simply
//!    not asked; [`Node::may_read`] then tells which links to stop reading, so back-pressure
//!    needs no queue in the driver.
//! 3. Arm one timer for [`Node::poll_timeout`] and wait.
//!
//! # The way of a message
//!
//! [`Decoder`] → `trust.rs` → `node/inbound.rs`, which forwards it, or puts it
//! together and hands it to `node/dispatch.rs` → an [`Event`] for the driver.

#![no_std]

extern crate alloc;

mod assembly;
mod blocks;
pub mod bootstrap;
mod call_queue;
mod chains;
pub mod client;
mod connect;
mod contacts;
pub mod control;
mod decoder;
mod depot;
mod frame;
mod handles;
pub mod handshake;
mod id;
mod index;
mod keepalive;
pub mod limits;
mod link;
pub mod login;
mod message;
mod method;
mod node;
mod outbox;
mod secrets;
mod streams;
mod time;
mod topology;
mod trust;

pub use call_queue::CallKey;
pub use decoder::Decoder;
pub use depot::ImageState;
pub use frame::{Frame, FrameError, HEADER_LEN, Header};
pub use id::{ContextId, Handle, LinkId};
pub use link::Side;
pub use message::{Body, Dead, DeadKind, Message};
#[doc(hidden)]
pub use node::Gauges;
pub use node::{
    CallRequest, Event, Listen, ListenError, NoBinding, Node, PutError, Route, RouteError, Run,
    SendError, Stats,
};
#[doc(hidden)]
pub use offshoot_text::{Shown, commands_a_terminal};
#[doc(hidden)]
pub use streams::OutgoingStream;
pub use streams::Receipt;
pub use time::Instant;
pub use trust::Violation;

/// A hash map whose iteration order is the same in every run: a simulation must be repeatable.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;
/// A hash set, likewise.
pub(crate) type Set<T> = hashbrown::HashSet<T, foldhash::fast::FixedState>;
