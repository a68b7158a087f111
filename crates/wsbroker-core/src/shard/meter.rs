//! How much a connection may still send us: a bucket of tokens each for messages and for bytes.

use std::time::{Duration, Instant};

use super::wheel::TICK;
use crate::config::{RateAction, RateLimit};

/// What a bucket may hold beyond its size after a pause: the timer that ends the pause is late by a
/// tick or two, and what flowed in meanwhile is not lost. Otherwise a small burst would bound the
/// rate.
const LATENESS: Duration = TICK.saturating_mul(2);

/// A connection's account with its [`RateLimit`].
#[derive(Debug)]
pub(super) struct RateMeter {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    action: RateAction,
    /// Until when tokens have flowed in.
    filled: Instant,
}

#[derive(Debug)]
struct Bucket {
    /// Tokens a second.
    rate: f64,
    size: f64,
    /// Below zero when the last message was larger than what there was.
    level: f64,
}

impl RateMeter {
    /// Full buckets. `None` when nothing is limited.
    pub(super) fn new(limit: &RateLimit, now: Instant) -> Option<Self> {
        let RateLimit { messages, bytes, burst, action } = *limit;
        let burst = burst.map(f64::from);
        let rate = messages.map(|rate| f64::from(rate.max(1)));
        let bytes = bytes.map(|bytes| {
            let bytes = bytes.max(1) as f64;
            match (burst, rate) {
                (Some(burst), Some(rate)) => Bucket::new(bytes, bytes * burst / rate),
                (Some(burst), None) => Bucket::new(bytes, burst),
                (None, _) => Bucket::new(bytes, bytes),
            }
        });
        let messages = rate.map(|rate| Bucket::new(rate, burst.unwrap_or(rate)));
        (messages.is_some() || bytes.is_some()).then_some(Self { messages, bytes, action, filled: now })
    }

    pub(super) fn action(&self) -> RateAction {
        self.action
    }

    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        self.messages.iter_mut().chain(self.bytes.iter_mut())
    }

    /// Whether a message may be taken. A larger one than there are bytes is, and those after it
    /// wait for it.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        self.fill(now, Duration::ZERO);
        self.buckets().all(|bucket| bucket.level >= 1.0)
    }

    /// A message of this many bytes is taken.
    pub(super) fn take(&mut self, bytes: usize) {
        if let Some(bucket) = &mut self.messages {
            bucket.level -= 1.0;
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.level -= bytes as f64;
        }
    }

    /// How long it takes until there is room, if nothing is taken meanwhile.
    pub(super) fn wait(&mut self) -> Duration {
        let seconds = self.buckets().map(|bucket| (1.0 - bucket.level) / bucket.rate).fold(0.0, f64::max);
        // A message has at most 2^63 bytes, and a century is as good as what is longer.
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// A pause for want of room is over.
    pub(super) fn resume(&mut self, now: Instant) {
        self.fill(now, LATENESS);
    }

    fn fill(&mut self, now: Instant, lateness: Duration) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        for bucket in self.buckets() {
            let most = bucket.size.max(1.0 + bucket.rate * lateness.as_secs_f64());
            // It may hold more already, since the end of a pause.
            bucket.level = bucket.level.max((bucket.level + bucket.rate * elapsed).min(most));
        }
    }
}

impl Bucket {
    fn new(rate: f64, size: f64) -> Self {
        let size = size.max(1.0);
        Self { rate, size, level: size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(messages: Option<u32>, bytes: Option<u64>, burst: Option<u32>) -> RateLimit {
        RateLimit { messages, bytes, burst, action: RateAction::Pause }
    }

    /// What gets through in this time from a client that always has more, with a timer that fires
    /// every tick.
    fn through(limit: &RateLimit, bytes: usize, time: Duration) -> u64 {
        let start = Instant::now();
        let mut meter = RateMeter::new(limit, start).unwrap();
        let (mut now, mut count) = (start, 0);
        while now <= start + time {
            if meter.has_room(now) {
                meter.take(bytes);
                count += 1;
                continue;
            }
            let due = (now + meter.wait()).saturating_duration_since(start);
            now = start + TICK * (due.as_nanos().div_ceil(TICK.as_nanos()) as u32).max(1);
            meter.resume(now);
        }
        count
    }

    #[test]
    fn over_time_the_rate_and_one_burst_get_through() {
        const TIME: Duration = Duration::from_secs(5);
        for (rate, burst) in [(1, 1), (7, 3), (100, 100), (1000, 1), (1000, 5000), (33_333, 10)] {
            let count = through(&limit(Some(rate), None, Some(burst)), 10, TIME);
            let expected = u64::from(burst) + 5 * u64::from(rate);
            assert!(count <= expected + 1, "{count} of {expected} at {rate}/s");
            assert!(count as f64 >= 0.97 * expected as f64 - 1.0, "{count} of {expected} at {rate}/s");
        }
    }

    #[test]
    fn bytes_are_limited_whatever_the_messages() {
        const TIME: Duration = Duration::from_secs(50);
        for bytes in [1, 100, 999, 10_000, 70_000] {
            let count = through(&limit(None, Some(10_000), None), bytes, TIME);
            let (got, expected) = (count as f64 * bytes as f64, 510_000.0);
            assert!(got >= 0.99 * expected && got <= 1.01 * expected + bytes as f64, "{got} in messages of {bytes}");
        }
        // In proportion to the burst of messages: a tenth of a second's worth.
        let mut meter = RateMeter::new(&limit(Some(100), Some(10_000), Some(10)), Instant::now()).unwrap();
        assert_eq!(meter.bytes.as_ref().unwrap().size, 1000.0);
        let now = meter.filled;
        meter.take(999);
        assert!(meter.has_room(now));
        meter.take(1);
        assert!(!meter.has_room(now));
        assert_eq!(meter.wait(), Duration::from_micros(100));
    }

    #[test]
    fn a_silence_fills_the_bucket_and_no_more() {
        let start = Instant::now();
        let mut meter = RateMeter::new(&limit(Some(10), None, Some(3)), start).unwrap();
        for second in [0, 1000] {
            let now = start + Duration::from_secs(second);
            (0..3).for_each(|_| {
                assert!(meter.has_room(now));
                meter.take(1);
            });
            assert!(!meter.has_room(now));
            assert_eq!(meter.wait(), Duration::from_millis(100));
            assert!(!meter.has_room(now + Duration::from_millis(99)));
        }
    }

    #[test]
    fn without_numbers_nothing_is_limited() {
        assert!(RateMeter::new(&limit(None, None, Some(5)), Instant::now()).is_none());
        // Zero a second would be a pause for ever.
        assert!(RateMeter::new(&limit(Some(0), None, Some(0)), Instant::now()).unwrap().has_room(Instant::now()));
    }
}
