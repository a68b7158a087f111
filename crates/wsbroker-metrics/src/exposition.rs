//! Which families there are, what each is called and where its numbers come from.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};
use wsbroker_core::{BusState, BusStats, Scrape, SlowSocket, SlowSummary, Stats, WorkerId, WorkerStats};

use crate::{
    families::{Families, Labelled, bytes, family, seconds},
    format::Format,
    histograms::Scale,
    process_numbers::ProcessNumbers,
};

/// What a scrape writes down.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Of the broker; the default without one.
    pub stats: Stats,
    /// Of its bus, if it has one.
    pub bus: Option<BusStats>,
    /// The sockets that do not take what they are sent.
    pub slow: SlowSummary,
    /// The number by which users know the thread of each worker. Workers of one thread are taken
    /// together, and those that are not in it are left out.
    pub threads: Vec<(WorkerId, i32)>,
    /// Of the process.
    pub process: ProcessNumbers,
    /// The version of the package.
    pub version: &'static str,
}

/// Writes everything down. Each series exists from the start, at zero, but those of workers, of I/O
/// threads and of what the operating system does not tell.
#[must_use]
pub fn render(numbers: Numbers, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(numbers));
    let mut out = String::with_capacity(32 << 10);
    let written = match format {
        Format::Prometheus => prometheus_text::encode(&mut out, &registry),
        Format::OpenMetrics => text::encode(&mut out, &registry),
    };
    // Writing to a string cannot fail.
    debug_assert!(written.is_ok());
    out
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.process(&mut families)?;
        self.connections(&mut families)?;
        self.messages(&mut families)?;
        self.memory(&mut families)?;
        self.slow_sockets(&mut families)?;
        self.latency(&mut families)?;
        self.workers(&mut families)?;
        self.io_threads(&mut families)?;
        self.history(&mut families)?;
        self.http(&mut families)?;
        self.bus(&mut families)
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// A number for each direction.
fn both_ways(received: u64, sent: u64) -> Labelled<u64> {
    Labelled::new("direction", [("in", received), ("out", sent)])
}

impl Numbers {
    fn process(&self, out: &mut Families<'_>) -> fmt::Result {
        let Self { process, version, stats, .. } = self;
        out.info("wsbroker_build", "The version of wsbroker.", ("version", version))?;
        out.gauge(
            seconds("wsbroker_uptime", "Time since the first start of this broker; 0 without one."),
            stats.uptime.as_secs_f64(),
        )?;
        out.gauge(
            seconds("process_start_time", "Start time of the process since unix epoch in seconds."),
            process.start_time,
        )?;
        if let Some(cpu) = process.cpu_seconds {
            out.counter_of_seconds(seconds("process_cpu", "Total user and system CPU time spent in seconds."), cpu)?;
        }
        for (family, value) in [
            (bytes("process_resident_memory", "Resident memory size in bytes."), process.resident_memory),
            (bytes("process_virtual_memory", "Virtual memory size in bytes."), process.virtual_memory),
            (family("process_open_fds", "Number of open file descriptors."), process.open_fds),
            (family("process_max_fds", "Maximum number of open file descriptors."), process.max_fds),
        ] {
            if let Some(value) = value {
                out.gauge(family, value as f64)?;
            }
        }
        Ok(())
    }

    fn connections(&self, out: &mut Families<'_>) -> fmt::Result {
        let stats = &self.stats;
        out.gauge(family("wsbroker_connections", "Open WebSocket connections."), stats.connections as f64)?;
        out.gauge(
            family("wsbroker_pending_upgrades", "Connections between accept and the verdict of handleOpen."),
            stats.pending_upgrades as f64,
        )?;
        for (family, value) in [
            (family("wsbroker_connections_accepted", "Connections that the system has handed over."), stats.accepted),
            (family("wsbroker_connections_opened", "Connections that became WebSockets."), stats.opened),
            (family("wsbroker_connections_closed", "WebSockets that have ended."), stats.closed),
            (
                family("wsbroker_accept_failures", "Times that the system could not hand a connection over."),
                stats.accept_failures,
            ),
        ] {
            out.counter(family, value)?;
        }
        out.counters(
            family("wsbroker_rejects", "Connections that were refused before they became WebSockets, by cause."),
            Labelled::new("cause", stats.rejected.iter().map(|(cause, count)| (cause.name(), count))),
        )?;
        out.counters(
            family("wsbroker_closes", "Why connections ended. closeTimeout counts on top of another cause."),
            Labelled::new("cause", stats.closes.iter().map(|(cause, count)| (cause.name(), count))),
        )?;
        out.histogram(
            seconds("wsbroker_connection_age", "How old connections were when they ended."),
            Scale::Seconds,
            &stats.histograms.connection_age,
        )
    }

