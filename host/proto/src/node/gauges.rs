//! How full the tables of a node are: for tests, which compare it with the
//! [limits](crate::limits) and look for what is left behind.

use alloc::vec::Vec;

use super::Node;
use crate::id::ContextId;
use crate::streams::OutgoingStream;

/// How full the tables of a node are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Messages whose frames are still arriving.
    pub assemblies: usize,
    /// Bytes of them that are here.
    pub assembly_bytes: usize,
    /// Own bytes in the fullest link's queue.
    pub own_backlog: usize,
    /// Bytes of others in the fullest link's queue.
    pub relay_backlog: usize,
    /// Calls of others that have not begun.
    pub calls_queued: usize,
    /// Bytes of their arguments.
    pub calls_queued_bytes: usize,
    /// Calls of others that run.
    pub calls_running: usize,
    /// Those of them that their callers may cancel.
    pub calls_waiting: usize,
    /// Pairs of image and grants.
    pub bindings: usize,
    /// Contexts that were told of a binding.
    pub told: usize,
    /// Links to neighbours.
    pub links: usize,
    /// Handles that are listened on.
    pub listeners: usize,
    /// Streams that go out of here.
    pub streams_out: usize,
    /// Streams that come in.
    pub streams_in: usize,
    /// Chains of calls that have calls here, or have failed and were not forgotten.
    pub chains: usize,
    /// Bytes of messages that programs have not taken yet.
    pub held_bytes: u64,
    /// Blocks of ids that contexts below were granted.
    pub blocks: usize,
    /// Contexts elsewhere that the busiest link has sent to and that are told apart.
    pub contacts: usize,
}

impl Node {
    /// How full the tables are.
    #[doc(hidden)]
    pub fn gauges(&self) -> Gauges {
        let outboxes = || self.links.values().map(|link| &link.outbox);
        let (assemblies, assembly_bytes) = self.assemblies.gauges();
        let (calls_queued_bytes, calls_waiting) = self.call_queue.gauges();
        let (streams_out, streams_in, held_bytes) = self.streams.gauges();
        Gauges {
            assemblies,
            assembly_bytes,
            own_backlog: outboxes()
                .map(|outbox| outbox.own_bytes())
                .max()
                .unwrap_or(0),
            relay_backlog: outboxes()
                .map(|outbox| outbox.relay_bytes())
                .max()
                .unwrap_or(0),
            calls_queued: self.call_queue.queued(),
            calls_queued_bytes,
            calls_running: self.call_queue.running(),
            calls_waiting,
            bindings: self.bindings.len(),
            told: self.bound.len(),
            links: self.links.len(),
            listeners: self.handles.len(),
            streams_out,
            streams_in,
            chains: self.call_queue.chains(),
            held_bytes,
            blocks: self.blocks.granted().len(),
            contacts: self
                .links
                .values()
                .map(|link| link.contacts.len())
                .max()
                .unwrap_or(0),
        }
    }

    /// Streams that go out of here, in order.
    #[doc(hidden)]
    pub fn outgoing_streams(&self) -> Vec<OutgoingStream> {
        let mut streams: Vec<_> = self.streams.outgoing().collect();
        streams.sort_unstable_by_key(|stream| (stream.dst, stream.handle));
        streams
    }

    /// Blocks of ids that contexts below were granted: owner, first id, how many.
    #[doc(hidden)]
    pub fn granted_blocks(&self) -> Vec<(ContextId, u32, u32)> {
        self.blocks.granted().collect()
    }

    /// Contexts known below this one, in order.
    #[doc(hidden)]
    pub fn context_ids(&self) -> Vec<ContextId> {
        self.topology.ids()
    }
}
