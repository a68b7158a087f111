//! Looks for stuck workers, and asks others in their place.

use std::sync::{Arc, Weak, atomic::Ordering};

use tokio::time::{MissedTickBehavior, interval};

use super::BrokerState;
use crate::{dispatch::WorkerEntry, event::Event, shard::Command};

/// Watches the workers of a broker until the broker is gone.
pub(crate) async fn run(broker: Weak<BrokerState>) {
    let Some(tick) = broker.upgrade().map(|broker| broker.stuck_workers.lock().tick()) else { return };
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(broker) = broker.upgrade() else { return };
        let workers = broker.dispatch.workers();
        broker.stuck_workers.lock().look(&workers, broker.watches_idle.load(Ordering::Relaxed));
        for worker in workers.iter().filter(|worker| worker.is_stuck()) {
            ask_others(&broker, worker);
        }
    }
}

/// Open events that a stuck worker has not fetched go to other workers, if there are any. They are
/// the first events of their sockets, and no other follows without a verdict, so no order is lost.
pub(crate) fn ask_others(broker: &BrokerState, worker: &Arc<WorkerEntry>) {
    if !broker.dispatch.has_free(Some(worker.namespace_id())) {
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
