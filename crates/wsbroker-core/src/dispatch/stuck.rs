//! Which workers are stuck: something has waited for them for as long as
//! [`Config::stuck_after`](crate::Config::stuck_after) says, and they have fetched nothing in that
//! time. A handler that never returns is the usual cause. That something may be a probe, which
//! nothing else has to wait for.
//!
//! A slow tick looks at all of them, so that handing events over reads no clock and counts nothing
//! more. A stuck worker gets no new connections while there is another, and those that wait for its
//! verdict are asked of another.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use super::WorkerEntry;
use crate::ids::WorkerId;

/// Looks within the time after which a worker is stuck, at least. Ticks and not a clock, so that no
/// worker is blamed for a stall of the whole process.
const TICKS: u32 = 4;
const LONGEST_TICK: Duration = Duration::from_millis(250);
const SHORTEST_TICK: Duration = Duration::from_millis(5);

/// What the last look saw.
#[derive(Debug)]
pub(crate) struct StuckWorkers {
    /// Between two looks.
    tick: Duration,
    /// A worker is stuck after this many of them without a fetch.
    ticks: u32,
    /// Of workers with something to do: how often they had come to fetch, and the looks since.
    seen: FxHashMap<WorkerId, (u64, u32)>,
}

impl StuckWorkers {
    pub(crate) fn new(after: Duration) -> Self {
        let tick = (after / TICKS).clamp(SHORTEST_TICK, LONGEST_TICK);
        let ticks = after.as_nanos().div_ceil(tick.as_nanos());
        Self { tick, ticks: u32::try_from(ticks).unwrap_or(u32::MAX), seen: FxHashMap::default() }
    }

    /// How often [`look`](Self::look) should be called.
    pub(crate) fn tick(&self) -> Duration {
        self.tick
    }

    /// One tick has passed: tells the workers that are stuck now, or no longer. Those for which
    /// nothing waits are probed if they are to be watched, too, or others take their place: a
    /// reload waits for them.
    pub(crate) fn look(&mut self, workers: &[Arc<WorkerEntry>], idle_too: bool) {
        let before = std::mem::take(&mut self.seen);
        for worker in workers {
            let Some(fetches) = worker.sink.backlog().fetches else {
                worker.set_stuck(None);
                if idle_too || worker.is_superseded() {
                    worker.sink.probe();
                }
                continue;
            };
            let looks = match before.get(&worker.id) {
                Some((same, looks)) if *same == fetches => looks.saturating_add(1),
                _ => 0,
            };
            worker.set_stuck((looks >= self.ticks).then(|| self.tick.saturating_mul(looks)));
            self.seen.insert(worker.id, (fetches, looks));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticks_fit_the_time_after_which_a_worker_is_stuck() {
        for (after, tick, ticks) in [(1000, 250, 4), (100, 25, 4), (1001, 250, 5), (60_000, 250, 240), (1, 5, 1)] {
            let workers = StuckWorkers::new(Duration::from_millis(after));
            assert_eq!((workers.tick, workers.ticks), (Duration::from_millis(tick), ticks), "{after}");
        }
    }
}
