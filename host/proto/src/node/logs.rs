//! Records that contexts below have logged, on their way to the program's log.
//!
//! What is logged ends on somebody's terminal or disk. A context that logs without end must not
//! fill either, nor hide what others say. So a context keeps to a pace, and a plugin that prints
//! faster waits; the controller takes a little more than that from each context and from all that are
//! behind one link. What is more is dropped, and how much that was is logged instead.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Event, Node};
use crate::Map;
use crate::control::{self, LogRecord};
use crate::frame::HEADER_LEN;
use crate::id::{ContextId, Handle, LinkId};
use crate::limits::{LOG_BACKLOG_MAX, LOG_LINK_RATE, LOG_PACE, LOG_RATE, LOG_TEXT_MAX, LogRate};
use crate::message::{Body, Message};
use crate::time::Instant;

/// How long after the first dropped record the note of them comes.
const NOTE_AFTER: Duration = Duration::from_secs(1);

/// When a link is looked at again that had too much to send for another record.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Level of the note: a warning.
const NOTE_LEVEL: u8 = 2;

/// Who has logged how much.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// What this context has logged itself.
    own: Budget,
    contexts: Map<ContextId, Budget>,
    links: Map<LinkId, Budget>,
    /// Notes that are due, by whom they are about: a context, or all behind a link.
    notes: BTreeMap<(Instant, Subject), u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Context(ContextId),
    Link(LinkId),
}

/// A bucket that leaks: what is in it was logged of late.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    /// Bytes, times the microseconds of a second, so that nothing is lost to rounding.
    level: u64,
    at: Instant,
    /// When the note of what was dropped comes, if anything was.
    note_at: Option<Instant>,
}

const MICROS: u64 = 1_000_000;

/// Bytes of a record at most, as plugins log them.
const RECORD_MAX: u64 = 2 * LOG_TEXT_MAX as u64;

impl Budget {
    /// Whether `cost` bytes fit after what leaked out since.
    fn has_room(&mut self, cost: u64, rate: LogRate, now: Instant) -> bool {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let leaked = micros.saturating_mul(rate.per_second);
        self.level = self.level.saturating_sub(leaked);
        self.at = now;
        self.level + cost * MICROS <= rate.burst * MICROS
    }

    /// When so much has leaked out that a record of any size fits.
    fn room_at(&self, rate: LogRate) -> Instant {
        let over = (self.level + RECORD_MAX * MICROS).saturating_sub(rate.burst * MICROS);
        self.at + Duration::from_micros(over.div_ceil(rate.per_second))
    }
}

impl Logs {
    /// Whether a record of `src`, which came by `link`, is let through. One that is not is counted.
    fn admit(&mut self, src: ContextId, link: LinkId, cost: u64, now: Instant) -> bool {
        let of_context = self.contexts.entry(src).or_default();
        let of_link = self.links.entry(link).or_default();
        let (subject, budget) = if !of_context.has_room(cost, LOG_RATE, now) {
            (Subject::Context(src), of_context)
        } else if !of_link.has_room(cost, LOG_LINK_RATE, now) {
            (Subject::Link(link), of_link)
        } else {
            of_context.level += cost * MICROS;
            of_link.level += cost * MICROS;
            return true;
        };
        let due = *budget.note_at.get_or_insert(now + NOTE_AFTER);
        *self.notes.entry((due, subject)).or_default() += 1;
        false
    }

    fn next_note(&self) -> Option<Instant> {
        let (&(due, _), _) = self.notes.first_key_value()?;
        Some(due)
    }

    /// Takes a note whose time has come: whom it is about, and how many records were dropped.
    fn note(&mut self, now: Instant) -> Option<(Subject, u64)> {
        match self.next_note()? <= now {
            true => self.first_note(),
            false => None,
        }
    }

    fn first_note(&mut self) -> Option<(Subject, u64)> {
        let ((_, subject), count) = self.notes.pop_first()?;
        let budget = match subject {
            Subject::Context(id) => self.contexts.get_mut(&id),
            Subject::Link(link) => self.links.get_mut(&link),
        };
        if let Some(budget) = budget {
            budget.note_at = None;
        }
        Some((subject, count))
    }

    /// Contexts are gone. The notes of what they said still come.
    pub(crate) fn remove(&mut self, lost: &[ContextId]) {
        for id in lost {
            self.contexts.remove(id);
        }
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.notes
            .retain(|(_, subject), _| *subject != Subject::Link(link));
    }
}

impl Node {
    /// Says whether a record was understood; `None` for one that was dropped unread.
    pub(super) fn on_log(&mut self, link: LinkId, message: &Message, now: Instant) -> Option<bool> {
        let Body::Data(bytes) = &message.body else {
            return Some(false);
        };
        let src = message.src;
        let cost = (HEADER_LEN + bytes.len()) as u64;
        if !self.logs.admit(src, link, cost, now) {
            self.stats.refused += 1;
            return None;
        }
        let Some(mut record) = control::decode::<LogRecord>(bytes) else {
            return Some(false);
        };
        for text in [&mut record.target, &mut record.text] {
            if text.len() > LOG_TEXT_MAX {
                let end = (0..=LOG_TEXT_MAX)
                    .rev()
                    .find(|&end| text.is_char_boundary(end));
                text.truncate(end.unwrap_or(0));
            }
        }
        self.events.push_back(Event::Log { src, record });
        Some(true)
    }

    /// When the next note of dropped records is due.
    pub(super) fn next_log_note(&self) -> Option<Instant> {
        self.logs.next_note()
    }

