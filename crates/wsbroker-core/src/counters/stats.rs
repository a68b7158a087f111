//! What a broker tells of itself.

use std::time::Duration;

use super::{
    histogram::{AGES, DURATIONS, HistogramStats, SUBSCRIBERS},
    metrics::{CloseCause, DropCause, HandlerKind, HttpFailureCause, RejectCause},
    tally::Flow,
};
use crate::ids::WorkerId;

/// A broker's counts and fill levels at a moment. Totals count from its start and never go back;
/// those of the shards are at most a turn of their loop old.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Connections between their 101 and their end.
    pub connections: usize,
    /// Channels that have subscribers.
    pub channels: usize,
    /// Subscribers of all channels together.
    pub subscriptions: usize,
    /// Connections between accept and verdict.
    pub pending_upgrades: usize,
    /// Connections that the system handed to us.
    pub accepted: u64,
    /// Times that it could not, usually for lack of file descriptors. The connection waits, and
    /// accepting is tried again after 50 ms to 1 s.
    pub accept_failures: u64,
    /// Connections that got their 101.
    pub opened: u64,
    /// Of the opened, the ones that have ended.
    pub closed: u64,
    /// What went through all shards.
    pub traffic: Traffic,
    /// Connections that were turned away.
    pub rejected: CauseCounts<RejectCause>,
    /// Why connections ended: one cause for each of `closed`, [`CloseCause::CloseTimeout`] on top
    /// of it, and [`CloseCause::BeforeOpen`] for those that were let in and never opened, which
    /// count among the rejected too.
    pub closes: CauseCounts<CloseCause>,
    /// Messages that were dropped.
    pub dropped: CauseCounts<DropCause>,
    /// Bytes that count towards `max_send_memory`: in outboxes, command queues, and answers to
    /// connections that are not let in.
    pub send_memory: usize,
    /// Bytes that count towards `max_receive_memory`.
    pub receive_memory: usize,
    /// [`Config::max_send_memory`](crate::Config::max_send_memory).
    pub max_send_memory: usize,
    /// [`Config::max_receive_memory`](crate::Config::max_receive_memory).
    pub max_receive_memory: usize,
    /// Bytes in the command queues of all shards.
    pub command_bytes: usize,
    /// Plain requests that were answered or forwarded.
    pub http: HttpStats,
    /// What channels keep, and what became of it.
    pub history: HistoryStats,
    /// The workers there are.
    pub workers: Vec<WorkerStats>,
    /// The shards.
    pub shards: Vec<ShardStats>,
    /// Durations and sizes.
    pub histograms: Histograms,
    /// Since when the broker counts.
    pub uptime: Duration,
}

/// What is counted by buckets, in [`Stats`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Histograms {
    /// How long handlers took, their promises included, in nanoseconds: of the calls that
    /// [`Cork::handler_ran`](crate::Cork::handler_ran) was told of.
    pub handlers: Vec<(HandlerKind, HistogramStats)>,
    /// From when a shard found a socket readable to the call of the handlers, in nanoseconds: of
    /// the events that [`Cork::dispatched`](crate::Cork::dispatched) was told of.
    pub dispatch_delay: HistogramStats,
    /// From a ping of ours to its pong, in nanoseconds.
    pub ping_round_trip: HistogramStats,
    /// From the 101 to the end of a connection, in nanoseconds, exact to 50 ms.
    pub connection_age: HistogramStats,
    /// The subscribers here of each message that was published, at the call.
    pub fanout: HistogramStats,
}

impl Default for Histograms {
    fn default() -> Self {
        let durations = || HistogramStats::new(DURATIONS);
        Self {
            handlers: HandlerKind::ALL.iter().map(|kind| (*kind, durations())).collect(),
            dispatch_delay: durations(),
            ping_round_trip: durations(),
            connection_age: HistogramStats::new(AGES),
            fanout: HistogramStats::new(SUBSCRIBERS),
        }
    }
}

impl Default for Stats {
    /// Those of a process without a broker: all zero.
    fn default() -> Self {
        Self {
            connections: 0,
            channels: 0,
            subscriptions: 0,
            pending_upgrades: 0,
            accepted: 0,
            accept_failures: 0,
            opened: 0,
            closed: 0,
            traffic: Traffic::default(),
            rejected: CauseCounts::new(RejectCause::ALL),
            closes: CauseCounts::new(CloseCause::ALL),
            dropped: CauseCounts::new(DropCause::ALL),
            send_memory: 0,
            receive_memory: 0,
            max_send_memory: 0,
            max_receive_memory: 0,
            command_bytes: 0,
            http: HttpStats::default(),
            history: HistoryStats::default(),
            workers: Vec::new(),
            shards: Vec::new(),
            histograms: Histograms::default(),
            uptime: Duration::ZERO,
        }
    }
}

