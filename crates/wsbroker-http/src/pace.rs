//! How fast a client moves a body while it is the client that is waited for.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Failure, Step};

/// The rate that a client must reach while its part of an exchange is waited for: it sends its
/// body, or takes the response. A client that is slower holds a connection and the application's
/// request for as long as it likes, byte by byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeastRate {
    /// Bytes per second on average. Default 1,024.
    pub bytes_per_second: u64,
    /// The waiting time that the average is of. It has to be long: a reader's kernel takes bytes in
    /// lumps. Default 60 s.
    pub over: Duration,
}

impl Default for LeastRate {
    fn default() -> Self {
        Self { bytes_per_second: 1 << 10, over: Duration::from_secs(60) }
    }
}

impl LeastRate {
    fn is_reached_by(self, bytes: u64, waited: Duration) -> bool {
        bytes as f64 >= self.bytes_per_second as f64 * waited.as_secs_f64()
    }
}

/// One direction of an exchange. Only time in which the client could go on counts: one that the
/// application keeps waiting is not slow.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Since when the client is waited for.
    since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// The client is waited for, from `now` on or since before.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// The client has moved bytes, and is not waited for until the next [`wait`](Self::wait).
    pub(crate) fn moved(&mut self, bytes: u64, now: Instant, least: LeastRate) -> Step<()> {
        self.bytes += bytes;
        self.waited += self.since.take().map_or(Duration::ZERO, |since| now.duration_since(since));
        if self.waited < least.over {
            return Ok(());
        }
        let (bytes, waited) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.waited));
        if least.is_reached_by(bytes, waited) { Ok(()) } else { Err(Failure::Stalled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: LeastRate = LeastRate { bytes_per_second: 1000, over: Duration::from_secs(60) };

    /// Moves `bytes` every `gap` seconds, and says when that was too slow.
    fn cut_after(bytes: u64, gap: u64) -> Option<u64> {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        (gap..3600).step_by(gap as usize).find(|_| {
            pace.wait(now);
            now += Duration::from_secs(gap);
            pace.moved(bytes, now, LEAST).is_err()
        })
    }

    #[test]
    fn who_is_slower_than_the_least_rate_on_average_is_cut() {
        assert_eq!(cut_after(1, 59), Some(118), "a byte just inside the timeout");
        assert_eq!(cut_after(999, 1), Some(60));
        assert_eq!(cut_after(1000, 1), None);
        assert_eq!(cut_after(59_000, 59), None, "in lumps");
    }

    #[test]
    fn time_that_the_other_side_takes_does_not_count() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..100 {
            pace.wait(now);
            pace.wait(now + Duration::from_millis(5));
            now += Duration::from_millis(10);
            assert!(pace.moved(10, now, LEAST).is_ok());
            assert!(!pace.is_waiting());
            now += Duration::from_secs(600);
        }
    }
}
