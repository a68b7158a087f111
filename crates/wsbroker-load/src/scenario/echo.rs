//! Every connection keeps a number of messages under way, and each must come back as it was sent,
//! in order.

use std::collections::VecDeque;
use std::time::Instant;

use super::load::{Figures, Load};
use super::{Budget, content_of};
use crate::cli::Options;
use crate::content::{Content, Order};
use crate::engine::{Io, Scenario};
use crate::frame::MessageKind;

pub(super) struct Echo {
    content: Content,
    depth: usize,
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
    /// When those under way were sent.
    times: VecDeque<Instant>,
}

impl Echo {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            content: content_of(options),
            depth: options.depth,
            senders: (0..options.connections).map(|_| EchoSender::default()).collect(),
            under_way: 0,
            budget: Budget::new(None, None, 0),
            figures: Figures::new(),
        }
    }

    fn send(&mut self, io: &mut Io, connection: usize) {
        if self.budget.take(io.now) {
            let sender = &mut self.senders[connection];
            io.send(connection, b"", &self.content, connection, sender.sent);
            sender.sent += 1;
            sender.times.push_back(io.now);
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
        self.send(io, connection);
    }
}

impl Load for Echo {
    fn slots(&self) -> usize {
        self.senders.len()
    }

    fn begin(&mut self, io: &mut Io, budget: Budget) {
        self.budget = budget;
        self.figures = Figures::new();
        for connection in 0..self.senders.len() {
            for _ in 0..self.depth {
                self.send(io, connection);
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
