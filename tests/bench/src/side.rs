//! Who is measured.

use std::time::Duration;

use anyhow::Result;

use crate::arguments::Arguments;
use crate::limit::Limit;
use crate::mitogen::Mitogen;
use crate::ours::Ours;
use crate::ours_ssh::OverOpenSsh;
use crate::row::Row;

/// One system that can do the work of a row.
pub(crate) trait Side {
    fn name(&self) -> &'static str;

    /// Makes ready what a sample of `row` needs; `None` where the row means nothing here.
    fn prepare(&self, row: Row) -> Result<Option<Sample>>;
}

/// Takes one sample, in the unit of its row. What it holds ends when it is dropped.
pub(crate) type Sample = Box<dyn FnMut() -> Result<f64>>;

pub(crate) fn all(arguments: &Arguments) -> Result<Vec<Box<dyn Side>>> {
    let mut sides: Vec<Box<dyn Side>> = vec![
        Box::new(Ours::new(arguments)?),
        Box::new(OverOpenSsh::new(arguments)?),
        Box::new(Mitogen::new(arguments)?),
        Box::new(Limit::new(arguments)?),
    ];
    sides.retain(|side| arguments.wants_side(side.name()));
    Ok(sides)
}

/// Milliseconds.
pub(crate) fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Megabytes a second.
pub(crate) fn mb_per_s(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

/// What one of `count` took, in microseconds.
pub(crate) fn each_us(total: Duration, count: usize) -> f64 {
    total.as_secs_f64() * 1e6 / count as f64
}
