//! Every connection keeps a number of messages under way, and each must come back as it was sent,
//! in order.
//!
//! With `--rate` messages are due at fixed times instead, on the connections in turn, and their
//! latency is counted from when they were due.

use std::collections::VecDeque;
use std::time::Instant;

use super::load::{Figures, Load};
use super::schedule::Schedule;
use super::{Budget, content_of};
use crate::cli::Options;
use crate::content::{Content, Order};
use crate::engine::{Io, Scenario};
use crate::frame::MessageKind;

pub(super) struct Echo {
    content: Content,
    depth: usize,
    rate: Option<f64>,
    schedule: Option<Schedule>,
    senders: Vec<EchoSender>,
    under_way: u64,
    budget: Budget,
    figures: Figures,
}

/// One connection's messages.
#[derive(Default)]
struct EchoSender {
    sent: u64,
    order: Order,
    /// When those under way were sent, or were due.
    times: VecDeque<Instant>,
}

impl Echo {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            content: content_of(options),
            depth: options.depth,
            rate: options.rate,
            schedule: None,
            senders: (0..options.connections).map(|_| EchoSender::default()).collect(),
            under_way: 0,
            budget: Budget::new(None, None, 0),
            figures: Figures::new(),
        }
    }

    fn send(&mut self, io: &mut Io, connection: usize, due: Instant) {
        if self.budget.take(io.now) {
            let sender = &mut self.senders[connection];
            io.send(connection, b"", &self.content, connection, sender.sent);
            sender.sent += 1;
            sender.times.push_back(due);
            self.under_way += 1;
            self.figures.sent += 1;
        }
    }
}

impl Scenario for Echo {
    fn message(&mut self, io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]) {
        let sender = &mut self.senders[connection];
        let sequence = match self.content.read(kind, payload) {
            Some((from, sequence)) if from == connection && sequence < sender.sent => sequence,
            _ => {
                io.tally.corrupt += 1;
                return;
            }
        };
        for left in (0..sender.order.accept(sequence, &mut io.tally)).rev() {
            self.under_way -= 1;
            let sent = sender.times.pop_front();
            if let (0, Some(sent)) = (left, sent) {
                self.figures.latency.record(io.now - sent);
                self.figures.received += 1;
            }
        }
        if self.schedule.is_none() {
            self.send(io, connection, io.now);
        }
    }

    fn turn(&mut self, io: &mut Io) -> bool {
        while let Some((due, number)) = self.schedule.as_mut().and_then(|schedule| schedule.take(io.now)) {
            if self.budget.is_spent() {
                break;
            }
            self.figures.late.record(io.now - due);
            self.send(io, (number % self.senders.len() as u64) as usize, due);
        }
        false
    }

    fn due(&self) -> Option<Instant> {
        self.schedule.filter(|_| !self.budget.is_spent()).map(|schedule| schedule.due())
    }
}

impl Load for Echo {
    fn slots(&self) -> usize {
        self.senders.len()
    }

    fn begin(&mut self, io: &mut Io, budget: Budget) {
        self.budget = budget;
        self.figures = Figures::new();
        self.schedule = self.rate.map(|rate| Schedule::new(rate, io.now));
        if self.schedule.is_some() {
            return;
        }
        for connection in 0..self.senders.len() {
            for _ in 0..self.depth {
                self.send(io, connection, io.now);
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.under_way == 0 && self.budget.is_spent()
    }

    fn under_way(&self) -> u64 {
        self.under_way
    }

    fn figures(&self) -> &Figures {
        &self.figures
    }
}
