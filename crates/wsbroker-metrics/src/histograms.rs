//! A histogram of the broker, as the library takes it.

use wsbroker_core::HistogramStats;

/// What its bounds and its sum are divided by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    /// Nanoseconds, to be written as seconds.
    Seconds,
    /// Numbers, to be written as they are.
    Count,
}

impl Scale {
    fn of(self, value: u64) -> f64 {
        match self {
            Self::Seconds => value as f64 / 1e9,
            Self::Count => value as f64,
        }
    }
}

/// The sum of a histogram, and each bucket with its upper bound and how many values are in it
/// alone.
pub(crate) fn scaled(stats: &HistogramStats, scale: Scale) -> (f64, Vec<(f64, u64)>) {
    let bounds = stats.bounds.iter().map(|bound| scale.of(*bound)).chain([f64::INFINITY]);
    (scale.of(stats.sum), bounds.zip(stats.buckets.iter().copied()).collect())
}
