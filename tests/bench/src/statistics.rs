//! Medians and spread, which one slow sample does not move.

/// The middle of some samples, and where all but a tenth on either side lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) p10: f64,
    pub(crate) p90: f64,
}

impl Summary {
    /// `None` without a sample.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 0.5)?,
            p10: quantile(&sorted, 0.1)?,
            p90: quantile(&sorted, 0.9)?,
        })
    }
}

/// Interpolates between the two nearest samples.
fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let place = fraction * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (*sorted.get(low)?, *sorted.get(high)?);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn nothing_has_no_middle() {
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn order_does_not_matter_and_one_outlier_moves_nothing_much() {
        let summary = Summary::of(&[3.0, 1.0, 2.0, 1000.0, 4.0]).unwrap();
        assert_eq!(summary.median, 3.0);
        assert_eq!(summary.p10, 1.4);
    }

    #[test]
    fn an_even_number_meets_in_the_middle() {
        assert_eq!(Summary::of(&[1.0, 2.0]).unwrap().median, 1.5);
    }
}
