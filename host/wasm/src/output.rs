//! Turns what a plugin prints into log records, one a line.

use std::sync::{Arc, Mutex};

use super::log_sink::{self, LogSink};

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
        log_sink::until_room(&*self.sink, LEVEL).await;
    }

    /// Takes the first line of what was printed, or what there is of it, and returns its size in
    /// bytes. So there is room for each record where the caller [waits](Self::until_room) each time.
    ///
    /// Guests flush after each `print!`: the end of what they hand over is not the end of a line.
    pub(super) fn write(&self, bytes: &[u8]) -> usize {
        let mut line = self.line();
        if line.len() == LINE_MAX && bytes.first().is_some_and(|&byte| byte != b'\n') {
            self.emit(&mut line);
        }
        let room = LINE_MAX - line.len();
        let end = bytes.iter().take(room + 1).position(|&byte| byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len().min(room))];
        line.extend_from_slice(part);
        if end.is_some() {
            self.emit(&mut line);
        }
        part.len() + usize::from(end.is_some())
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
            let mut bytes = text.as_bytes();
            while !bytes.is_empty() {
                let taken = output.write(bytes);
                assert!(taken > 0 && bytes[..taken - 1].iter().all(|&byte| byte != b'\n'));
                bytes = &bytes[taken..];
            }
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
