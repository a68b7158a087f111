//! The orderly end of a broker: connections are closed, and those that remain are cut.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use wsbroker_proto::CloseCode;

use super::BrokerState;
use crate::{
    counters::{CloseCause, Stats},
    dispatch::WorkerEntry,
    shard::Command,
};

/// What a shutdown did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShutdownReport {
    /// Connections that ended with a close handshake in time.
    pub closed: usize,
    /// Connections that had to be cut.
    pub terminated: usize,
}

/// The last part of a shutdown's time, an eighth within these bounds, is for the handlers of
/// connections that had to be cut.
const FOR_HANDLERS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

pub(super) async fn shut_down(inner: &Arc<BrokerState>, code: CloseCode, timeout: Duration) -> ShutdownReport {
    let for_handlers = (timeout / 8).clamp(FOR_HANDLERS.0, FOR_HANDLERS.1);
    let cut = Instant::now() + timeout.saturating_sub(for_handlers);
    let before = inner.sockets.open();
    let unanswered = || Stats::of(inner).closes.of(CloseCause::CloseTimeout);
    let unanswered_before = unanswered();
    inner.stop_admitting();
    inner.drain.begin(&Stats::of(inner));
    inner.push_all(|| Command::CloseAll(None, code));
    let mut terminated = 0;
    if timeout_at(cut, emptied(inner)).await.is_err() {
        terminated = inner.sockets.open();
        inner.drain.add_terminated(terminated);
        let hung = Hung::since_now(inner);
        inner.push_all(|| Command::TerminateOf(None));
        if timeout_at(cut + for_handlers / 2, emptied(inner)).await.is_err() {
            hung.give_up(inner);
            // Shards react at once. Handlers may not, and then are not waited for any longer.
            let _ = timeout_at(cut + for_handlers, emptied(inner)).await;
        }
    }
    // Cut as well, by the clock of their own closing.
    terminated = (terminated + unanswered().saturating_sub(unanswered_before) as usize).min(before);
    ShutdownReport { closed: before - terminated, terminated }
}

/// Resolves when no connection, request or handler is left.
pub(super) async fn emptied(inner: &BrokerState) {
    inner.front.emptied().await;
    inner.dispatch.idle().await;
}

/// Raw workers, with their number of fetches at some moment.
struct Hung(Vec<(Arc<WorkerEntry>, Option<u64>)>);

impl Hung {
    fn since_now(inner: &BrokerState) -> Self {
        let raw = inner.dispatch.workers().into_iter().filter(|worker| worker.namespace.is_none());
        Self(raw.map(|worker| (Arc::clone(&worker), worker.sink.backlog().fetches)).collect())
    }

    /// What they have not fetched, above all the ends of connections, goes to other workers, if
    /// there are any.
    fn give_up(self, inner: &BrokerState) {
        let raw = inner.dispatch.workers().into_iter().filter(|worker| worker.namespace.is_none()).count();
        let is_hung = |(worker, fetches): &(Arc<WorkerEntry>, Option<u64>)| {
            !worker.is_gone() && fetches.is_some() && worker.sink.backlog().fetches == *fetches
        };
        let hung: Vec<_> = self.0.into_iter().filter(is_hung).collect();
        if hung.len() < raw {
            for (worker, _) in hung {
                tracing::warn!(id = worker.id.get(), "a worker hangs; the shutdown no longer waits for it");
                worker.sink.give_up();
            }
        }
    }
}