    /// Sends a log record of this context to the controller. It is dropped when it cannot leave: a
    /// log must not hold up what it tells of.
    pub fn log(&mut self, record: &LogRecord, now: Instant) {
        let bytes = control::encode(record);
        let cost = (HEADER_LEN + bytes.len()) as u64;
        // What is above the pace leaves too, for only plugins wait; it delays the next.
        self.logs.own.has_room(cost, LOG_PACE, now);
        self.logs.own.level += cost * MICROS;
        let body = Body::Data(bytes.into());
        let _ = self.send(
            ContextId::CONTROLLER,
            Handle::FORWARD_LOG,
            Handle::NONE,
            body,
        );
    }

    /// When a plugin may log its next record, if not now.
    pub fn log_room_at(&self, now: Instant) -> Option<Instant> {
        let up = self.topology.parent_link();
        let outbox = up.and_then(|link| Some(&self.links.get(&link)?.outbox));
        if outbox.is_some_and(|outbox| outbox.own_bytes() > LOG_BACKLOG_MAX) {
            return Some(now + LOOK_AGAIN);
        }
        Some(self.logs.own.room_at(LOG_PACE)).filter(|&at| at > now)
    }

    /// Logs how many records were dropped, a second after the first.
    pub(super) fn note_dropped_logs(&mut self, now: Instant) {
        let due: Vec<_> = core::iter::from_fn(|| self.logs.note(now)).collect();
        self.note_logs(due);
    }

    /// Logs how many records were dropped that has not been said yet.
    pub fn note_all_dropped_logs(&mut self) {
        let all: Vec<_> = core::iter::from_fn(|| self.logs.first_note()).collect();
        self.note_logs(all);
    }

    fn note_logs(&mut self, notes: Vec<(Subject, u64)>) {
        for (subject, count) in notes {
            let (src, who, rate) = match subject {
                Subject::Context(id) => (Some(id), "a context", LOG_RATE),
                Subject::Link(link) => (self.peer_of(link), "it and those below it", LOG_LINK_RATE),
            };
            let rate = rate.per_second >> 10;
            let Some(src) = src else {
                continue;
            };
            let record = LogRecord {
                level: NOTE_LEVEL,
                target: "offshoot::router".into(),
                text: format!(
                    "{count} log records were dropped: {who} may log {rate} KiB a second"
                ),
            };
            self.events.push_back(Event::Log { src, record });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRC: ContextId = ContextId(1);
    const LINK: LinkId = LinkId(1);

    fn at(seconds: u64) -> Instant {
        Instant(seconds * MICROS)
    }

    /// What was let through of a megabyte a second for so long.
    fn through_in(seconds: u64) -> u64 {
        let mut logs = Logs::default();
        let mut through = 0;
        for step in 0..seconds * 1000 {
            let now = Instant(step * MICROS / 1000);
            through += 1000 * u64::from(logs.admit(SRC, LINK, 1000, now));
            while let Some((subject, _)) = logs.note(now) {
                assert_eq!(subject, Subject::Context(SRC));
            }
        }
        through
    }

    #[test]
    fn t5_a_context_logs_at_its_rate_and_what_is_more_is_counted() {
        let later = through_in(100) - through_in(50);
        let rate = later / 50;
        assert!(
            (LOG_RATE.per_second * 9 / 10..=LOG_RATE.per_second).contains(&rate),
            "{rate}"
        );
    }

    #[test]
    fn t5_contexts_that_are_made_up_share_what_their_link_has() {
        let mut logs = Logs::default();
        let mut through = 0;
        let cost = 64_000;
        for src in 1..10_000 {
            through += cost * u64::from(logs.admit(ContextId(src), LINK, cost, at(1)));
        }
        assert!(through <= LOG_LINK_RATE.burst && through > LOG_LINK_RATE.burst / 2);
        let (subject, count) = logs.note(at(3)).unwrap();
        assert_eq!(subject, Subject::Link(LINK));
        assert_eq!(count * cost + through, 9_999 * cost);
        assert_eq!(logs.note(at(3)), None);
        assert!(logs.admit(ContextId(1), LinkId(2), cost, at(1)));
    }

    #[test]
    fn a_note_comes_a_second_after_the_first_that_was_dropped_or_at_the_end() {
        let mut logs = Logs::default();
        while logs.admit(SRC, LINK, 1000, at(5)) {}
        assert!(!logs.admit(SRC, LINK, 1000, at(5)));
        assert_eq!(logs.next_note(), Some(at(6)));
        assert_eq!(logs.note(at(5)), None);
        assert_eq!(logs.note(at(6)), Some((Subject::Context(SRC), 2)));
        assert!(logs.admit(SRC, LINK, 1000, at(6)), "and it may log again");
        while logs.admit(SRC, LINK, 1000, at(6)) {}
        assert_eq!(logs.first_note(), Some((Subject::Context(SRC), 1)));
        assert_eq!(logs.first_note(), None);
    }

    #[test]
    fn g9_what_a_plugin_logs_at_its_pace_is_let_through_however_it_arrives() {
        let (mut own, mut logs) = (Budget::default(), Logs::default());
        // Two minutes of it, of which the last arrive at once after a stall of ten seconds.
        let (mut now, mut late) = (at(1), Vec::new());
        while now < at(121) {
            now = now.max(own.room_at(LOG_PACE));
            assert!(own.has_room(RECORD_MAX, LOG_PACE, now));
            own.level += RECORD_MAX * MICROS;
            match now < at(111) {
                true => assert!(logs.admit(SRC, LINK, RECORD_MAX, now)),
                false => late.push(RECORD_MAX),
            }
        }
        assert!(!late.is_empty());
        for cost in late {
            assert!(logs.admit(SRC, LINK, cost, at(121)));
        }
    }
}
