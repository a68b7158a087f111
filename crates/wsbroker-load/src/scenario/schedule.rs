//! Messages at a rate, whatever comes back: what a server is late with does not delay what is sent
//! next, and counts in the latency of all that waits behind it.

use std::time::{Duration, Instant};

/// When each message of a phase is due, the same distance apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    rate: f64,
    begun: Instant,
    next: u64,
}

impl Schedule {
    /// `rate` messages per second, the first one a distance from `begun`.
    pub(super) fn new(rate: f64, begun: Instant) -> Self {
        Self { rate, begun, next: 1 }
    }

    /// When the next message is due.
    pub(super) fn due(&self) -> Instant {
        self.begun + Duration::from_secs_f64(self.next as f64 / self.rate)
    }

    /// Takes the next message, if it is due: when it was, and how many were before it.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Instant, u64)> {
        let due = self.due();
        (due <= now).then(|| {
            self.next += 1;
            (due, self.next - 2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_made_up_for_and_keeps_the_time_it_was_due() {
        let begun = Instant::now();
        let mut schedule = Schedule::new(1000.0, begun);
        assert_eq!(schedule.take(begun), None);
        let late = begun + Duration::from_millis(3);
        let taken: Vec<_> = std::iter::from_fn(|| schedule.take(late)).collect();
        let due = |i: u64| begun + Duration::from_millis(i);
        assert_eq!(taken, [(due(1), 0), (due(2), 1), (due(3), 2)]);
        assert_eq!(schedule.due(), due(4));
    }
}
