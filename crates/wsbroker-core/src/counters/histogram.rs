//! Histograms: how often a value lay between which bounds. Each is counted by one thread at a time,
//! without a lock and without an atomic read-modify-write, and read by any.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

/// Upper bounds of durations, in nanoseconds: 10 us to 10 s.
pub(crate) const DURATIONS: &[u64; 19] = &[
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Upper bounds of ages, in nanoseconds: a second to a week.
pub(crate) const AGES: &[u64; 10] = &[
    1_000_000_000,
    10_000_000_000,
    60_000_000_000,
    300_000_000_000,
    900_000_000_000,
    3_600_000_000_000,
    14_400_000_000_000,
    43_200_000_000_000,
    86_400_000_000_000,
    604_800_000_000_000,
];

/// Upper bounds of numbers of subscribers.
pub(crate) const SUBSCRIBERS: &[u64; 16] =
    &[0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000];

/// The counts of one histogram with `N` bounds, as any thread may read them. What is counted often
/// is in one cache line: the sum, and the lowest bounds.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Cells<const N: usize> {
    bounds: &'static [u64; N],
    sum: AtomicU64,
    /// What lies above all bounds.
    above: AtomicU64,
    /// One for each bound.
    buckets: [AtomicU64; N],
}

impl<const N: usize> Cells<N> {
    pub(crate) fn new(bounds: &'static [u64; N]) -> Self {
        let buckets = std::array::from_fn(|_| AtomicU64::new(0));
        Self { bounds, sum: AtomicU64::new(0), above: AtomicU64::new(0), buckets }
    }

    /// Counts a value, as often as it occurred. By one thread only: what two count at once may be
    /// lost.
    #[inline]
    pub(crate) fn count(&self, value: u64, times: u64) {
        let found = self.bounds.iter().zip(&self.buckets).find(|(bound, _)| value <= **bound);
        add(found.map_or(&self.above, |(_, bucket)| bucket), times);
        add(&self.sum, value.wrapping_mul(times));
    }

    fn add_to(&self, sum: &mut HistogramStats) {
        for (sum, bucket) in sum.buckets.iter_mut().zip(self.buckets.iter().chain([&self.above])) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        sum.sum = sum.sum.wrapping_add(self.sum.load(Ordering::Relaxed));
    }

    pub(crate) fn stats(&self) -> HistogramStats {
        let mut stats = HistogramStats::new(self.bounds);
        self.add_to(&mut stats);
        stats
    }
}

/// Not `fetch_add`: only one thread writes, and that costs it next to nothing.
fn add(cell: &AtomicU64, value: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(value), Ordering::Relaxed);
}

/// A histogram that threads count which come and go. Each has a [`HistogramPart`].
#[derive(Debug)]
pub(crate) struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    parts: Mutex<Parts<N>>,
}

#[derive(Debug)]
struct Parts<const N: usize> {
    /// What threads have counted that are gone.
    past: HistogramStats,
    live: Vec<Arc<Cells<N>>>,
}

impl<const N: usize> Histogram<N> {
    pub(crate) fn new(bounds: &'static [u64; N]) -> Arc<Self> {
        let parts = Parts { past: HistogramStats::new(bounds), live: Vec::new() };
        Arc::new(Self { bounds, parts: Mutex::new(parts) })
    }

    /// A part for the calling thread.
    pub(crate) fn part(self: &Arc<Self>) -> HistogramPart<N> {
        let cells = Arc::new(Cells::new(self.bounds));
        self.parts.lock().live.push(Arc::clone(&cells));
        HistogramPart { histogram: Arc::clone(self), cells }
    }

    pub(crate) fn stats(&self) -> HistogramStats {
        let parts = self.parts.lock();
        let mut stats = parts.past.clone();
        parts.live.iter().for_each(|cells| cells.add_to(&mut stats));
        stats
    }
}

/// What one thread counts of a [`Histogram`]. Drop leaves the counts there.
#[derive(Debug)]
pub(crate) struct HistogramPart<const N: usize> {
    histogram: Arc<Histogram<N>>,
    cells: Arc<Cells<N>>,
}

impl<const N: usize> HistogramPart<N> {
    /// Counts a value, as often as it occurred.
    #[inline]
    pub(crate) fn count(&mut self, value: u64, times: u64) {
        self.cells.count(value, times);
    }
}

impl<const N: usize> Drop for HistogramPart<N> {
    fn drop(&mut self) {
        let mut parts = self.histogram.parts.lock();
        let Parts { past, live } = &mut *parts;
        self.cells.add_to(past);
        live.retain(|cells| !Arc::ptr_eq(cells, &self.cells));
    }
}

/// Durations, in nanoseconds.
pub(crate) type Durations = Histogram<{ DURATIONS.len() }>;
/// What one thread counts of them.
pub(crate) type DurationsPart = HistogramPart<{ DURATIONS.len() }>;
/// Numbers of subscribers.
pub(crate) type Fanout = Histogram<{ SUBSCRIBERS.len() }>;
/// What one thread counts of them.
pub(crate) type FanoutPart = HistogramPart<{ SUBSCRIBERS.len() }>;

/// What a histogram has counted. Durations and ages are in nanoseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HistogramStats {
    /// The upper bound of each bucket but the last, in order; a value that is equal to it is in the
    /// bucket.
    pub bounds: &'static [u64],
    /// How many values are in each bucket, and not in one before it. One more than bounds.
    pub buckets: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl HistogramStats {
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, buckets: vec![0; bounds.len() + 1], sum: 0 }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += count;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[u64; 3] = &[0, 10, 20];

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let cells = Cells::new(BOUNDS);
        for value in [0, 1, 10, 11, 20, 21, 1000] {
            cells.count(value, 1);
        }
        cells.count(5, 3);
        let stats = cells.stats();
        assert_eq!((stats.buckets.as_slice(), stats.sum, stats.count()), ([1, 5, 2, 2].as_slice(), 1078, 10));
    }

    #[test]
    fn what_threads_have_counted_stays_when_they_go() {
        let histogram = Histogram::new(BOUNDS);
        let mut own = histogram.part();
        own.count(1, 1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|value| histogram.part().count(value % 30, 1)));
            }
        });
        own.count(1, 1);
        let stats = histogram.stats();
        assert_eq!((stats.count(), stats.buckets[0]), (4002, 4 * 34));
        assert_eq!(histogram.parts.lock().live.len(), 1);
        drop(own);
        assert_eq!(histogram.stats(), stats);
    }

    #[test]
    fn bounds_rise() {
        for bounds in [&DURATIONS[..], AGES, SUBSCRIBERS] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }
}
