//! The line that shows how far a command is, on a terminal.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::runner::{RunningCount, Uploads};
use super::screen;

/// How often the line is redrawn.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// A command that is done sooner has no line.
const PATIENCE: Duration = Duration::from_millis(400);

pub(super) struct Progress {
    began: Instant,
    is_wanted: bool,
}

impl Progress {
    /// Starts now. Nothing is drawn where standard error is not a terminal, or with `--quiet`.
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

/// How many targets are in which state.
pub(super) struct Counts {
    pub(super) all: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) running: usize,
    pub(super) uploads: Uploads,
}

impl Counts {
    pub(super) fn new(all: usize, done: usize, failed: usize, running: &RunningCount) -> Self {
        Self {
            all,
            done,
            failed,
            // The outcome of a target that has ended may not have arrived yet.
            running: running.running().min(all - done),
            uploads: running.uploads(),
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
        let Uploads { count, sent, total } = self.uploads;
        if count > 0 {
            let percent = u128::from(sent) * 100 / u128::from(total.max(1));
            line.push_str(&format!(", sending the child to {count} ({percent} %)"));
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
    fn the_line_counts_targets_and_uploads() {
        let mut counts = Counts {
            all: 50,
            done: 12,
            failed: 1,
            running: 8,
            uploads: Uploads::default(),
        };
        let line = counts.line(Duration::from_millis(3900));
        assert_eq!(line, "12 of 50 done, 1 failed, 8 running, 30 waiting  3 s");
        counts.uploads = Uploads {
            count: 2,
            sent: 3 << 20,
            total: 4 << 20,
        };
        let line = counts.line(Duration::from_millis(3900));
        assert!(
            line.ends_with("waiting, sending the child to 2 (75 %)  3 s"),
            "{line}"
        );
        counts.uploads = Uploads::default();
        (counts.failed, counts.running, counts.done) = (0, 0, 50);
        let line = counts.line(Duration::from_secs(61));
        assert_eq!(line, "50 of 50 done  1 min 1 s");
    }
}
