//! The object that `stats()` returns.

use wsbroker_core::{
    BusState, BusStats, CloseCause, DropCause, HistoryStats, HttpFailureCause, HttpStats, RejectCause, ShardStats,
    Stats, Traffic, WorkerStats,
};

use crate::{
    js::raw::{Env, Failed, Value},
    process,
    worker::thread_cork,
};

/// The counters of the broker. Without a broker all are 0.
pub(crate) fn value(env: Env<'_>) -> Result<Value<'_>, Failed> {
    let stats = thread_cork::with(|broker, _| broker.stats());
    let stats = stats.as_ref();
    let number = |of: fn(&Stats) -> usize| stats.map_or(0.0, |stats| of(stats) as f64);
    let total = |of: fn(&Stats) -> u64| stats.map_or(0.0, |stats| of(stats) as f64);
    let object = env.object()?;
    for (name, value) in [
        ("connections", number(|stats| stats.connections)),
        ("channels", number(|stats| stats.channels)),
        ("pendingUpgrades", number(|stats| stats.pending_upgrades)),
        ("accepted", total(|stats| stats.accepted)),
        ("acceptFailures", total(|stats| stats.accept_failures)),
        ("opened", total(|stats| stats.opened)),
        ("closed", total(|stats| stats.closed)),
    ] {
        env.set(object, name, env.double(value)?)?;
    }
    traffic(env, object, &stats.map(|stats| stats.traffic).unwrap_or_default())?;
    let rejected = RejectCause::ALL.iter().map(|cause| (cause.name(), stats.map_or(0, |all| all.rejected.of(*cause))));
    env.set(object, "rejected", counts(env, rejected)?)?;
    let closes = CloseCause::ALL.iter().map(|cause| (cause.name(), stats.map_or(0, |all| all.closes.of(*cause))));
    env.set(object, "closes", counts(env, closes)?)?;
    let dropped = DropCause::ALL.iter().map(|cause| (cause.name(), stats.map_or(0, |all| all.dropped.of(*cause))));
    env.set(object, "dropped", counts(env, dropped)?)?;
    env.set(object, "http", http(env, stats)?)?;
    env.set(object, "history", history(env, &stats.map(|stats| stats.history).unwrap_or_default())?)?;
    for (name, value) in [
        ("sendMemory", number(|stats| stats.send_memory)),
        ("receiveMemory", number(|stats| stats.receive_memory)),
        ("commandBytes", number(|stats| stats.command_bytes)),
    ] {
        env.set(object, name, env.double(value)?)?;
    }
    if let Some(bus) = thread_cork::with(|broker, _| broker.bus_stats()).flatten() {
        env.set(object, "bus", bus_value(env, &bus)?)?;
    }
    let threads = process::worker_threads();
    let workers = stats.map_or(&[][..], |stats| &stats.workers).iter().map(|one| {
        let thread = threads.iter().find(|(id, _)| *id == one.id).map(|(_, thread)| *thread);
        worker(env, one, thread)
    });
    env.set(object, "workers", env.array(workers)?)?;
    let shards = stats.map_or(&[][..], |stats| &stats.shards).iter().map(|one| shard(env, one));
    env.set(object, "shards", env.array(shards)?)?;
    Ok(object)
}

fn http<'s>(env: Env<'s>, stats: Option<&Stats>) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    let total = |of: fn(&HttpStats) -> u64| stats.map_or(0.0, |stats| of(&stats.http) as f64);
    env.set(object, "answered", env.double(total(|http| http.answered))?)?;
    env.set(object, "forwarded", env.double(total(|http| http.forwarded))?)?;
    let failed =
        HttpFailureCause::ALL.iter().map(|cause| (cause.name(), stats.map_or(0, |all| all.http.failed.of(*cause))));
    env.set(object, "failed", counts(env, failed)?)?;
    env.set(object, "bytesIn", env.double(total(|http| http.bytes_in))?)?;
    env.set(object, "bytesOut", env.double(total(|http| http.bytes_out))?)?;
    Ok(object)
}

fn history<'s>(env: Env<'s>, stats: &HistoryStats) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    for (name, value) in [
        ("channels", stats.channels as u64),
        ("messages", stats.messages as u64),
        ("bytes", stats.bytes as u64),
        ("evictions", stats.evictions),
        ("recovered", stats.recovered),
        ("notRecovered", stats.not_recovered),
        ("replayed", stats.replayed),
        ("lost", stats.lost),
        ("duplicates", stats.duplicates),
        ("idsDropped", stats.ids_dropped),
    ] {
        env.set(object, name, env.double(value as f64)?)?;
    }
    Ok(object)
}

fn bus_value<'s>(env: Env<'s>, bus: &BusStats) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    env.set(object, "state", env.text(if bus.state == BusState::Ready { "ready" } else { "lost" })?)?;
    if let Some(reason) = &bus.reason {
        env.set(object, "reason", env.text(reason)?)?;
    }
    for (name, value) in [
        ("instances", bus.instances as u64),
        ("deaf", bus.deaf as u64),
        ("channels", bus.channels as u64),
        ("published", bus.published),
        ("dropped", bus.dropped),
        ("refused", bus.refused),
        ("unanswered", bus.unanswered),
        ("received", bus.received),
        ("missed", bus.missed),
        ("invalid", bus.invalid),
        ("unnumbered", bus.unnumbered),
        ("losses", bus.losses),
        ("waiting", bus.waiting as u64),
    ] {
        env.set(object, name, env.double(value as f64)?)?;
    }
    Ok(object)
}

fn counts<'s>(env: Env<'s>, counts: impl Iterator<Item = (&'static str, u64)>) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    for (name, count) in counts {
        env.set(object, name, env.double(count as f64)?)?;
    }
    Ok(object)
}

fn traffic(env: Env<'_>, object: Value<'_>, traffic: &Traffic) -> Result<(), Failed> {
    for (name, value) in [
        ("messagesIn", traffic.messages_in),
        ("messagesOut", traffic.messages_out),
        ("bytesIn", traffic.bytes_in),
        ("bytesOut", traffic.bytes_out),
        ("wireBytesIn", traffic.wire_in),
        ("wireBytesOut", traffic.wire_out),
    ] {
        env.set(object, name, env.double(value as f64)?)?;
    }
    Ok(())
}

fn worker<'s>(env: Env<'s>, stats: &WorkerStats, thread: Option<i32>) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    // -1: it has left since the counters were read.
    env.set(object, "workerId", env.int(thread.unwrap_or(-1))?)?;
    env.set(object, "connections", env.count(stats.connections)?)?;
    env.set(object, "inFlight", env.double(stats.in_flight as f64)?)?;
    env.set(object, "inFlightBytes", env.count(stats.in_flight_bytes)?)?;
    env.set(object, "handled", env.double(stats.handled as f64)?)?;
    Ok(object)
}

fn shard<'s>(env: Env<'s>, stats: &ShardStats) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    env.set(object, "connections", env.count(stats.connections)?)?;
    traffic(env, object, &stats.traffic)?;
    env.set(object, "outboxBytes", env.count(stats.outbox_bytes)?)?;
    env.set(object, "receiveBytes", env.count(stats.receive_bytes)?)?;
    env.set(object, "commands", env.count(stats.commands)?)?;
    env.set(object, "commandBytes", env.count(stats.command_bytes)?)?;
    Ok(object)
}
