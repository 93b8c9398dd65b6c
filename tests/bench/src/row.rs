//! What is measured.

use std::time::Duration;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// From nothing to the result of a child's first call.
    LocalStartFirstCall,
    /// One warm call after the other.
    CallRoundTrip,
    /// Calls per second when [`WINDOW`] of them are under way.
    PipelinedCalls,
    /// A chain of ten contexts, each the parent of the next, ready to be called.
    Chain10Setup,
    /// A warm call to the last of ten.
    Chain10Call,
    /// Calls per second of a `Select` that scatters calls over 20 children and gathers them.
    Select20,
    /// The same over 200.
    Select200,
    /// A call that carries a mebibyte there and back.
    Echo1Mib,
    /// Megabytes a second of a call with [`BULK`] bytes of arguments.
    BulkUp,
    /// The same of a call with such a result.
    BulkDown,
    /// The same of a child that sends as much in [`STREAM_ITEM`]s to a receiver.
    Stream,
    /// What 99 of 100 small calls stay below while the same link carries as much as it can.
    CallBesideBulk,
    /// The caller's memory for each of [`OUTSTANDING`] calls that wait for their turn.
    OutstandingCall,
    /// The controller's memory for each of [`IDLE`] children that have answered a call.
    IdleChildCost,
    /// Resident memory of a child that has answered a call.
    IdleChildRss,
    /// What has to travel to a machine that has nothing.
    ChildBinaryGz,
    /// What happens over ssh.
    Ssh(SshRow, Line),
}

/// What is measured over ssh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SshRow {
    /// From nothing to a context that can be called, where the child is in the machine's cache.
    Warm,
    /// The same where the machine has nothing.
    Cold,
    /// The same by `sudo`, from a context that is there.
    Sudo,
    /// One warm call after the other.
    Call,
    /// Megabytes a second of a call with [`BULK`] bytes of arguments.
    BulkUp,
    /// The same of a call with such a result.
    BulkDown,
    /// [`MANY`] contexts at once, until each has answered a call.
    Many,
}

/// How far a machine is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// As near as the loopback.
    Near,
    /// [`FAR`] there and back.
    Far,
}

/// What a far machine's line adds to each round trip.
pub(crate) const FAR: Duration = Duration::from_millis(50);
/// Calls in a sample of one warm call after the other over a far line.
pub(crate) const FAR_ROUND_TRIPS: usize = 5;
/// Bytes of a bulk call.
pub(crate) const BULK: usize = 32 << 20;
/// Bytes of an item of a stream.
pub(crate) const STREAM_ITEM: usize = 48 << 10;
/// Contexts that are made at once.
pub(crate) const MANY: usize = 200;

/// Contexts in a chain.
pub(crate) const CHAIN: usize = 10;
/// Calls in a sample of one warm call after the other.
pub(crate) const ROUND_TRIPS: usize = 200;
/// The same through a chain.
pub(crate) const CHAIN_ROUND_TRIPS: usize = 50;
/// Calls under way at once.
pub(crate) const WINDOW: usize = 1000;
/// Windows in a sample.
pub(crate) const WINDOWS: usize = 2;
/// Calls of a sample that scatters and gathers, over all children.
pub(crate) const SCATTERED: usize = 2000;
/// Calls that wait at once.
pub(crate) const OUTSTANDING: usize = 10_000;
/// Milliseconds that they have to wait for one before them: longer than making them takes.
pub(crate) const PAUSE: u64 = 1500;
/// Children that a sample of memory starts.
pub(crate) const IDLE: usize = 50;
/// Small calls of a sample that looks at the slowest.
pub(crate) const BESIDE: usize = 1000;
/// Bytes of each of the calls that keep a link busy meanwhile.
pub(crate) const BESIDE_BULK: usize = 8 << 20;
/// So many of them, one after the other: the small calls go on until all are done.
pub(crate) const BESIDE_TRANSFERS: usize = 16;
/// Bytes of the call that is answered with what it carries.
pub(crate) const ECHO: usize = 1 << 20;
/// Bytes of the machine's small message.
pub(crate) const MESSAGE: usize = 64;

