//! Where the words of other contexts end up: in this program's log, with the context's name.

use crate::text::clean;

/// Writes a record of a context to the log. `level` is 1 for errors to 5 for traces.
///
/// The text comes from a process that may not be trusted: what could move a terminal's cursor is
/// taken out.
pub fn emit(context: &str, level: u8, logger: &str, text: &str) {
    // A further line must not look like a record of its own.
    let text = clean(text).replace('\n', "\n    ");
    let logger = clean(logger).replace('\n', " ");
    match level {
        1 => tracing::error!(target: "offshoot::context", context, logger, "{text}"),
        2 => tracing::warn!(target: "offshoot::context", context, logger, "{text}"),
        3 => tracing::info!(target: "offshoot::context", context, logger, "{text}"),
        4 => tracing::debug!(target: "offshoot::context", context, logger, "{text}"),
        _ => tracing::trace!(target: "offshoot::context", context, logger, "{text}"),
    }
}

/// The most verbose level that this program's log wants, as a number.
pub fn level_wanted() -> u8 {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current() {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        LevelFilter::TRACE => 5,
    }
}
