//! Which workers are stuck: something has waited for them for a second, and they have fetched
//! nothing in that time. A handler that never returns is the usual cause.
//!
//! A slow tick looks at all of them, so that handing events over reads no clock and counts nothing
//! more. A stuck worker gets no new connections while there is another, and those that wait for its
//! verdict are asked of another.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::WorkerEntry;
use crate::ids::WorkerId;

/// A worker is stuck after this many ticks without a fetch: one second. Ticks and not a clock, so
/// that no worker is blamed for a stall of the whole process.
const TICKS: u32 = 4;

/// What the last look saw.
#[derive(Debug, Default)]
pub(crate) struct StuckWorkers {
    /// Of workers with something to do: how often they had come to fetch, and the looks since.
    seen: FxHashMap<WorkerId, (u64, u32)>,
}

impl StuckWorkers {
    /// One tick has passed: tells the workers that are stuck now, or no longer.
    pub(crate) fn look(&mut self, workers: &[Arc<WorkerEntry>]) {
        let before = std::mem::take(&mut self.seen);
        for worker in workers {
            let Some(fetches) = worker.sink.backlog().fetches else {
                worker.set_stuck(false);
                continue;
            };
            let looks = match before.get(&worker.id) {
                Some((same, looks)) if *same == fetches => looks.saturating_add(1),
                _ => 0,
            };
            worker.set_stuck(looks >= TICKS);
            self.seen.insert(worker.id, (fetches, looks));
        }
    }
}
