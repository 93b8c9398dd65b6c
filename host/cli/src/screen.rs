//! One line that is redrawn in place, and all else that is printed around it.
//!
//! Standard output, the log and the messages may all end on one terminal. Whoever prints goes
//! through [`around`], which takes the line away first, so that none is ever cut in two.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::printable::printable;

/// Columns of a terminal that does not say.
const COLUMNS: usize = 80;

/// Whether the line is on the screen.
static SHOWN: Mutex<bool> = Mutex::new(false);

const ERASE: &[u8] = b"\r\x1b[K";

fn shown() -> MutexGuard<'static, bool> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints something where the line was. The line comes back when it is next drawn.
pub(super) fn around<R>(print: impl FnOnce() -> R) -> R {
    let mut shown = shown();
    erase(&mut shown);
    print()
}

/// Draws the line.
pub(super) fn draw(text: &str) {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr())
        .map_or(COLUMNS, |size| usize::from(size.ws_col));
    let columns = if columns == 0 { COLUMNS } else { columns };
    let mut shown = shown();
    let mut bytes = b"\r".to_vec();
    bytes.extend(fitting(text, columns).bytes());
    bytes.extend(b"\x1b[K");
    *shown = std::io::stderr().write_all(&bytes).is_ok();
}

/// Takes the line away, unless someone prints right now: this process is about to end.
pub(super) fn leave() {
    if let Ok(mut shown) = SHOWN.try_lock() {
        erase(&mut shown);
    }
}

fn erase(shown: &mut bool) {
    if std::mem::take(shown) {
        let _ = std::io::stderr().write_all(ERASE);
    }
}

/// As much as fits without a line break; a full last column breaks on some terminals.
fn fitting(text: &str, columns: usize) -> String {
    printable(text).chars().take(columns - 1).collect()
}

/// Standard error for the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        around(|| std::io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        around(|| std::io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_never_breaks() {
        assert_eq!(super::fitting("12 done", 80), "12 done");
        assert_eq!(super::fitting("12 done", 5), "12 d");
        assert_eq!(super::fitting("a\u{1b}[2J", 80), "a\\u{1b}[2J");
        assert_eq!(super::fitting("x", 1), "");
    }
}
