//! Scenarios with a measured phase: open, prepare, warm up, measure, close.
//!
//! Phases begin and end with nothing under way, so that what is measured is exactly what was sent
//! in the phase.

use std::time::Instant;

use super::{Budget, Report, RunError, add_latency, describe};
use crate::cli::{Options, ScenarioName};
use crate::cpu::{Measured, Meter};
use crate::engine::{Engine, Io, Limit, Scenario};
use crate::histogram::Histogram;
use crate::json::Object;

/// Messages of a measured phase when neither a number nor a time is given.
const DEFAULT_MESSAGES: u64 = 200_000;

/// A scenario that can be measured.
pub(super) trait Load: Scenario {
    /// How many connections it needs.
    fn slots(&self) -> usize;
    /// Called when all are open.
    fn prepare(&mut self, _io: &mut Io) {}
    fn is_prepared(&self) -> bool {
        true
    }
    /// Begins a phase. It forgets earlier figures, but not the order of messages.
    fn begin(&mut self, io: &mut Io, budget: Budget);
    /// Whether the budget is spent and nothing is under way.
    fn is_settled(&self) -> bool;
    /// Messages that should still arrive.
    fn under_way(&self) -> u64;
    fn figures(&self) -> &Figures;
    /// The latencies of publishes that did not cross, if the scenario keeps them apart.
    fn local(&self) -> Option<&Histogram> {
        None
    }
    /// An engine whose connections go to the right servers.
    fn engine(&self, options: &Options) -> Result<Engine, RunError> {
        Ok(Engine::new(&options.target, self.slots())?)
    }
}

/// What a phase counts.
pub(super) struct Figures {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) latency: Histogram,
    /// How much later than they were due messages of a schedule were sent.
    pub(super) late: Histogram,
}

impl Figures {
    pub(super) fn new() -> Self {
        Self { sent: 0, received: 0, latency: Histogram::new(), late: Histogram::new() }
    }
}

pub(super) fn run<L: Load>(mut load: L, options: &Options) -> Result<Report, RunError> {
    let mut engine = load.engine(options)?;
    let measured = drive(&mut engine, &mut load, options)?;
    let verified = measured.is_some() && engine.io.tally.all_verified();
    let json = report(&engine.io, &load, options, measured.unwrap_or_default()).flag("verified", verified).finish();
    Ok(Report { verified, json })
}

/// Runs all phases. `None` if one did not complete; the tally then says why.
fn drive<L: Load>(engine: &mut Engine, load: &mut L, options: &Options) -> Result<Option<Measured>, RunError> {
    let opened = engine.open_all(load, options.window, options.stall)?;
    if !opened || engine.io.tally.refused > 0 {
        engine.io.tally.note("not all connections could be opened".to_owned());
        return Ok(None);
    }
    load.prepare(&mut engine.io);
    let prepared = engine.run(load, Limit::Stall(options.stall), |load, io| load.is_prepared() || io.tally.lost > 0)?;
    if !prepared || !load.is_prepared() {
        engine.io.tally.note("not all connections could be prepared".to_owned());
        return Ok(None);
    }
    if options.warmup.is_some() || options.warmup_seconds.is_some() {
        let budget = Budget::new(options.warmup, options.warmup_seconds, 0);
        if !phase(engine, load, options, budget)? {
            return Ok(None);
        }
    }
    engine.io.bytes_sent = 0;
    engine.io.bytes_received = 0;
    let meter = Meter::start(&options.pids, options.redis.as_deref());
    let settled = phase(engine, load, options, Budget::new(options.messages, options.seconds, DEFAULT_MESSAGES))?;
    let measured = meter.stop(&mut engine.io.tally);
    let closed = engine.close_all(load, options.stall)?;
    if !closed {
        engine.io.tally.note("not all close frames were answered".to_owned());
    }
    Ok((settled && closed).then_some(measured))
}

/// Runs one phase until it has settled. What is under way when it gives up, because a connection
/// was lost or nothing moved any more, counts as missing.
fn phase<L: Load>(engine: &mut Engine, load: &mut L, options: &Options, budget: Budget) -> Result<bool, RunError> {
    engine.io.now = Instant::now();
    load.begin(&mut engine.io, budget);
    engine.run(load, Limit::Stall(options.stall), |load, io| {
        load.is_settled() || io.tally.lost > 0 || io.tally.protocol > 0
    })?;
    if !load.is_settled() {
        engine.io.tally.missing += load.under_way();
        engine.io.tally.note(format!("gave up with {} messages under way", load.under_way()));
    }
    Ok(load.is_settled())
}

fn report<L: Load>(io: &Io, load: &L, options: &Options, measured: Measured) -> Object {
    let figures = load.figures();
    let mut report = describe(options).count("connections", load.slots() as u64).count("depth", options.depth as u64);
    report = match options.name {
        ScenarioName::Publish => report.count("publishers", options.publishers as u64),
        ScenarioName::Rooms | ScenarioName::Across => {
            report.count("rooms", options.rooms as u64).count("members", options.members as u64)
        }
        _ => report,
    };
    report = report
        .count("sent", figures.sent)
        .count("received", figures.received)
        .number("seconds", measured.seconds)
        .number("receivedPerSecond", figures.received as f64 / measured.seconds)
        .count("bytesSent", io.bytes_sent)
        .count("bytesReceived", io.bytes_received);
    if let Some(rate) = options.rate {
        report = report.number("rate", rate);
    }
    report = add_latency(report, "latencyMicros", &figures.latency);
    report = add_latency(report, "lateMicros", &figures.late);
    if let Some(local) = load.local() {
        report = add_latency(report, "localLatencyMicros", local);
    }
    io.tally.report(measured.report(report, figures.received))
}