    fn messages(&self, out: &mut Families<'_>) -> fmt::Result {
        let Stats { traffic, channels, subscriptions, dropped, histograms, .. } = &self.stats;
        out.counters(
            family("wsbroker_messages", "Messages received, and queued to be sent; a publish counts per subscriber."),
            both_ways(traffic.messages_in, traffic.messages_out),
        )?;
        out.counters(
            bytes("wsbroker_message", "Payload bytes of messages, uncompressed."),
            both_ways(traffic.bytes_in, traffic.bytes_out),
        )?;
        out.counters(
            bytes("wsbroker_wire", "Bytes read and written behind the upgrade, without the encryption of TLS."),
            both_ways(traffic.wire_in, traffic.wire_out),
        )?;
        out.counter(family("wsbroker_compressions", "Times that a message was compressed."), traffic.compressions)?;
        out.counters(
            family("wsbroker_drops", "Messages that were dropped on their way to sockets, by cause."),
            Labelled::new("cause", dropped.iter().map(|(cause, count)| (cause.name(), count))),
        )?;
        out.gauge(family("wsbroker_channels", "Channels that have subscribers."), *channels as f64)?;
        out.gauge(family("wsbroker_subscriptions", "Subscriptions of all sockets together."), *subscriptions as f64)?;
        out.histogram(
            family(
                "wsbroker_fanout_subscribers",
                "Subscribers on this instance of each message published to a channel, and connections of each sendToAll.",
            ),
            Scale::Count,
            &histograms.fanout,
        )
    }

    fn memory(&self, out: &mut Families<'_>) -> fmt::Result {
        let stats = &self.stats;
        for (family, value) in [
            (bytes("wsbroker_send_queue", "Bytes that wait to be sent."), stats.send_memory),
            (bytes("wsbroker_send_queue_limit", "What maxSendMemory allows; 0 before start."), stats.max_send_memory),
            (bytes("wsbroker_receive_buffer", "Bytes that unfinished messages hold."), stats.receive_memory),
            (
                bytes("wsbroker_receive_buffer_limit", "What maxReceiveMemory allows; 0 before start."),
                stats.max_receive_memory,
            ),
            (bytes("wsbroker_command_queue", "Bytes of commands that wait for an I/O thread."), stats.command_bytes),
        ] {
            out.gauge(family, value as f64)?;
        }
        Ok(())
    }

    /// The worst by rank, which no client can choose: rank 1 is now one socket and now another.
    fn slow_sockets(&self, out: &mut Families<'_>) -> fmt::Result {
        let SlowSummary { count, worst } = &self.slow;
        out.gauge(
            family("wsbroker_slow_sockets", "Connections to which the system takes no more, as they do not read."),
            *count as f64,
        )?;
        let ranks = |of: fn(&SlowSocket) -> f64| {
            Labelled::new("rank", (0..Scrape::SLOWEST).map(|index| (index + 1, worst.get(index).map_or(0.0, of))))
        };
        out.gauges(
            family(
                "wsbroker_slow_socket_id",
                "The socketId of the slow socket that has most bytes waiting (rank 1), the second most and so on; 0 \
                 without one.",
            ),
            ranks(|slow| slow.id.get() as f64),
        )?;
        out.gauges(
            bytes("wsbroker_slow_socket_send_queue", "Bytes that wait for the socket of this rank."),
            ranks(|slow| slow.buffered as f64),
        )?;
        out.gauges(
            seconds("wsbroker_slow_socket_duration", "For how long something has waited for the socket of this rank."),
            // A clock that was set back says that it was just now.
            ranks(|slow| slow.since.elapsed().unwrap_or_default().as_secs_f64()),
        )?;
        out.gauges(
            family(
                "wsbroker_slow_socket_dropped_messages",
                "Messages that the socket of this rank has not got since then, as it was too slow.",
            ),
            ranks(|slow| slow.dropped as f64),
        )
    }

