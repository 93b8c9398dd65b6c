//! Where log records of plugins go, and how a plugin waits for room there.

use std::time::Instant;

use super::sleep::sleep_until;

/// Where log records of plugins go.
pub trait LogSink: Send + Sync {
    /// Takes one record. Levels are 1 error, 2 warn, 3 info, 4 debug, 5 trace. The text is the
    /// plugin's and may hold anything.
    fn log(&self, level: u8, target: &str, text: &str);
    /// The most verbose level that anyone listens to; 0 is none.
    fn level(&self) -> u8;
    /// When there is room for the next record, if not now. A record that is logged before may be
    /// lost.
    fn room_at(&self) -> Option<Instant>;
}

/// Waits until the sink has room for a record of `level`: a plugin that prints faster than its lines
/// can be taken away is slowed down.
pub(super) async fn until_room(sink: &dyn LogSink, level: u8) {
    if level > sink.level() {
        return;
    }
    while let Some(until) = sink.room_at() {
        sleep_until(until).await;
    }
}
