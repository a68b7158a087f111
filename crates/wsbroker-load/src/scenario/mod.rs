//! The scenarios: each sets up an engine, runs it, and makes the report.

mod across;
mod connect;
mod echo;
mod fanout;
mod flood;
mod hold;
mod load;
mod schedule;

use std::io;
use std::time::{Duration, Instant};

use crate::cli::{Options, ScenarioName};
use crate::content::Content;
use crate::frame::MessageKind;
use crate::histogram::Histogram;
use crate::json::Object;

/// Why a run was not possible.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Options(&'static str),
}

/// What a run found.
pub(crate) struct Report {
    /// Nothing was lost, duplicated or damaged, and no connection was refused or lost unless that
    /// is part of the scenario.
    pub(crate) verified: bool,
    pub(crate) json: String,
}

/// Runs the scenario that the options name.
///
/// # Errors
/// The options contradict each other, or the system refused a poll or a pipe. What the server does
/// wrong is not an error but part of the report.
pub(crate) fn run(options: &Options) -> Result<Report, RunError> {
    match options.name {
        ScenarioName::Echo => load::run(echo::Echo::new(options), options),
        ScenarioName::Publish | ScenarioName::Rooms | ScenarioName::Across if options.kind == MessageKind::Binary => {
            Err(RunError::Options("--binary: only text messages can be published, leave it out"))
        }
        ScenarioName::Publish => load::run(fanout::Fanout::publish(options), options),
        ScenarioName::Rooms => load::run(fanout::Fanout::rooms(options), options),
        ScenarioName::Across => load::run(across::Across::new(options), options),
        ScenarioName::Idle | ScenarioName::Slow => hold::run(options),
        ScenarioName::Flood => flood::run(options),
        ScenarioName::Connect => connect::run(options),
    }
}

/// How much a phase may still send: a number of messages, a time, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    messages: u64,
    until: Option<Instant>,
    spent: bool,
}

impl Budget {
    /// `default` messages when neither is given.
    pub(crate) fn new(messages: Option<u64>, time: Option<Duration>, default: u64) -> Self {
        let messages = messages.unwrap_or(if time.is_some() { u64::MAX } else { default });
        Self { messages, until: time.map(|time| Instant::now() + time), spent: false }
    }

    /// Takes one message, unless the budget is spent. Once spent, always spent.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.spent |= self.messages == 0 || self.until.is_some_and(|until| now >= until);
        self.messages -= u64::from(!self.spent);
        !self.spent
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }
}

/// The payloads that the options of a run ask for.
fn content_of(options: &Options) -> Content {
    Content::new(options.kind, options.size, options.json)
}

/// The fields every report begins with.
fn describe(options: &Options) -> Object {
    Object::new()
        .text("scenario", options.name.as_str())
        .text("url", &options.target.url)
        .count("size", options.size as u64)
        .flag("binary", options.kind == MessageKind::Binary)
        .flag("json", options.json)
}

/// Adds the distribution in microseconds under `name`.
fn add_latency(report: Object, name: &str, latency: &Histogram) -> Object {
    if latency.is_empty() {
        return report;
    }
    let micros = |nanos: u64| nanos as f64 / 1_000.0;
    let distribution = Object::new()
        .number("mean", latency.mean() / 1_000.0)
        .number("p50", micros(latency.percentile(0.5)))
        .number("p90", micros(latency.percentile(0.9)))
        .number("p99", micros(latency.percentile(0.99)))
        .number("max", micros(latency.max()));
    report.object(name, distribution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_by_count_or_by_time() {
        let now = Instant::now();
        let mut count = Budget::new(Some(2), None, 9);
        assert_eq!([count.take(now), count.take(now), count.take(now), count.take(now)], [true, true, false, false]);
        assert!(count.is_spent());
        let mut time = Budget::new(None, Some(Duration::from_secs(1)), 0);
        assert!(time.take(now));
        assert!(!time.take(now + Duration::from_secs(2)));
        assert!(!time.take(now));
    }
}