    fn latency(&self, out: &mut Families<'_>) -> fmt::Result {
        let histograms = &self.stats.histograms;
        out.histograms(
            seconds(
                "wsbroker_handler_duration",
                "From the call of a handler until it has settled, its promise included. Of message handlers one \
                 call in 64 is measured, of the others each.",
            ),
            Scale::Seconds,
            Labelled::new("handler", histograms.handlers.iter().map(|(kind, stats)| (kind.name(), stats))),
        )?;
        out.histogram(
            seconds(
                "wsbroker_dispatch_delay",
                "From when an I/O thread found a socket readable to the call into JavaScript that runs the handler.",
            ),
            Scale::Seconds,
            &histograms.dispatch_delay,
        )?;
        out.histogram(
            seconds("wsbroker_ping_round_trip", "From a ping to its pong."),
            Scale::Seconds,
            &histograms.ping_round_trip,
        )
    }

    /// The workers by thread.
    fn threads(&self) -> BTreeMap<i32, Vec<&WorkerStats>> {
        let mut threads: BTreeMap<i32, Vec<&WorkerStats>> = BTreeMap::new();
        for worker in &self.stats.workers {
            if let Some((_, thread)) = self.threads.iter().find(|(id, _)| *id == worker.id) {
                threads.entry(*thread).or_default().push(worker);
            }
        }
        threads
    }

    fn workers(&self, out: &mut Families<'_>) -> fmt::Result {
        let threads = self.threads();
        let sums = |of: fn(&WorkerStats) -> u64| {
            let sums = threads.iter().map(|(thread, workers)| (thread, workers.iter().map(|one| of(one)).sum::<u64>()));
            Labelled::new("worker", sums)
        };
        let gauges = |of: fn(&WorkerStats) -> u64| {
            let Labelled { label, values } = sums(of);
            Labelled { label, values: values.into_iter().map(|(name, sum)| (name, sum as f64)).collect() }
        };
        out.gauge(family("wsbroker_workers", "Threads that run handlers."), threads.len() as f64)?;
        out.gauges(
            family("wsbroker_worker_connections", "Connections of a worker, by its threadId."),
            gauges(|worker| worker.connections as u64),
        )?;
        out.gauges(
            family("wsbroker_worker_queue", "Events that wait until the worker fetches them."),
            gauges(|worker| worker.waiting as u64),
        )?;
        out.gauges(
            family("wsbroker_worker_in_flight", "Events that a worker was given and that have not settled."),
            gauges(|worker| worker.in_flight),
        )?;
        out.gauges(
            bytes("wsbroker_worker_in_flight", "Bytes of their messages, 128 counted on top of each."),
            gauges(|worker| worker.in_flight_bytes as u64),
        )?;
        out.gauges(
            family("wsbroker_worker_stuck", "1 while something has waited for the worker for a second."),
            Labelled::new(
                "worker",
                threads.iter().map(|(thread, workers)| (thread, flag(workers.iter().any(|worker| worker.is_stuck)))),
            ),
        )?;
        out.counters(
            family("wsbroker_worker_handled", "Events whose handlers have settled."),
            sums(|worker| worker.handled),
        )
    }

    fn io_threads(&self, out: &mut Families<'_>) -> fmt::Result {
        let shards = || self.stats.shards.iter().enumerate();
        out.gauges(
            family("wsbroker_io_thread_connections", "Connections of an I/O thread."),
            Labelled::new("thread", shards().map(|(index, shard)| (index, shard.connections as f64))),
        )?;
        out.gauges(
            bytes("wsbroker_io_thread_send_queue", "Bytes that wait to be sent."),
            Labelled::new("thread", shards().map(|(index, shard)| (index, shard.outbox_bytes as f64))),
        )?;
        out.gauges(
            family("wsbroker_io_thread_commands", "Commands that wait for the I/O thread."),
            Labelled::new("thread", shards().map(|(index, shard)| (index, shard.commands as f64))),
        )?;
        out.histograms(
            seconds(
                "wsbroker_io_thread_turn_duration",
                "How long the turns of an I/O thread's loop took, without the waiting between them.",
            ),
            Scale::Seconds,
            Labelled::new("thread", shards().map(|(index, shard)| (index, &shard.turns))),
        )
    }

