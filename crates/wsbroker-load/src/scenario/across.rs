//! Publishing across two instances: subscribers on the one, publishers on the other.
//!
//! Members have the first slots, room by room. With `--local` as many more follow, of rooms without
//! members on the other instance: they show how long a publish takes that does not cross.
//! Publishers come last, one for each room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::load::{Figures, Load};
use super::{Budget, RunError, content_of};
use crate::cli::Options;
use crate::content::{Content, Order};
use crate::dialect::{Dialect, ServerMessage};
use crate::engine::{Engine, Io, Scenario};
use crate::frame::MessageKind;
use crate::histogram::Histogram;

/// The sequence of the probes. They are published until every member has received one: then all
/// subscriptions are in force on both instances.
const PROBE: u64 = 0xff_ffff_ffff;
const PROBE_AGAIN: Duration = Duration::from_millis(100);
/// How exactly a rate is kept: what is due is sent this often.
const TICK: Duration = Duration::from_millis(1);

pub(super) struct Across {
    content: Content,
    dialect: Dialect,
    depth: usize,
    /// Messages per second; without it, each publisher keeps `depth` under way.
    rate: Option<f64>,
    /// Of every so many messages the first goes to a room of one instance only; 0 for none.
    local_every: u64,
    members: usize,
    /// One for each sender: first those whose messages cross, then the others.
    rooms: Vec<AcrossRoom>,
    senders: Vec<AcrossSender>,
    /// Publishers, each with a room on the other instance and one on its own.
    publishers: usize,
    /// By member.
    orders: Vec<Order>,
    heard: Vec<bool>,
    joined: usize,
    prepared: usize,
    probed: Option<Instant>,
    begun: Instant,
    under_way: u64,
    budget: Budget,
    figures: Figures,
    local: Histogram,
}

struct AcrossRoom {
    name: String,
    prefix: Vec<u8>,
}

#[derive(Default)]
struct AcrossSender {
    sent: u64,
    /// Its publishes that some members have not received, oldest first: when they were sent, and
    /// how many members have received them.
    under_way: VecDeque<(Instant, usize)>,
}

impl Across {
    pub(super) fn new(options: &Options) -> Self {
        let dialect = options.dialect;
        let room = |name: String, verb: &str| AcrossRoom { prefix: dialect.publish(verb, &name), name };
        let mut rooms: Vec<AcrossRoom> =
            (0..options.rooms).map(|i| room(format!("{}{i}", options.room), "P")).collect();
        if options.local > 0 {
            rooms.extend((0..options.rooms).map(|i| room(format!("here-{}{i}", options.room), "L")));
        }
        let members = rooms.len() * options.members;
        Self {
            content: content_of(options),
            dialect,
            depth: options.depth,
            rate: options.rate,
            local_every: options.local,
            members: options.members,
            senders: rooms.iter().map(|_| AcrossSender::default()).collect(),
            rooms,
            publishers: options.rooms,
            orders: vec![Order::default(); members],
            heard: vec![false; members],
            joined: 0,
            prepared: 0,
            probed: None,
            begun: Instant::now(),
            under_way: 0,
            budget: Budget::new(None, None, 0),
            figures: Figures::new(),
            local: Histogram::new(),
        }
    }

    fn publish(&mut self, io: &mut Io, sender: usize, sequence: u64) {
        let publisher = self.orders.len() + sender % self.publishers;
        let (prefix, suffix) = (&self.rooms[sender].prefix, self.dialect.end());
        io.send_within(publisher, prefix, suffix, &self.content, sender, sequence);
    }

    fn send(&mut self, io: &mut Io, sender: usize) {
        if self.budget.take(io.now) {
            self.publish(io, sender, self.senders[sender].sent);
            self.senders[sender].sent += 1;
            self.senders[sender].under_way.push_back((io.now, 0));
            self.under_way += self.members as u64;
            self.figures.sent += 1;
        }
    }

