//! The table for people and the lines for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::row::Row;
use crate::statistics::Summary;

const SIDES: [&str; 4] = ["ours", "openssh", "mitogen", "limit"];

/// What came out for one row.
pub(crate) struct Measured {
    row: Row,
    samples: BTreeMap<&'static str, Vec<f64>>,
    notes: Vec<String>,
}

impl Measured {
    pub(crate) fn new(row: Row) -> Self {
        Self {
            row,
            samples: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, side: &'static str, value: f64) {
        self.samples.entry(side).or_default().push(value);
    }

    /// Remembers why a side has no figure, or fewer than it should.
    pub(crate) fn note(&mut self, side: &str, error: &anyhow::Error) {
        self.notes
            .push(format!("{}, {side}: {error:#}", self.row.name()));
    }

    /// Whether nothing went wrong on any side.
    pub(crate) fn is_complete(&self) -> bool {
        self.notes.is_empty()
    }

    fn summary(&self, side: &str) -> Option<Summary> {
        Summary::of(self.samples.get(side)?)
    }

    fn median(&self, side: &str) -> Option<f64> {
        Some(self.summary(side)?.median)
    }

    /// Ours divided by that of `other`.
    fn times(&self, other: &str) -> Option<f64> {
        Some(self.median("ours")? / self.median(other)?)
    }
}

/// Medians, with the range of the middle four fifths below them, and what they are of each other.
pub(crate) fn table(rows: &[Measured]) -> String {
    let mut text = String::new();
    let (ssh, here): (Vec<_>, Vec<_>) = rows
        .iter()
        .partition(|measured| matches!(measured.row, Row::Ssh(..)));
    if !here.is_empty() {
        part(&mut text, &here, &["ours", "mitogen", "limit"]);
    }
    if !ssh.is_empty() {
        // Ours by the library's own client, and ours by the system's.
        part(&mut text, &ssh, &SIDES);
    }
    text.push_str("median (p10-p90); `times` is ours divided by theirs, so less is better");
    for measured in rows.iter().filter(|measured| measured.row.more_is_better()) {
        let _ = write!(text, ", but for {} more is", measured.row.name());
    }
    for note in rows.iter().flat_map(|measured| &measured.notes) {
        let _ = write!(text, "\nnote: {note}");
    }
    text
}

fn part(text: &mut String, rows: &[&Measured], sides: &[&str]) {
    let _ = write!(text, "{:<23} {:>8}", "", "unit");
    for side in sides {
        let _ = write!(text, " {side:>24}");
    }
    for side in &sides[1..] {
        let _ = write!(text, " {:>13}", format!("times {side}"));
    }
    for measured in rows {
        let row = measured.row;
        let _ = write!(text, "\n{:<23} {:>8}", row.name(), row.unit());
        for side in sides {
            let _ = write!(text, " {:>24}", cell(measured.summary(side)));
        }
        for side in &sides[1..] {
            let _ = write!(text, " {:>13}", ratio(measured.times(side)));
        }
    }
    text.push_str("\n\n");
}

/// One object per row.
pub(crate) fn json_lines(rows: &[Measured]) -> String {
    rows.iter().map(|row| format!("{}\n", json(row))).collect()
}

fn json(measured: &Measured) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(measured.row.name()));
    object.insert("unit".to_owned(), json!(measured.row.unit()));
    for side in SIDES {
        object.insert(side.to_owned(), json!(measured.median(side)));
    }
    for side in &SIDES[1..] {
        object.insert(format!("times_{side}"), json!(measured.times(side)));
    }
    let spread = SIDES.iter().filter_map(|side| {
        let Summary { p10, p90, .. } = measured.summary(side)?;
        Some(((*side).to_owned(), json!([p10, p90])))
    });
    object.insert("spread".to_owned(), Value::Object(spread.collect()));
    object.insert("notes".to_owned(), json!(measured.notes));
    Value::Object(object)
}

fn cell(summary: Option<Summary>) -> String {
    match summary {
        None => "-".to_owned(),
        Some(Summary { median, p10, p90 }) if p10 == p90 => short(median),
        Some(Summary { median, p10, p90 }) => {
            format!("{} ({}-{})", short(median), short(p10), short(p90))
        }
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{}x", short(value)))
}

/// About three significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let mut measured = Measured::new(Row::CallRoundTrip);
        for (side, value) in [("ours", 60.0), ("mitogen", 480.0), ("limit", 50.0)] {
            measured.push(side, value);
        }
        measured
    }

    #[test]
    fn ratios_are_ours_divided_by_theirs() {
        let line: Value = serde_json::from_str(&json_lines(&[measured()])).unwrap();
        assert_eq!(line["name"], "call_round_trip");
        assert_eq!(line["times_limit"], 1.2);
        assert_eq!(line["times_mitogen"], 0.125);
        assert_eq!(line["spread"]["ours"], json!([60.0, 60.0]));
    }

    #[test]
    fn a_side_without_samples_is_null_and_the_reason_is_told() {
        let mut row = Measured::new(Row::Echo1Mib);
        row.push("ours", 1.0);
        row.note("mitogen", &anyhow::anyhow!("no Python"));
        assert!(table(&[row]).ends_with("note: echo_1mib, mitogen: no Python"));
        assert_eq!(json(&Measured::new(Row::Echo1Mib))["mitogen"], Value::Null);
    }
}
