//! Sends the records of the `log` crate to the host.

use log::{LevelFilter, Log, Metadata, Record};

use crate::imports;

/// Makes this the logger, unless the plugin has set its own.
pub(crate) fn install() {
    if log::set_logger(&ToHost).is_ok() {
        // Who listens can change at any time, so the host is asked for each record.
        log::set_max_level(LevelFilter::Trace);
    }
}

struct ToHost;

impl Log for ToHost {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() as u32 <= imports::log_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = record.level() as u32;
            match record.args().as_str() {
                Some(text) => imports::log(level, record.target(), text),
                None => imports::log(level, record.target(), &record.args().to_string()),
            }
        }
    }

    fn flush(&self) {}
}
