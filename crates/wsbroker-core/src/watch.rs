//! Which workers are stuck: something has waited for them for a second, and they have fetched nothing in that time. A handler that never returns is the usual cause.
//!
//! A slow tick looks at all of them, so that handing events over reads no clock and counts nothing more. A stuck worker gets no new connections while
//! there is another, and those that wait for its verdict are asked of another.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::time::{MissedTickBehavior, interval};

use crate::{broker::Inner, dispatch::WorkerEntry, event::Event, ids::WorkerId, shard::Command};

/// Between two looks.
const TICK: Duration = Duration::from_millis(250);
/// A worker is stuck after this many ticks without a fetch: one second. Ticks and not a clock, so that a stall of the whole process is blamed on no worker.
const TICKS: u32 = 4;

/// What the last look saw.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Of workers with something to do: how often they had come to fetch, and the looks since.
    seen: FxHashMap<WorkerId, (u64, u32)>,
}

impl Watch {
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

/// Watches the workers of a broker until that is gone.
pub(crate) async fn run(broker: Weak<Inner>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(broker) = broker.upgrade() else { return };
        let workers = broker.dispatch.workers();
        broker.watch.lock().look(&workers);
        for worker in workers.iter().filter(|worker| worker.is_stuck()) {
            ask_others(&broker, worker);
        }
    }
}

/// Open events that a stuck worker has not fetched go to others, if there are any. Nothing of their sockets has been handed over before, and nothing comes
/// behind them without a verdict, so no order is lost.
pub(crate) fn ask_others(broker: &Inner, worker: &Arc<WorkerEntry>) {
    if !broker.dispatch.has_free(worker.realm_id()) {
        return;
    }
    let mut per_shard: Vec<Vec<Event>> = (0..broker.shard_count()).map(|_| Vec::new()).collect();
    for event in worker.sink.take_opens() {
        if let Some(events) = per_shard.get_mut(event.socket.shard()) {
            events.push(event);
        }
    }
    for (index, events) in per_shard.into_iter().enumerate().filter(|(_, events)| !events.is_empty()) {
        broker.shard(index).push(Command::AskAnother(Arc::clone(worker), events));
    }
}
