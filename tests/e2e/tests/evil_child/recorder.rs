//! What was logged.

use std::sync::Mutex;

/// Lines that are kept. All are counted.
const LINES_MAX: usize = 10_000;

/// Keeps the records that contain a word, as lines, and counts their bytes.
pub(crate) struct Recorder {
    word: &'static str,
    seen: Mutex<(Vec<String>, u64)>,
}

impl Recorder {
    pub(crate) fn of(word: &'static str) -> Self {
        Self {
            word,
            seen: Mutex::default(),
        }
    }

    /// The lines since the last time, and the bytes of all of them.
    pub(crate) fn take(&self) -> (Vec<String>, u64) {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        if !line.0.contains(self.word) {
            return;
        }
        let mut seen = self.seen.lock().unwrap();
        seen.1 += line.0.len() as u64;
        if seen.0.len() < LINES_MAX {
            seen.0.push(line.0);
        }
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_str(&mut self, _: &tracing::field::Field, value: &str) {
        self.0 += value;
        self.0 += " ";
    }

    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{value:?} ");
    }
}
