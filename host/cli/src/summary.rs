//! What came of many targets, in a few lines: the same trouble is told once.

use super::runner::{Outcome, TargetError};
use super::{failure, report};

/// Distinct reasons that are told.
const REASONS_MAX: usize = 10;

/// Targets that are named for each.
const NAMES_MAX: usize = 3;

/// Counts outcomes and groups what went wrong.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) ok: usize,
    pub(super) failed: usize,
    pub(super) unreachable: usize,
    reasons: Vec<Reason>,
}

#[derive(Debug)]
struct Reason {
    is_unreachable: bool,
    text: String,
    count: usize,
    /// The first few.
    targets: Vec<String>,
}

impl Summary {
    pub(super) fn add(&mut self, target: &str, outcome: &Outcome) {
        let error = match &outcome.result {
            Ok(_) => {
                self.ok += 1;
                return;
            }
            Err(error) => error,
        };
        let is_unreachable = matches!(error, TargetError::Unreachable { .. });
        match is_unreachable {
            true => self.unreachable += 1,
            false => self.failed += 1,
        }
        self.note(
            is_unreachable,
            failure::reason(error.error(), target),
            target,
        );
    }

    fn note(&mut self, is_unreachable: bool, text: String, target: &str) {
        let same =
            |reason: &&mut Reason| reason.is_unreachable == is_unreachable && reason.text == text;
        if let Some(reason) = self.reasons.iter_mut().find(same) {
            reason.count += 1;
            if reason.targets.len() < NAMES_MAX {
                reason.targets.push(target.to_owned());
            }
        } else {
            self.reasons.push(Reason {
                is_unreachable,
                text,
                count: 1,
                targets: vec![target.to_owned()],
            });
        }
    }

    pub(super) fn done(&self) -> usize {
        self.ok + self.failed + self.unreachable
    }

    pub(super) fn bad(&self) -> usize {
        self.failed + self.unreachable
    }

    /// Writes it to standard error.
    pub(super) fn print(&self, all: usize) {
        report::note(&self.text(all));
    }

    fn text(&self, all: usize) -> String {
        let mut parts = vec![format!("{} ok", self.ok)];
        for (count, what) in [
            (self.failed, "failed"),
            (self.unreachable, "unreachable"),
            (all - self.done(), "not finished"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let mut lines = vec![format!("{all} targets: {}", parts.join(", "))];
        let mut reasons: Vec<&Reason> = self.reasons.iter().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        for reason in reasons.iter().take(REASONS_MAX) {
            let what = match reason.is_unreachable {
                true => "unreachable",
                false => "failed",
            };
            let more = match reason.count - reason.targets.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = reason.text.lines().next().unwrap_or_default();
            let names = reason.targets.join(", ");
            lines.push(format!("{} {what}: {first} ({names}{more})", reason.count));
        }
        if let Some(more @ 1..) = reasons.len().checked_sub(REASONS_MAX) {
            lines.push(format!("and {more} more reasons"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_once() {
        let mut summary = Summary {
            ok: 2,
            failed: 1,
            unreachable: 12,
            ..Summary::default()
        };
        summary.note(false, "no such file".to_owned(), "db1");
        for index in 1..=12 {
            summary.note(
                true,
                "connection refused".to_owned(),
                &format!("web{index}"),
            );
        }
        let want = "\
16 targets: 2 ok, 1 failed, 12 unreachable, 1 not finished
12 unreachable: connection refused (web1, web2, web3 and 9 more)
1 failed: no such file (db1)";
        assert_eq!(summary.text(16), want);
    }

    #[test]
    fn many_kinds_of_trouble_are_counted() {
        let mut summary = Summary::default();
        for index in 0..12 {
            summary.failed += 1;
            summary.note(false, format!("reason {index}"), "web");
        }
        let text = summary.text(12);
        assert!(
            text.ends_with("\n1 failed: reason 9 (web)\nand 2 more reasons"),
            "{text}"
        );
    }
}
