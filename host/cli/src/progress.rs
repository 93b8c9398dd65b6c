//! How far a command is, while it runs: for people who watch, and only for them.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::fleet::Tally;
use super::screen;

/// How often the line is redrawn.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// What is done sooner needs no line.
const PATIENCE: Duration = Duration::from_millis(400);

pub(super) struct Progress {
    began: Instant,
    is_wanted: bool,
}

impl Progress {
    /// Begins now. Nothing is drawn where nobody sees it, or where people asked for quiet.
    pub(super) fn new(verbosity: i16) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            began: Instant::now(),
            is_wanted: verbosity >= 0 && !is_dumb && std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn draw(&self, counts: &Counts) {
        let elapsed = self.began.elapsed();
        if self.is_wanted && elapsed >= PATIENCE {
            screen::draw(&counts.line(elapsed));
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        screen::around(|| {});
    }
}

/// Where the targets are.
pub(super) struct Counts {
    pub(super) all: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) running: usize,
}

impl Counts {
    pub(super) fn new(all: usize, done: usize, failed: usize, tally: &Tally) -> Self {
        Self {
            all,
            done,
            failed,
            // A target may have ended and not been told of yet.
            running: tally.running().min(all - done),
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let waiting = self.all - self.done - self.running;
        let mut line = format!("{} of {} done", self.done, self.all);
        for (count, what) in [
            (self.failed, "failed"),
            (self.running, "running"),
            (waiting, "waiting"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        let seconds = elapsed.as_secs();
        match seconds / 60 {
            0 => line.push_str(&format!("  {seconds} s")),
            minutes => line.push_str(&format!("  {minutes} min {} s", seconds % 60)),
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_the_targets_are() {
        let mut counts = Counts {
            all: 50,
            done: 12,
            failed: 1,
            running: 8,
        };
        let line = counts.line(Duration::from_millis(3900));
        assert_eq!(line, "12 of 50 done, 1 failed, 8 running, 30 waiting  3 s");
        (counts.failed, counts.running, counts.done) = (0, 0, 50);
        let line = counts.line(Duration::from_secs(61));
        assert_eq!(line, "50 of 50 done  1 min 1 s");
    }
}
