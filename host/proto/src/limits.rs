//! Every bound, in one place, with its arithmetic.

use core::time::Duration;

/// Version of the wire format and of the rules behind it. Neighbours must agree.
pub const PROTOCOL_VERSION: u32 = 7;

/// How long the other end of a link that goes through another program or machine may give no sign
/// of life, unless its maker says otherwise.
pub const LOST_AFTER: Duration = Duration::from_secs(15);

/// Payload of one frame at most. Larger messages travel as several frames, so that a small one
/// waits for one frame at most.
pub const FRAME_PAYLOAD_MAX: usize = 64 * 1024;

/// Bytes of one message at most, unless the controller says otherwise.
pub const MESSAGE_MAX_DEFAULT: u32 = 128 << 20;

/// Links that a message may cross. A tree is at most half as deep.
pub const HOPS_MAX: u8 = 64;

/// Offences after which a link is cut, or a context behind another one is not listened to any
/// more.
pub const VIOLATIONS_MAX: u32 = 16;

/// Bytes that a link may hold unsent for others before we stop reading what feeds it: 64 of the
/// largest frames, so that one stalled child pins 4 MiB of ours and never more.
pub const RELAY_BACKLOG_MAX: usize = 64 * FRAME_PAYLOAD_MAX;
const _: () = assert!(
    FRAME_PAYLOAD_MAX <= RELAY_BACKLOG_MAX,
    "one frame must always fit"
);

/// Bytes for others above which a link asks those that feed it to hold back large messages. What is
/// under way to it by then has room below the bound.
pub const PAUSE_ABOVE: usize = RELAY_BACKLOG_MAX / 2;

/// Bytes below which they may go on: enough for the link to be busy until more comes.
pub const RESUME_BELOW: usize = RELAY_BACKLOG_MAX / 8 * 3;

/// Bytes of large messages for one context above which it is one of those that a link is full of.
pub const PAUSE_SHARE: usize = FRAME_PAYLOAD_MAX;

/// Contexts for which one link holds back large messages. What is for more of them is sent, and the
/// bound holds.
pub const PAUSES_MAX: usize = 1024;

/// Bytes of refusals that may wait for a child to read them. An honest child reads at once; one
/// that keeps asking and does not read is cut off, before its neighbours have to wait for it. What
/// waits for those behind the child holds up the reading of its link instead.
pub const REFUSALS_BACKLOG_MAX: usize = 1 << 20;
const _: () = assert!(
    REFUSALS_BACKLOG_MAX < RELAY_BACKLOG_MAX,
    "it is noticed before it blocks"
);

/// Bytes that this context's own messages may occupy in a link's queue. It is above the largest
/// message, so that any message can be sent over an idle link.
pub const OWN_BACKLOG_MAX: usize = 2 * MESSAGE_MAX_DEFAULT as usize;

/// Calls that may wait for an answer at once.
pub const PENDING_MAX: usize = 1 << 20;

/// Calls that a context holds while an earlier one runs.
pub const CALLS_QUEUED_MAX: usize = 1 << 17;

/// Bytes of arguments that those calls may hold.
pub const CALLS_QUEUED_BYTES_MAX: usize = 256 << 20;

/// Concurrent calls that run at once in one context; more are queued.
pub const CALLS_CONCURRENT_MAX: usize = 256;

/// Contexts that one context may have below it.
pub const CONTEXTS_MAX: usize = 1 << 20;

/// Context ids that the controller grants at once to a context that makes contexts of its own.
pub const ID_BLOCK: u32 = 1000;

/// Blocks of ids that one context is granted in its life. The next one comes once half of the ids
/// of those before were announced, so a context holds at most half of them unused.
pub const ID_BLOCKS_MAX: u32 = 64;

/// Blocks that the contexts behind one child of the controller are granted as long as its link
/// lasts: a child that makes contexts up cannot reserve more than a quarter of the places that
/// there are, nor burn more than a ten-thousandth of the ids.
pub const ID_BLOCKS_PER_LINK_MAX: u32 = 256;
const _: () = assert!(
    (ID_BLOCKS_PER_LINK_MAX * ID_BLOCK) as usize <= CONTEXTS_MAX / 4,
    "one child must leave places to its siblings"
);

/// Ids that a driver may take without placing a context.
pub const IDS_UNPLACED_MAX: usize = 1024;

/// Contexts elsewhere that those behind one link have sent to and that are told apart; a link
/// with more is told of every loss.
pub const CONTACTS_MAX: usize = 4096;

/// Bytes of plugin images that one context keeps.
pub const DEPOT_BYTES_MAX: usize = 1 << 30;

/// Bytes of a message that the router itself makes, such as a refusal, an outcome without a value or
/// credit, which arrives however small the limit of the program's messages is.
pub const CONTROL_MAX: u32 = FRAME_PAYLOAD_MAX as u32;

/// Bytes of an announcement of contexts that are gone: all that there can be, with the reason.
pub const ANNOUNCEMENT_MAX: u32 = 5 * CONTEXTS_MAX as u32 + 64 * 1024;

/// Pairs of image and grants that one context keeps.
pub const BINDINGS_MAX: usize = 4096;

/// Bytes that a bootstrapped program may print before it says hello.
pub const NOISE_MAX: usize = 64 * 1024;

/// Bytes of a context's name.
pub const NAME_MAX: usize = 100;

/// Bytes of a log record's text; the rest is cut.
pub const LOG_TEXT_MAX: usize = 8 * 1024;

/// How fast records may be logged, in bytes with their headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRate {
    /// Bytes in a second, on average.
    pub per_second: u64,
    /// Bytes at once.
    pub burst: u64,
}

/// What the controller takes from one context; the rest is dropped and counted.
pub const LOG_RATE: LogRate = LogRate {
    per_second: 512 << 10,
    burst: 8 << 20,
};

/// The same for all contexts behind one link, so that one that makes up contexts gains little.
pub const LOG_LINK_RATE: LogRate = LogRate {
    per_second: 16 * LOG_RATE.per_second,
    burst: 8 * LOG_RATE.burst,
};

/// What a context logs: a plugin that prints more has to wait.
pub const LOG_PACE: LogRate = LogRate {
    per_second: LOG_RATE.per_second / 2,
    burst: 2 << 20,
};

/// Bytes of this context's own in the queue of the link to its parent above which a plugin that prints
/// has to wait.
pub const LOG_BACKLOG_MAX: usize = 1 << 20;

// However bunched together records arrive after a link has stalled, the controller has room for
// those of a context that paces itself.
const _: () =
    assert!(LOG_PACE.burst + LOG_BACKLOG_MAX as u64 + RELAY_BACKLOG_MAX as u64 <= LOG_RATE.burst);

/// Bytes of a reason that travels in a dead message; the rest is cut.
pub const REASON_MAX: usize = 1024;

/// Bytes of one stream that may be under way: sent, and not yet taken by the receiver's program.
/// At 50 ms of round trip it lets 5 MB/s through.
pub const STREAM_WINDOW: u64 = 256 * 1024;
const _: () = assert!(
    STREAM_WINDOW < RELAY_BACKLOG_MAX as u64,
    "a stream that is not read must not block the links on its way"
);

/// Bytes of streams from one link that may wait for this context's programs to take them, or that
/// are arriving: a thousand full windows. An honest subtree stays far below; one that makes up contexts to get more
/// windows meets it.
pub const LINK_STREAMS_BYTES_MAX: u64 = 256 << 20;

/// Failed chains of calls that one context remembers. With more, it takes no calls of new ones.
pub const CHAINS_MAX: usize = 1024;
