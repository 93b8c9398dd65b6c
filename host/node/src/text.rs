//! Text of other processes, made safe to print: bounded, and without control characters.

use offshoot_proto::{Shown, commands_a_terminal};

/// Bytes of a line; a longer one is cut.
const LINE_MAX: usize = 8 * 1024;

/// Another context's words in an error of ours: of a bounded length, and safe to print.
pub fn quote(text: &str) -> String {
    Shown(text).to_string()
}

/// Takes out what a terminal would act on.
pub(crate) fn clean(text: &str) -> String {
    let keep = |&c: &char| matches!(c, '\n' | '\t') || !commands_a_terminal(c);
    text.chars().filter(keep).collect()
}

/// Cuts bytes into lines of a bounded length.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    pub(crate) fn next(&mut self) -> Option<String> {
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
        let hostile = "\x1b]52;c;aGk=\x07ok\u{202e}\rmo\u{200f}\u{61c}\u{2028}re\u{9b}31m";
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
