//! What the making of a context says of its steps, with the time at which it was said.
//!
//! A context further down says it in its log, which comes here as all logs do.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use offshoot_node::launch::STEPS;

/// Entries that are kept: a hop has a handful.
const ENTRIES_MAX: usize = 64;

static ENTRIES: Mutex<Vec<(Instant, String)>> = Mutex::new(Vec::new());

fn entries() -> MutexGuard<'static, Vec<(Instant, String)>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes all that was said since the last time.
pub(super) fn take() -> Vec<(Instant, String)> {
    std::mem::take(&mut *entries())
}

/// Listens.
#[derive(Debug)]
pub(crate) struct Journal;

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if target != STEPS && target != "offshoot::context" {
            return;
        }
        let mut record = Record {
            is_step: target == STEPS,
            text: String::new(),
        };
        event.record(&mut record);
        let mut entries = entries();
        if record.is_step && entries.len() < ENTRIES_MAX {
            entries.push((Instant::now(), record.text));
        }
    }
}

struct Record {
    is_step: bool,
    text: String,
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "logger" => self.is_step = value == STEPS,
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}
