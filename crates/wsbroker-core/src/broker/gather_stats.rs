//! Gathers the statistics of a broker from everything that counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::BrokerState;
use crate::{
    counters::{
        CauseCounts, CloseCause, DropCause, Flow, HandlerKind, Histograms, HistoryStats, HttpCounters,
        HttpFailureCause, HttpStats, Metrics, RejectCause, ShardStats, Stats, Traffic, WorkerStats,
    },
    dispatch::WorkerEntry,
    history::Histories,
    shard::ShardHandle,
};

impl Stats {
    pub(crate) fn of(broker: &BrokerState) -> Self {
        let metrics = &broker.metrics;
        let mut stats = Self {
            subscriptions: broker.channels.subscriptions(),
            uptime: metrics.begun.elapsed(),
            histograms: Histograms::of(metrics),
            connections: broker.sockets.open(),
            channels: broker.channels.len(),
            pending_upgrades: broker.front.pending_upgrades(),
            accepted: metrics.accepted.load(Ordering::Relaxed),
            accept_failures: metrics.accept_failures.load(Ordering::Relaxed),
            opened: 0,
            closed: 0,
            traffic: Traffic::default(),
            rejected: CauseCounts::new(RejectCause::ALL),
            closes: CauseCounts::new(CloseCause::ALL),
            dropped: CauseCounts::new(DropCause::ALL),
            send_memory: broker.memory.send(),
            receive_memory: broker.memory.receive(),
            max_send_memory: broker.config.max_send_memory,
            max_receive_memory: broker.config.max_receive_memory,
            command_bytes: 0,
            http: HttpStats::of(&metrics.http),
            history: HistoryStats::of(&broker.histories),
            workers: broker.dispatch.workers().iter().map(|worker| WorkerStats::of(worker)).collect(),
            shards: Vec::with_capacity(broker.shard_count()),
        };
        stats.rejected.add(&metrics.rejected.load());
        stats.dropped.add(&metrics.dropped.load());
        for shard in (0..broker.shard_count()).map(|index| broker.shard(index)) {
            let flow = shard.counters.flow();
            let own = ShardStats::of(shard, flow);
            stats.opened += flow.opened;
            stats.closed += flow.closed;
            stats.traffic.add(own.traffic);
            stats.command_bytes += own.command_bytes;
            stats.closes.add(&shard.counters.closes());
            stats.dropped.add(&shard.counters.dropped());
            stats.histograms.ping_round_trip.add(&shard.counters.round_trips.stats());
            stats.histograms.connection_age.add(&shard.counters.ages.stats());
            stats.shards.push(own);
        }
        stats
    }
}

impl Histograms {
    /// Without those that the shards count.
    fn of(metrics: &Metrics) -> Self {
        let handlers = HandlerKind::ALL.iter().zip(&metrics.handlers);
        Self {
            handlers: handlers.map(|(kind, histogram)| (*kind, histogram.stats())).collect(),
            dispatch_delay: metrics.dispatch_delay.stats(),
            fanout: metrics.fanout.stats(),
            ..Self::default()
        }
    }
}

impl HistoryStats {
    fn of(histories: &Histories) -> Self {
        let totals = &histories.totals;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            channels: histories.len(),
            messages: totals.messages.load(Ordering::Relaxed),
            bytes: totals.bytes.load(Ordering::Relaxed),
            evictions: count(&totals.evictions),
            recovered: count(&totals.recovered),
            not_recovered: count(&totals.not_recovered),
            replayed: count(&totals.replayed),
            lost: count(&totals.lost),
            duplicates: count(&totals.duplicates),
            ids_dropped: count(&totals.ids_dropped),
        }
    }
}

impl HttpStats {
    fn of(counters: &HttpCounters) -> Self {
        let mut failed = CauseCounts::new(HttpFailureCause::ALL);
        failed.add(&counters.failed.load());
        Self {
            answered: counters.answered.load(Ordering::Relaxed),
            forwarded: counters.forwarded.load(Ordering::Relaxed),
            failed,
            bytes_in: counters.bytes_in.load(Ordering::Relaxed),
            bytes_out: counters.bytes_out.load(Ordering::Relaxed),
        }
    }
}

impl WorkerStats {
    fn of(worker: &WorkerEntry) -> Self {
        let handled = worker.handled();
        Self {
            id: worker.id,
            connections: worker.connections(),
            in_flight_bytes: worker.in_flight(),
            in_flight: worker.delivered().saturating_sub(handled),
            handled,
            waiting: worker.sink.backlog().waiting,
            is_stuck: worker.is_stuck(),
        }
    }
}

impl ShardStats {
    fn of(shard: &ShardHandle, flow: Flow) -> Self {
        Self {
            // Read one by one while the shard goes on.
            connections: flow.opened.saturating_sub(flow.closed) as usize,
            traffic: flow.into(),
            outbox_bytes: shard.outbox_bytes(),
            receive_bytes: shard.receive_bytes(),
            commands: shard.commands(),
            command_bytes: shard.queued.load(),
            turns: shard.counters.turns.stats(),
        }
    }
}
