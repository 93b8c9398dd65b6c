//! Turns what a plugin prints into log records, one a line.

use std::sync::{Arc, Mutex};

use super::state::LogSink;
use super::wasi;

/// Bytes of a line. A longer one becomes several records.
const LINE_MAX: usize = 8 << 10;
/// Level of a printed line: info.
const LEVEL: u8 = 3;

/// Standard output or error of an instance.
pub(super) struct Output {
    sink: Arc<dyn LogSink>,
    target: String,
    line: Mutex<Vec<u8>>,
}

impl Output {
    pub(super) fn new(sink: Arc<dyn LogSink>, target: String) -> Arc<Self> {
        Arc::new(Self {
            sink,
            target,
            line: Mutex::default(),
        })
    }

    /// Ends the unfinished line, so that it is not lost with the call that printed it.
    pub(super) fn flush(&self) {
        let mut line = self.line();
        if !line.is_empty() {
            self.emit(&mut line);
        }
    }

    /// Waits until there is room for what is about to be printed.
    pub(super) async fn until_room(&self) {
        wasi::until_room(&*self.sink, LEVEL).await;
    }

    /// Takes what was printed. Whole lines become records; guests flush after each `print!`, so
    /// the end of a piece is not the end of a line.
    pub(super) fn write(&self, mut bytes: &[u8]) {
        let mut line = self.line();
        while !bytes.is_empty() {
            let room = LINE_MAX - line.len();
            let end = bytes.iter().take(room + 1).position(|&byte| byte == b'\n');
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len().min(room)));
            line.extend_from_slice(part);
            bytes = match end {
                Some(_) => &rest[1..],
                None => rest,
            };
            let full = line.len() == LINE_MAX && !bytes.is_empty();
            if end.is_some() || full {
                self.emit(&mut line);
            }
        }
    }

    fn emit(&self, line: &mut Vec<u8>) {
        if LEVEL <= self.sink.level() {
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            self.sink
                .log(LEVEL, &self.target, &String::from_utf8_lossy(text));
        }
        line.clear();
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        // A sink that panicked leaves at worst a line behind.
        self.line
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An instance that is dropped in the middle of a call has printed what it has printed.
impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl LogSink for Lines {
        fn log(&self, _level: u8, _target: &str, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }

        fn level(&self) -> u8 {
            LEVEL
        }

        fn room_at(&self) -> Option<Instant> {
            None
        }
    }

    #[track_caller]
    fn check(writes: &[&str], want: &[&str]) {
        let lines = Arc::new(Lines::default());
        let output = Output::new(lines.clone(), "demo::stdout".to_owned());
        for text in writes {
            output.write(text.as_bytes());
        }
        output.flush();
        assert_eq!(*lines.0.lock().unwrap(), want);
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        check(
            &["on", "e\ntw", "o", "\n\nthree"],
            &["one", "two", "", "three"],
        );
        check(&["crlf\r\n"], &["crlf"]);
        check(&[""], &[]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "x".repeat(2 * LINE_MAX + 1);
        check(&[&long], &[&long[..LINE_MAX], &long[..LINE_MAX], "x"]);
        let exact = "y".repeat(LINE_MAX);
        check(&[&exact, "\n"], &[&exact]);
        check(&[&format!("{exact}\nz\n")], &[&exact, "z"]);
    }
}
