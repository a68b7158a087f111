//! How long to wait before connecting again.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    time::{Duration, Instant},
};

/// The first wait, which doubles, and the last. A random part is taken off each.
const RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The waits of one connection.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(RANGE.0)
    }

    /// A connection has ended that began at that moment. If it lasted long, the waits begin anew.
    pub(crate) fn lasted_since(&mut self, begun: Instant) {
        if begun.elapsed() > RANGE.1 {
            *self = Self::new();
        }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(RANGE.1);
        pause.mul_f64(random_part())
    }
}

/// Between a half and one, so that not all instances return at once.
fn random_part() -> f64 {
    0.5 + (RandomState::new().hash_one(Instant::now()) >> 12) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_two_seconds_and_are_shortened_by_chance() {
        let mut backoff = Backoff::new();
        for longest in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            let longest = Duration::from_millis(longest);
            let pause = backoff.next();
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?} of {longest:?}");
        }
        backoff.lasted_since(Instant::now());
        assert!(backoff.next() >= Duration::from_secs(1), "one that hardly lasted changes nothing");
        backoff.lasted_since(Instant::now().checked_sub(Duration::from_secs(3)).unwrap());
        assert!(backoff.next() <= Duration::from_millis(50));
    }
}
