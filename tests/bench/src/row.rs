//! What is measured.

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
    /// The caller's memory for each of [`OUTSTANDING`] calls that wait for their turn.
    OutstandingCall,
    /// Resident memory of a child that has answered a call.
    IdleChildRss,
    /// What has to travel to a machine that has nothing.
    ChildBinaryGz,
}

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
/// Bytes of the bulk call.
pub(crate) const ECHO: usize = 1 << 20;
/// Bytes of the machine's small message.
pub(crate) const MESSAGE: usize = 64;

impl Row {
    pub(crate) const ALL: &[Self] = &[
        Self::LocalStartFirstCall,
        Self::CallRoundTrip,
        Self::PipelinedCalls,
        Self::Chain10Setup,
        Self::Chain10Call,
        Self::Select20,
        Self::Select200,
        Self::Echo1Mib,
        Self::OutstandingCall,
        Self::IdleChildRss,
        Self::ChildBinaryGz,
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
            Self::OutstandingCall => "outstanding_call",
            Self::IdleChildRss => "idle_child_rss",
            Self::ChildBinaryGz => "child_binary_gz",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::PipelinedCalls | Self::Select20 | Self::Select200 => "calls/s",
            Self::OutstandingCall => "bytes",
            Self::IdleChildRss => "MiB",
            Self::ChildBinaryGz => "MB",
            _ => "us",
        }
    }

    /// Whether a larger value is the better one.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(
            self,
            Self::PipelinedCalls | Self::Select20 | Self::Select200
        )
    }

    /// Samples of this row when a quick row has `rounds`.
    pub(crate) fn rounds(self, rounds: usize) -> usize {
        match self {
            // Mitogen takes seconds for each.
            Self::Chain10Setup => rounds.div_ceil(3),
            // What waits is kept, so that memory is not used twice.
            Self::OutstandingCall => 3,
            // It varies with pages touched, not with what else the machine does.
            Self::IdleChildRss => rounds.div_ceil(6),
            // The same bytes every time.
            Self::ChildBinaryGz => 1,
            _ => rounds,
        }
    }
}
