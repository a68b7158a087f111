//! Durations by logarithm: 64 steps to each doubling, so that a percentile is right to 1.6 %.

use std::time::Duration;

const STEP_BITS: u32 = 6;
const STEPS: u64 = 1 << STEP_BITS;

/// Counts of durations in nanoseconds. It takes some 30 KB, whatever is recorded.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; bucket_of(u64::MAX) + 1], count: 0, sum: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(nanos)] += 1;
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The longest duration recorded, exact, in nanoseconds.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum as f64 / (self.count.max(1)) as f64
    }

    /// The duration, in nanoseconds, that the share `of` (0 to 1) of all durations does not exceed.
    pub(crate) fn percentile(&self, of: f64) -> u64 {
        let rank = ((of * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle_of(bucket).min(self.max);
            }
        }
        self.max
    }
}

/// Values below two rounds of steps have a bucket each; above, the leading bits choose.
fn bucket_of(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(shift) * STEPS + (nanos >> shift)) as usize
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    let lowest = (bucket - shift * STEPS) << shift;
    lowest + ((1 << shift) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_its_middle_says() {
        for nanos in (0..10_000).chain((1..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let middle = middle_of(bucket_of(nanos));
            let error = middle.abs_diff(nanos) as f64 / nanos.max(1) as f64;
            assert!(error < 0.016, "{nanos} became {middle}");
            assert_eq!(bucket_of(middle), bucket_of(nanos));
        }
    }

    #[test]
    fn percentiles_are_where_they_should_be() {
        let mut histogram = Histogram::new();
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        let near = |nanos: u64, micros: f64| (nanos as f64 / 1_000.0 - micros).abs() / micros < 0.016;
        assert!(near(histogram.percentile(0.5), 500.0));
        assert!(near(histogram.percentile(0.99), 990.0));
        assert_eq!(histogram.max(), 1_000_000);
        assert!((histogram.mean() - 500_500.0).abs() < 1.0);
    }
}