    fn history(&self, out: &mut Families<'_>) -> fmt::Result {
        let history = &self.stats.history;
        for (family, value) in [
            (family("wsbroker_history_channels", "Channels with history whose position is known."), history.channels),
            (family("wsbroker_history_messages", "Messages that channels keep."), history.messages),
            (bytes("wsbroker_history", "Bytes that count towards maxHistoryMemory."), history.bytes),
        ] {
            out.gauge(family, value as f64)?;
        }
        out.counters(
            family("wsbroker_history_recoveries", "Calls of recover, by outcome."),
            Labelled::new("outcome", [("recovered", history.recovered), ("notRecovered", history.not_recovered)]),
        )?;
        for (family, value) in [
            (family("wsbroker_history_replayed_messages", "Messages that recover sent again."), history.replayed),
            (
                family("wsbroker_history_losses", "Times that a subscriber lost messages of a channel with history."),
                history.lost,
            ),
            (
                family("wsbroker_history_evictions", "Times that a channel lost what it kept to maxHistoryMemory."),
                history.evictions,
            ),
            (
                family("wsbroker_history_duplicates", "Publishes whose id was known, so that they were dropped."),
                history.duplicates,
            ),
            (family("wsbroker_history_ids_dropped", "Ids that were forgotten before their time."), history.ids_dropped),
        ] {
            out.counter(family, value)?;
        }
        Ok(())
    }

    fn http(&self, out: &mut Families<'_>) -> fmt::Result {
        let http = &self.stats.http;
        let done = [("answered", http.answered), ("forwarded", http.forwarded)];
        let failed = http.failed.iter().map(|(cause, count)| (cause.name(), count));
        out.counters(
            family("wsbroker_http_requests", "Plain requests that were answered or forwarded, by outcome."),
            Labelled::new("outcome", done.into_iter().chain(failed)),
        )?;
        out.counters(
            bytes("wsbroker_http", "Bytes of forwarded requests' bodies, and of their responses."),
            both_ways(http.bytes_in, http.bytes_out),
        )
    }

    fn bus(&self, out: &mut Families<'_>) -> fmt::Result {
        let none = BusStats::default();
        let bus = self.bus.as_ref().unwrap_or(&none);
        let joined = self.bus.is_some();
        for (family, value) in [
            (family("wsbroker_bus_joined", "1 if this process has joined other instances."), flag(joined)),
            (
                family("wsbroker_bus_lost", "1 while the connection to other instances is lost."),
                flag(joined && bus.state == BusState::Lost),
            ),
            (family("wsbroker_bus_instances", "Other instances that were heard lately."), bus.instances as f64),
            (
                family("wsbroker_bus_deaf_instances", "Instances that are heard but do not hear this one."),
                bus.deaf as f64,
            ),
            (family("wsbroker_bus_channels", "Channels that are listened to."), bus.channels as f64),
            (bytes("wsbroker_bus_queue", "Bytes that wait to be published."), bus.waiting as f64),
            (
                seconds("wsbroker_bus_lag", "How long Redis took to answer the last ping, behind what was under way."),
                bus.lag.as_secs_f64(),
            ),
        ] {
            out.gauge(family, value)?;
        }
        out.counters(
            family("wsbroker_bus_messages", "Messages to and from other instances, by what became of them."),
            Labelled::new(
                "outcome",
                [
                    ("published", bus.published),
                    ("dropped", bus.dropped),
                    ("refused", bus.refused),
                    ("unanswered", bus.unanswered),
                    ("received", bus.received),
                    ("invalid", bus.invalid),
                    ("unnumbered", bus.unnumbered),
                ],
            ),
        )?;
        out.counter(
            family("wsbroker_bus_gaps", "Messages of other instances that are known to be missing."),
            bus.missed,
        )?;
        out.counter(family("wsbroker_bus_losses", "Times that the connection to other instances was lost."), bus.losses)
    }
}

#[cfg(test)]
mod tests;