impl Default for HttpStats {
    fn default() -> Self {
        let failed = CauseCounts::new(HttpFailureCause::ALL);
        Self { answered: 0, forwarded: 0, failed, bytes_in: 0, bytes_out: 0 }
    }
}

/// Messages and bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages that came, whether or not a handler wanted them.
    pub messages_in: u64,
    /// Messages that were queued for a socket; a publish counts once for each.
    pub messages_out: u64,
    /// Their payloads.
    pub bytes_in: u64,
    /// Their payloads.
    pub bytes_out: u64,
    /// Bytes read after the request: frames whole, headers and control frames included, as they
    /// were before encryption.
    pub wire_in: u64,
    /// Bytes written, the 101 included, as they were before encryption.
    pub wire_out: u64,
    /// How often a message was compressed; a publish once for each window size that its subscribers
    /// have, however many they are.
    pub compressions: u64,
}

/// What channels keep, in [`Stats`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HistoryStats {
    /// Channels of which at least the position is known.
    pub channels: usize,
    /// Messages that are kept.
    pub messages: usize,
    /// Bytes that count towards `max_history_memory`.
    pub bytes: usize,
    /// How often a channel lost its messages, or its position, to `max_history_memory`.
    pub evictions: u64,
    /// Recoveries of which nothing was missing.
    pub recovered: u64,
    /// Recoveries that failed.
    pub not_recovered: u64,
    /// Messages that recoveries replayed.
    pub replayed: u64,
    /// How often a subscriber lost messages: they were gone before it had read them.
    pub lost: u64,
    /// Publishes whose id was known.
    pub duplicates: u64,
    /// Ids that were forgotten before their time, for lack of room.
    pub ids_dropped: u64,
}

/// Plain requests, in [`Stats`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpStats {
    /// Fixed answers.
    pub answered: u64,
    /// Requests that were forwarded and got their whole response, tunnels included.
    pub forwarded: u64,
    /// Forwarded requests that did not come to their end.
    pub failed: CauseCounts<HttpFailureCause>,
    /// Bytes of their bodies.
    pub bytes_in: u64,
    /// Bytes of their responses, heads included.
    pub bytes_out: u64,
}

/// A worker's share of the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its id.
    pub id: WorkerId,
    /// Connections that belong to it, those that wait for its verdict included.
    pub connections: usize,
    /// Bytes of messages whose handlers have not settled, 128 counted on top of each; at most
    /// `worker_bytes` and one message of each socket.
    pub in_flight_bytes: usize,
    /// Events of any kind that have not settled.
    pub in_flight: u64,
    /// Events that have settled.
    pub handled: u64,
    /// Of the events in flight, those that it has not fetched.
    pub waiting: usize,
    /// Something has waited for it for a second.
    pub is_stuck: bool,
}

/// A shard's share of the work.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShardStats {
    /// Its connections between 101 and end.
    pub connections: usize,
    /// What went through it.
    pub traffic: Traffic,
    /// Bytes in its outboxes.
    pub outbox_bytes: usize,
    /// Bytes that unfinished messages hold.
    pub receive_bytes: usize,
    /// Commands that wait for it.
    pub commands: usize,
    /// What they hold.
    pub command_bytes: usize,
    /// How long the turns of its loop took, waiting not included, in nanoseconds.
    pub turns: HistogramStats,
}

/// A number for each cause.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CauseCounts<C: 'static> {
    causes: &'static [C],
    counts: Vec<u64>,
}

impl<C: Copy + Into<usize>> CauseCounts<C> {
    pub(crate) fn new(causes: &'static [C]) -> Self {
        Self { causes, counts: vec![0; causes.len()] }
    }

    pub(crate) fn add(&mut self, counts: &[u64]) {
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count;
        }
    }

    /// How often this was the cause.
    #[must_use]
    pub fn of(&self, cause: C) -> u64 {
        self.counts.get(cause.into()).copied().unwrap_or(0)
    }

    /// Every cause with its number, also those that did not occur.
    pub fn iter(&self) -> impl Iterator<Item = (C, u64)> + '_ {
        self.causes.iter().copied().zip(self.counts.iter().copied())
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl From<Flow> for Traffic {
    fn from(flow: Flow) -> Self {
        Self {
            messages_in: flow.messages_in,
            messages_out: flow.messages_out,
            bytes_in: flow.bytes_in,
            bytes_out: flow.bytes_out,
            wire_in: flow.wire_in,
            wire_out: flow.wire_out,
            compressions: flow.compressions,
        }
    }
}

impl Traffic {
    pub(crate) fn add(&mut self, other: Self) {
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.wire_in += other.wire_in;
        self.wire_out += other.wire_out;
        self.compressions += other.compressions;
    }
}
