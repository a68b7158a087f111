//! Connections that come and go: handshakes per second.

use std::time::{Duration, Instant};

use super::{Budget, Report, RunError, add_latency, content_of, describe};
use crate::cli::Options;
use crate::connection::Ending;
use crate::content::Content;
use crate::cpu::Meter;
use crate::engine::{Engine, Io, Limit, Scenario};
use crate::frame::MessageKind;
use crate::histogram::Histogram;

const DEFAULT_HANDSHAKES: u64 = 1000;

struct Connect {
    content: Content,
    touch: bool,
    abrupt: bool,
    /// Slots to open a connection in.
    vacant: Vec<usize>,
    budget: Budget,
    begun: u64,
    finished: u64,
    handshake: Histogram,
}

impl Connect {
    fn finish(&mut self, io: &mut Io, connection: usize) {
        if self.abrupt {
            io.cut(connection);
            self.vacated(connection);
        } else {
            io.close(connection, 1000);
        }
    }

    fn vacated(&mut self, connection: usize) {
        self.finished += 1;
        self.vacant.push(connection);
    }
}

impl Scenario for Connect {
    fn opened(&mut self, io: &mut Io, connection: usize, took: Duration) {
        self.handshake.record(took);
        if self.touch {
            io.send(connection, b"", &self.content, connection, 0);
        } else {
            self.finish(io, connection);
        }
    }

    fn message(&mut self, io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]) {
        if !self.touch || self.content.read(kind, payload) != Some((connection, 0)) {
            io.tally.corrupt += 1;
        }
        self.finish(io, connection);
    }

    fn ended(&mut self, _io: &mut Io, connection: usize, _ending: &Ending) {
        self.vacated(connection);
    }

    fn turn(&mut self, io: &mut Io) -> bool {
        io.now = Instant::now();
        while !self.vacant.is_empty() && self.budget.take(io.now) {
            if let Some(slot) = self.vacant.pop() {
                self.begun += 1;
                io.open(slot);
            }
        }
        false
    }
}

pub(super) fn run(options: &Options) -> Result<Report, RunError> {
    let mut connect = Connect {
        content: content_of(options),
        touch: options.touch,
        abrupt: options.abrupt,
        vacant: (0..options.connections).collect(),
        budget: Budget::new(options.messages, options.seconds, DEFAULT_HANDSHAKES),
        begun: 0,
        finished: 0,
        handshake: Histogram::new(),
    };
    let mut engine = Engine::new(&options.target, options.connections)?;
    let meter = Meter::start(&options.pids, None);
    let complete = engine
        .run(&mut connect, Limit::Stall(options.stall), |connect, io| io.is_empty() && connect.budget.is_spent())?;
    let measured = meter.stop(&mut engine.io.tally);
    let tally = &engine.io.tally;
    let verified = complete && tally.all_verified() && tally.opened == connect.begun;
    let report = describe(options)
        .count("connections", options.connections as u64)
        .count("begun", connect.begun)
        .count("finished", connect.finished)
        .number("seconds", measured.seconds)
        .number("openedPerSecond", tally.opened as f64 / measured.seconds);
    let report = add_latency(report, "handshakeMicros", &connect.handshake);
    let report = tally.report(measured.report(report, tally.opened));
    Ok(Report { verified, json: report.flag("verified", verified).finish() })
}
