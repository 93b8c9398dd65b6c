//! Where the words of other contexts end up: in this program's log, with the context's name.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::io::Interest;

use crate::hub::Hub;
use crate::watched::watched;

/// Bytes of a line; a longer one is cut.
const LINE_MAX: usize = 8 * 1024;

/// Bytes of an ended program's last words that are worth showing.
const LAST_WORDS_MAX: usize = 2 * 1024;

/// Writes a record of a context to the log. `level` is 1 for errors to 5 for traces.
///
/// The text comes from a process that may not be trusted: what could move a terminal's cursor is
/// taken out.
pub(crate) fn emit(context: &str, level: u8, logger: &str, text: &str) {
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
#[cfg_attr(
    not(feature = "controller"),
    expect(dead_code, reason = "only a program that waits for answers needs it")
)]
pub(crate) fn level_wanted() -> u8 {
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

/// Logs what a child prints on its standard error, line by line.
pub(crate) fn follow_errors(hub: &Arc<Hub>, errors: PipeReader, context: Arc<str>) {
    let errors = OwnedFd::from(errors);
    if rustix::io::ioctl_fionbio(&errors, true).is_err() {
        return;
    }
    let Ok(errors) = watched(errors, Interest::READABLE) else {
        return;
    };
    let hub_weak = hub.weak();
    hub.spawn_background(async move {
        let mut lines = Lines::default();
        let mut buffer = [0; 1024];
        loop {
            let Ok(mut ready) = errors.readable().await else {
                return;
            };
            let ended = match rustix::io::read(errors.get_ref(), &mut buffer) {
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    continue;
                }
                Err(Errno::INTR) => continue,
                Ok(0) | Err(_) => {
                    lines.push(b"\n");
                    true
                }
                Ok(count) => {
                    lines.push(&buffer[..count]);
                    false
                }
            };
            while let Some(line) = lines.next() {
                let Some(hub) = hub_weak.upgrade() else {
                    return;
                };
                hub.log_child_line(&context, &line);
            }
            if ended {
                return;
            }
        }
    });
}

/// What an ended program printed last, if it comes at once.
pub(crate) fn last_words(mut errors: PipeReader) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    if rustix::io::ioctl_fionbio(&errors, true).is_ok() {
        while let Ok(count) = errors.read(&mut buffer)
            && count > 0
            && text.len() < LAST_WORDS_MAX
        {
            text.extend_from_slice(&buffer[..count]);
        }
    }
    clean(&String::from_utf8_lossy(&text))
}

/// Another context's words in an error of ours: of a bounded length, and safe to print.
pub(crate) fn quote(text: &str) -> String {
    let end = (0..=LINE_MAX.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    clean(&text[..end.unwrap_or(0)])
}

/// Takes out what a terminal would act on.
fn clean(text: &str) -> String {
    let keep = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    // Directional marks can make a line read as something else.
    let plain = |c: char| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|&c| keep(c) && plain(c)).collect()
}

/// Cuts bytes into lines of a bounded length.
#[derive(Debug, Default)]
struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<String> {
        loop {
            let end = self.pending.iter().position(|&byte| byte == b'\n');
            let (end, skip) = match end {
                Some(end) if end <= LINE_MAX => (end, 1),
                _ if self.pending.len() > LINE_MAX => (LINE_MAX, 0),
                _ => return None,
            };
            let line = String::from_utf8_lossy(&self.pending[..end]).into_owned();
            self.pending.drain(..end + skip);
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_never_driven_by_a_context() {
        let hostile = "\x1b]52;c;aGk=\x07ok\u{202e}\rmore\u{9b}31m";
        assert_eq!(clean(hostile), "]52;c;aGk=okmore31m");
    }

    #[test]
    fn lines_are_bounded() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_MAX + 10]);
        lines.push(b"\nshort\n\n");
        let lengths: Vec<_> = std::iter::from_fn(|| lines.next())
            .map(|line| line.len())
            .collect();
        assert_eq!(lengths, [LINE_MAX, 10, 5]);
    }
}
