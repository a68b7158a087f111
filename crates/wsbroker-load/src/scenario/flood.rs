//! Connections that send as fast as the server takes it, without waiting for the echoes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Budget, Report, RunError, add_latency, content_of, describe};
use crate::cli::Options;
use crate::content::{Content, Order};
use crate::engine::{Engine, Io, Limit, Scenario};
use crate::frame::MessageKind;
use crate::histogram::Histogram;

const DEFAULT_TIME: Duration = Duration::from_secs(1);
/// Bytes produced before they are written.
const BURST: usize = 64 * 1024;
/// Bursts on a connection before it is the turn of the others.
const BURSTS_IN_A_ROW: usize = 4;

struct Flood {
    content: Content,
    senders: Vec<FloodSender>,
    read: bool,
    budget: Budget,
    sent: u64,
    received: u64,
    latency: Histogram,
}

#[derive(Default)]
struct FloodSender {
    sent: u64,
    order: Order,
    times: VecDeque<Instant>,
}

impl Scenario for Flood {
    fn message(&mut self, io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]) {
        let sender = &mut self.senders[connection];
        match self.content.read(kind, payload) {
            Some((from, sequence)) if from == connection && sequence < sender.sent => {
                let settled = sender.order.accept(sequence, &mut io.tally);
                if let Some(sent) = sender.times.drain(..settled as usize).next_back() {
                    self.latency.record(io.now - sent);
                    self.received += 1;
                }
            }
            _ => io.tally.corrupt += 1,
        }
    }

    fn turn(&mut self, io: &mut Io) -> bool {
        let mut more = false;
        for connection in 0..self.senders.len() {
            for _ in 0..BURSTS_IN_A_ROW {
                // What the socket did not take goes out when it is writable again.
                if !io.is_open(connection) || io.waiting(connection) > 0 || !self.burst(io, connection) {
                    break;
                }
            }
            more |= io.is_open(connection) && io.waiting(connection) == 0;
        }
        more && !self.budget.is_spent()
    }
}

impl Flood {
    fn burst(&mut self, io: &mut Io, connection: usize) -> bool {
        io.now = Instant::now();
        let sender = &mut self.senders[connection];
        while io.waiting(connection) < BURST && self.budget.take(io.now) {
            io.send(connection, b"", &self.content, connection, sender.sent);
            if self.read {
                sender.times.push_back(io.now);
            }
            sender.sent += 1;
            self.sent += 1;
        }
        io.flush();
        !self.budget.is_spent()
    }
}

pub(super) fn run(options: &Options) -> Result<Report, RunError> {
    let mut flood = Flood {
        content: content_of(options),
        senders: (0..options.connections).map(|_| FloodSender::default()).collect(),
        read: options.read,
        // Spent until all are open.
        budget: Budget::new(Some(0), None, 0),
        sent: 0,
        received: 0,
        latency: Histogram::new(),
    };
    let mut engine = Engine::new(&options.target, options.connections)?;
    engine.open_all(&mut flood, options.window, options.stall)?;
    for connection in 0..options.connections {
        engine.io.set_reading(connection, options.read);
    }
    let time = options.seconds.or(options.messages.is_none().then_some(DEFAULT_TIME));
    flood.budget = Budget::new(options.messages, time, 0);
    let begun = Instant::now();
    let mut complete = true;
    if options.read {
        complete = engine.run(&mut flood, Limit::Stall(options.stall), |flood, io| {
            io.is_empty() || (flood.budget.is_spent() && flood.received + io.tally.missing >= flood.sent)
        })?;
    } else {
        let until = begun + time.unwrap_or(options.stall);
        engine.run(&mut flood, Limit::Until(Some(until)), |flood, io| io.is_empty() || flood.budget.is_spent())?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    if options.read {
        let open = flood.senders.iter().map(|sender| sender.times.len() as u64).sum::<u64>();
        engine.io.tally.missing += open;
        complete &= engine.close_all(&mut flood, options.stall)?;
    } else {
        (0..options.connections).for_each(|connection| engine.io.cut(connection));
    }
    let tally = &engine.io.tally;
    let verified = if options.read { complete && tally.all_verified() } else { tally.messages_verified() };
    let report = describe(options)
        .count("connections", options.connections as u64)
        .flag("read", options.read)
        .count("sent", flood.sent)
        .count("received", flood.received)
        .number("seconds", seconds)
        .count("bytesSent", engine.io.bytes_sent)
        .count("bytesReceived", engine.io.bytes_received);
    let report = tally.report(add_latency(report, "latencyMicros", &flood.latency));
    Ok(Report { verified, json: report.flag("verified", verified).finish() })
}