impl Row {
    pub(crate) const ALL: &[Self] = &[
        // First those that look at our own memory: what others leave free would be used again.
        Self::IdleChildCost,
        Self::OutstandingCall,
        Self::LocalStartFirstCall,
        Self::CallRoundTrip,
        Self::PipelinedCalls,
        Self::Chain10Setup,
        Self::Chain10Call,
        Self::Select20,
        Self::Select200,
        Self::Echo1Mib,
        Self::CallBesideBulk,
        Self::IdleChildRss,
        Self::ChildBinaryGz,
        Self::BulkUp,
        Self::BulkDown,
        Self::Stream,
        Self::Ssh(SshRow::Warm, Line::Near),
        Self::Ssh(SshRow::Warm, Line::Far),
        Self::Ssh(SshRow::Cold, Line::Near),
        Self::Ssh(SshRow::Cold, Line::Far),
        Self::Ssh(SshRow::Sudo, Line::Near),
        Self::Ssh(SshRow::Sudo, Line::Far),
        Self::Ssh(SshRow::Call, Line::Near),
        Self::Ssh(SshRow::Call, Line::Far),
        Self::Ssh(SshRow::BulkUp, Line::Near),
        Self::Ssh(SshRow::BulkUp, Line::Far),
        Self::Ssh(SshRow::BulkDown, Line::Near),
        Self::Ssh(SshRow::BulkDown, Line::Far),
        Self::Ssh(SshRow::Many, Line::Near),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LocalStartFirstCall => "local_start_first_call",
            Self::CallRoundTrip => "call_round_trip",
            Self::PipelinedCalls => "pipelined_calls",
            Self::Chain10Setup => "chain10_setup",
            Self::Chain10Call => "chain10_call",
            Self::Select20 => "select_20",
            Self::Select200 => "select_200",
            Self::Echo1Mib => "echo_1mib",
            Self::BulkUp => "bulk_up",
            Self::BulkDown => "bulk_down",
            Self::Stream => "stream",
            Self::OutstandingCall => "outstanding_call",
            Self::CallBesideBulk => "p99_beside_bulk",
            Self::IdleChildCost => "idle_child_cost",
            Self::IdleChildRss => "idle_child_rss",
            Self::ChildBinaryGz => "child_binary_gz",
            Self::Ssh(row, line) => row.name(line),
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::PipelinedCalls | Self::Select20 | Self::Select200 => "calls/s",
            Self::BulkUp | Self::BulkDown | Self::Stream => "MB/s",
            Self::OutstandingCall => "bytes",
            Self::IdleChildCost => "KiB",
            Self::IdleChildRss => "MiB",
            Self::ChildBinaryGz => "MB",
            Self::Ssh(row, _) => row.unit(),
            _ => "us",
        }
    }

    /// Whether a larger value is the better one.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(
            self,
            Self::PipelinedCalls
                | Self::Select20
                | Self::Select200
                | Self::BulkUp
                | Self::BulkDown
                | Self::Stream
                | Self::Ssh(SshRow::BulkUp | SshRow::BulkDown, _)
        )
    }

    /// Samples of this row when a quick row has `rounds`.
    pub(crate) fn rounds(self, rounds: usize) -> usize {
        match self {
            // Mitogen takes seconds for each.
            Self::Chain10Setup => rounds.div_ceil(3),
            // What waits is kept, so that memory is not used twice.
            Self::OutstandingCall | Self::IdleChildCost => 3,
            Self::CallBesideBulk => rounds.div_ceil(3),
            Self::BulkUp | Self::BulkDown | Self::Stream => rounds.div_ceil(2),
            // It varies with pages touched, not with what else the machine does.
            Self::IdleChildRss => rounds.div_ceil(6),
            // The same bytes every time.
            Self::ChildBinaryGz => 1,
            // Most of a minute for each.
            Self::Ssh(SshRow::Many, _) => rounds.div_ceil(15),
            Self::Ssh(_, Line::Near) => rounds.div_ceil(2),
            Self::Ssh(_, Line::Far) => rounds.div_ceil(4),
            _ => rounds,
        }
    }

    /// How long one sample may take: some ten times what the slowest side needs.
    pub(crate) fn sample_max(self) -> Duration {
        match self {
            Self::Ssh(SshRow::Many, _) => Duration::from_secs(300),
            _ => Duration::from_secs(60),
        }
    }
}

impl SshRow {
    fn name(self, line: Line) -> &'static str {
        match (self, line) {
            (Self::Warm, Line::Near) => "ssh_warm",
            (Self::Warm, Line::Far) => "ssh_warm_50ms",
            (Self::Cold, Line::Near) => "ssh_cold",
            (Self::Cold, Line::Far) => "ssh_cold_50ms",
            (Self::Sudo, Line::Near) => "ssh_sudo",
            (Self::Sudo, Line::Far) => "ssh_sudo_50ms",
            (Self::Call, Line::Near) => "ssh_call",
            (Self::Call, Line::Far) => "ssh_call_50ms",
            (Self::BulkUp, Line::Near) => "ssh_bulk_up",
            (Self::BulkUp, Line::Far) => "ssh_bulk_up_50ms",
            (Self::BulkDown, Line::Near) => "ssh_bulk_down",
            (Self::BulkDown, Line::Far) => "ssh_bulk_down_50ms",
            (Self::Many, Line::Near) => "ssh_200",
            (Self::Many, Line::Far) => "ssh_200_50ms",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Warm | Self::Cold | Self::Sudo => "ms",
            Self::Call => "us",
            Self::BulkUp | Self::BulkDown => "MB/s",
            Self::Many => "s",
        }
    }
}

impl Line {
    /// Calls in a sample of one after the other.
    pub(crate) fn round_trips(self) -> usize {
        match self {
            Self::Near => ROUND_TRIPS,
            Self::Far => FAR_ROUND_TRIPS,
        }
    }
}