    fn delivered(&mut self, io: &mut Io, sender: usize, sequence: u64) {
        let crosses = sender < self.publishers;
        let of = &mut self.senders[sender];
        let oldest = of.sent - of.under_way.len() as u64;
        if let Some((at, by)) = sequence.checked_sub(oldest).and_then(|at| of.under_way.get_mut(at as usize)) {
            *by += 1;
            let took = io.now - *at;
            if crosses { self.figures.latency.record(took) } else { self.local.record(took) }
        }
        while self.senders[sender].under_way.front().is_some_and(|(_, by)| *by >= self.members) {
            self.senders[sender].under_way.pop_front();
            if self.rate.is_none() {
                self.send(io, sender);
            }
        }
    }

    fn take(&mut self, io: &mut Io, member: usize, kind: MessageKind, payload: &[u8]) {
        match self.content.read(kind, payload) {
            Some((sender, PROBE)) if sender == member / self.members => {
                self.prepared += usize::from(!self.heard[member]);
                self.heard[member] = true;
            }
            Some((sender, sequence))
                if member < self.orders.len()
                    && sender == member / self.members
                    && sequence < self.senders[sender].sent =>
            {
                let settled = self.orders[member].accept(sequence, &mut io.tally);
                self.under_way -= settled;
                if settled > 0 {
                    self.figures.received += 1;
                    self.delivered(io, sender, sequence);
                }
            }
            _ => io.tally.corrupt += 1,
        }
    }

    fn join(&mut self, io: &mut Io, connection: usize) {
        self.joined += 1;
        if let Some(room) = self.rooms.get(connection / self.members) {
            io.send_text(connection, &self.dialect.subscribe(&room.name));
        }
    }
}

impl Scenario for Across {
    fn opened(&mut self, io: &mut Io, connection: usize, _took: Duration) {
        if self.dialect == Dialect::Plain {
            self.join(io, connection);
        }
    }

    fn message(&mut self, io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]) {
        match self.dialect.hear(payload) {
            ServerMessage::Payload(payload) => self.take(io, connection, kind, payload),
            ServerMessage::Reply(text) => io.send_text(connection, text),
            ServerMessage::Joined => self.join(io, connection),
            ServerMessage::Nothing => {}
            ServerMessage::Unknown => io.tally.corrupt += 1,
        }
    }

    fn turn(&mut self, io: &mut Io) -> bool {
        if self.joined == self.slots() && !self.is_prepared() {
            if self.probed.is_none_or(|probed| io.now - probed > PROBE_AGAIN) {
                self.probed = Some(io.now);
                (0..self.senders.len()).for_each(|sender| self.publish(io, sender, PROBE));
            }
        } else if let Some(rate) = self.rate.filter(|_| self.is_prepared() && !self.budget.is_spent()) {
            let due = ((io.now - self.begun).as_secs_f64() * rate) as u64;
            while self.figures.sent < due && !self.budget.is_spent() {
                let (turn, every) = (self.figures.sent, self.local_every);
                let is_local = every > 0 && turn.is_multiple_of(every);
                // Both kinds go round the rooms.
                let among = if is_local { turn / every } else { turn };
                self.send(io, among as usize % self.publishers + usize::from(is_local) * self.publishers);
            }
        }
        false
    }

    fn longest_wait(&self) -> Option<Duration> {
        self.rate.map(|_| TICK)
    }
}

impl Load for Across {
    fn slots(&self) -> usize {
        self.orders.len() + self.publishers
    }

    fn is_prepared(&self) -> bool {
        self.prepared == self.orders.len()
    }

    fn begin(&mut self, io: &mut Io, budget: Budget) {
        self.budget = budget;
        self.figures = Figures::new();
        self.local = Histogram::new();
        self.begun = io.now;
        if self.rate.is_none() {
            for sender in 0..self.senders.len() {
                (0..self.depth).for_each(|_| self.send(io, sender));
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

    /// Members that messages cross to are on the first instance, all others on the second.
    fn engine(&self, options: &Options) -> Result<Engine, RunError> {
        let from = options.from.clone().ok_or(RunError::Options("--from is missing"))?;
        let mut engine = Engine::new(&options.target, self.slots())?;
        engine.io.divide(self.publishers * self.members, from);
        Ok(engine)
    }

    fn local(&self) -> Option<&Histogram> {
        Some(&self.local)
    }
}
