//! Publishing: one group whose publishers are not in it, or many rooms whose members all publish.
//! With `--rate` publishes are due at fixed times, from the publishers in turn, and the latency of
//! each delivery is counted from when its publish was due.
//!
//! Members have the first slots, group by group. Each publisher is a sender, and every member
//! of its group must receive each of its messages once and in order.

use std::collections::VecDeque;
use std::time::Instant;

use super::load::{Figures, Load};
use super::schedule::Schedule;
use super::{Budget, content_of};
use crate::cli::Options;
use crate::content::{Content, Order};
use crate::engine::{Io, Scenario};
use crate::frame::MessageKind;

/// The sequence of the echo that tells a member that it is subscribed. No sender counts that far.
const PREPARED: u64 = 0xff_ffff_ffff;

pub(super) struct Fanout {
    content: Content,
    depth: usize,
    rate: Option<f64>,
    schedule: Option<Schedule>,
    /// Members of each group.
    members: usize,
    rooms: Vec<FanoutRoom>,
    publishers: Vec<Publisher>,
    /// By member, then by publisher of its group.
    orders: Vec<Order>,
    done: Done,
    prepared: usize,
    under_way: u64,
    budget: Budget,
    figures: Figures,
}

/// When a publish counts as done, and the next may follow.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Done {
    /// Every member has received it.
    ByAll,
    /// The publisher, itself a member, has received it.
    ByOwn,
}

struct FanoutRoom {
    subscribe: String,
    prefix: Vec<u8>,
}

struct Publisher {
    slot: usize,
    sent: u64,
    /// Its publishes that are not done yet, the oldest first.
    under_way: VecDeque<Publish>,
}

struct Publish {
    /// When it was sent, or was due.
    at: Instant,
    /// Members that have received it.
    by: usize,
}

impl Fanout {
    /// One room of `connections` members, and publishers that are in no room.
    pub(super) fn publish(options: &Options) -> Self {
        let members = options.connections;
        let slots = (members..members + options.publishers).collect();
        Self::new(options, vec![options.room.clone()], members, slots, Done::ByAll)
    }

    /// Many rooms, in which every member publishes.
    pub(super) fn rooms(options: &Options) -> Self {
        let names = (0..options.rooms).map(|i| format!("{}{i}", options.room)).collect();
        let slots = (0..options.rooms * options.members).collect();
        Self::new(options, names, options.members, slots, Done::ByOwn)
    }

    fn new(options: &Options, names: Vec<String>, members: usize, slots: Vec<usize>, done: Done) -> Self {
        let room =
            |name: &String| FanoutRoom { subscribe: format!("S:{name}"), prefix: format!("P:{name}:").into_bytes() };
        let rooms: Vec<FanoutRoom> = names.iter().map(room).collect();
        let orders = vec![Order::default(); members * slots.len()];
        let publisher = |slot| Publisher { slot, sent: 0, under_way: VecDeque::new() };
        Self {
            content: content_of(options),
            depth: options.depth,
            rate: options.rate,
            schedule: None,
            members,
            rooms,
            publishers: slots.into_iter().map(publisher).collect(),
            orders,
            done,
            prepared: 0,
            under_way: 0,
            budget: Budget::new(None, None, 0),
            figures: Figures::new(),
        }
    }

    fn all_members(&self) -> usize {
        self.members * self.rooms.len()
    }

    fn publishers_per_room(&self) -> usize {
        self.publishers.len() / self.rooms.len()
    }

    fn send(&mut self, io: &mut Io, sender: usize, due: Instant) {
        if self.budget.take(io.now) {
            let room = &self.rooms[sender / self.publishers_per_room()];
            let publisher = &mut self.publishers[sender];
            io.send(publisher.slot, &room.prefix, &self.content, sender, publisher.sent);
            publisher.sent += 1;
            publisher.under_way.push_back(Publish { at: due, by: 0 });
            self.under_way += self.members as u64;
            self.figures.sent += 1;
        }
    }

    /// The index in `orders` for this sender and member; `None` if the member should receive
    /// nothing from this sender.
    fn order_at(&self, member: usize, sender: usize, sequence: u64) -> Option<usize> {
        let per_room = self.publishers_per_room();
        let rightly = member < self.all_members()
            && sender < self.publishers.len()
            && sender / per_room == member / self.members
            && sequence < self.publishers[sender].sent;
        rightly.then(|| member * per_room + sender % per_room)
    }

    /// One member has received this publish of the sender.
    fn delivered(&mut self, io: &mut Io, member: usize, sender: usize, sequence: u64) {
        let publisher = &mut self.publishers[sender];
        let oldest = publisher.sent - publisher.under_way.len() as u64;
        let counts = self.done == Done::ByAll || publisher.slot == member;
        let publish = sequence.checked_sub(oldest).and_then(|at| publisher.under_way.get_mut(at as usize));
        if let (true, Some(publish)) = (counts, publish) {
            publish.by += 1;
            if self.schedule.is_some() {
                self.figures.latency.record(io.now - publish.at);
            }
        }
        let needed = if self.done == Done::ByAll { self.members } else { 1 };
        let mut done = 0;
        while let Some(publish) = publisher.under_way.front().filter(|publish| publish.by >= needed) {
            if self.schedule.is_none() {
                self.figures.latency.record(io.now - publish.at);
                done += 1;
            }
            publisher.under_way.pop_front();
        }
        for _ in 0..done {
            self.send(io, sender, io.now);
        }
    }
}

impl Scenario for Fanout {
    fn message(&mut self, io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]) {
        match self.content.read(kind, payload) {
            Some((from, PREPARED)) if from == connection && !self.is_prepared() => self.prepared += 1,
            Some((sender, sequence)) => match self.order_at(connection, sender, sequence) {
                Some(at) => {
                    let settled = self.orders[at].accept(sequence, &mut io.tally);
                    self.under_way -= settled;
                    if settled > 0 {
                        self.figures.received += 1;
                        self.delivered(io, connection, sender, sequence);
                    }
                }
                None => io.tally.corrupt += 1,
            },
            None => io.tally.corrupt += 1,
        }
    }

    fn turn(&mut self, io: &mut Io) -> bool {
        while let Some((due, number)) = self.schedule.as_mut().and_then(|schedule| schedule.take(io.now)) {
            if self.budget.is_spent() {
                break;
            }
            self.figures.late.record(io.now - due);
            self.send(io, (number % self.publishers.len() as u64) as usize, due);
        }
        false
    }

    fn due(&self) -> Option<Instant> {
        self.schedule.filter(|_| !self.budget.is_spent()).map(|schedule| schedule.due())
    }
}

impl Load for Fanout {
    fn slots(&self) -> usize {
        match self.done {
            Done::ByAll => self.all_members() + self.publishers.len(),
            Done::ByOwn => self.all_members(),
        }
    }

    /// The echo follows the subscription on the same connection, so the subscription is in force
    /// when the echo is back.
    fn prepare(&mut self, io: &mut Io) {
        for member in 0..self.all_members() {
            io.send_text(member, &self.rooms[member / self.members].subscribe);
            io.send(member, b"", &self.content, member, PREPARED);
        }
    }

    fn is_prepared(&self) -> bool {
        self.prepared == self.all_members()
    }

    fn begin(&mut self, io: &mut Io, budget: Budget) {
        self.budget = budget;
        self.figures = Figures::new();
        self.schedule = self.rate.map(|rate| Schedule::new(rate, io.now));
        if self.schedule.is_some() {
            return;
        }
        for sender in 0..self.publishers.len() {
            for _ in 0..self.depth {
                self.send(io, sender, io.now);
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
