//! A shard: one thread with an event loop that owns its connections. After the 101 a socket never
//! leaves it.
//!
//! A turn of the loop: wait, read what is readable, hand the events to the workers, execute the
//! commands, fire the timers that are due, write what became dirty, free memory if too much is
//! used, take sockets that have ended out of their channels, and hand over the events that came of
//! all this. Nothing here waits for anything but the poll.

mod batches;
mod budget;
mod catching_up;
mod clock;
mod closing;
mod codec;
mod command;
mod connection;
mod connection_state;
mod context;
mod cursors;
mod deflate;
mod drain;
mod ending;
mod execute;
mod found_room;
mod handle;
mod inbound;
mod inflating;
mod leftover;
mod long_commands;
mod message_memory;
mod meter;
mod migrate;
mod moving;
mod opening;
mod outbox;
mod pressure;
mod progress;
mod put_off;
mod rate;
mod read_memory;
mod retire;
mod retiring;
mod silence;
mod subscriptions;
mod table;
mod timers;
mod wheel;

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mio::{Events, Poll};
use wsbroker_proto::CloseCode;

pub use self::codec::Compress;
#[cfg(all(test, feature = "loom"))]
pub(crate) use self::command::{Fifo, Waker};
use self::{
    budget::UNFLUSHED_MAX, connection_state::ReadState, context::ShardContext, drain::ShardDrain, handle::WAKE,
    put_off::PutOff, read_memory::ReadMemory, retiring::Retiring, subscriptions::Subscriptions, table::ConnectionTable,
    wheel::TimerEntry,
};
pub(crate) use self::{
    codec::Compressed,
    command::{Attach, Broadcast, Change, Command, ConnectionKey, DrainOrder, FrameRange, Recover, Reserve},
    handle::ShardHandle,
};
use crate::{broker::BrokerState, dispatch::Flush, ids::WorkerId, sys, tls};

/// Readiness events of one poll.
const EVENTS: usize = 1024;
/// What one read takes at most. Shared by all connections of the shard.
const READ_BUFFER: usize = 64 << 10;
const _: () = assert!(READ_BUFFER >= tls::READ_ROOM);
/// How long it sleeps at most while a socket that has ended cannot leave its channels, because
/// another thread changes these.
const LOCKED: Duration = Duration::from_millis(1);

/// Starts the thread of a shard. It ends with [`Command::Stop`].
pub(crate) fn spawn(inner: Arc<BrokerState>, index: usize, poll: Poll) -> io::Result<()> {
    std::thread::Builder::new().name(format!("wsbroker-io-{index}")).spawn(move || {
        sys::prefer_batches();
        Shard::new(inner, index, poll).run();
    })?;
    Ok(())
}

struct Shard {
    index: usize,
    poll: Poll,
    connections: ConnectionTable,
    lists: Subscriptions,
    ctx: ShardContext,
    /// Frames of the commands that are being executed.
    arena: Bytes,
    read_buffer: Box<[u8]>,
    read_memory: ReadMemory,
    /// Set by a shutdown: connections that come later are closed at once.
    closing: Option<CloseCode>,
    drain: Option<ShardDrain>,
    put_off: PutOff,
    /// Connections that have been dirty since an earlier turn.
    late: VecDeque<u32>,
    retiring: Retiring,
    stopped: bool,
    /// What this shard last reported of its outboxes and its unfinished messages.
    reported_send: usize,
    reported_receive: usize,
    /// The turn has been counted: it has nothing to do, and waits.
    waits: bool,
}

/// What a turn uses, and the next one again.
struct TurnScratch {
    events: Events,
    /// Turns that timers have waited for the rest of the readiness events.
    behind: usize,
    commands: Vec<Command>,
    due: Vec<TimerEntry>,
}

impl Default for TurnScratch {
    fn default() -> Self {
        Self { events: Events::with_capacity(EVENTS), behind: 0, commands: Vec::new(), due: Vec::new() }
    }
}

impl Shard {
    fn new(inner: Arc<BrokerState>, index: usize, poll: Poll) -> Self {
        Self {
            index,
            poll,
            connections: ConnectionTable::default(),
            lists: Subscriptions::default(),
            ctx: ShardContext::new(inner),
            arena: Bytes::new(),
            read_buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            read_memory: ReadMemory::default(),
            closing: None,
            drain: None,
            put_off: PutOff::default(),
            late: VecDeque::new(),
            retiring: Retiring::default(),
            stopped: false,
            reported_send: 0,
            reported_receive: 0,
            waits: true,
        }
    }

    fn handle(&self) -> &ShardHandle {
        self.ctx.broker.shard(self.index)
    }

    fn run(mut self) {
        let mut scratch = TurnScratch::default();
        while !self.stopped {
            self.turn(&mut scratch);
        }
        let late = self.handle().fifo.stop();
        drop(late);
    }

    fn turn(&mut self, scratch: &mut TurnScratch) {
        let TurnScratch { events, behind, commands, due } = scratch;
        let wait = if due.is_empty() { self.wait() } else { Some(Duration::ZERO) };
        if let Err(error) = self.poll.poll(events, wait) {
            if error.kind() != io::ErrorKind::Interrupted {
                // The poll handle itself is broken; without it all that can be done here is not to
                // spin.
                tracing::error!(%error, "cannot poll");
                std::thread::sleep(Duration::from_millis(100));
            }
            return;
        }
        self.begin_turn(Instant::now());
        self.ctx.turn.begin();
        self.ctx.wheel.advance(self.ctx.time, due);
        for event in &*events {
            self.note(event);
        }
        self.read_ready();
        self.hand_over();
        self.execute_queue(commands);
        // More may be readable than the poll could tell: after a stall no connection is cut before
        // what it sent meanwhile was seen.
        if events.iter().count() >= EVENTS && *behind < self.connections.0.len() / EVENTS {
            *behind += 1;
        } else {
            *behind = 0;
            for entry in due.drain(..) {
                if let Some(connection) = self.connections.at(entry.slot) {
                    connection.timer(&mut self.ctx, entry.due);
                }
            }
        }
        self.go_on_draining();
        self.flush_dirty();
        self.relieve();
        self.go_on_retiring();
        self.hand_over();
    }

    fn begin_turn(&mut self, now: Instant) {
        if !std::mem::take(&mut self.waits) {
            // It did not wait for this turn: the one before lasted until now.
            self.count_turn(now);
        }
        self.ctx.time = now;
        self.ctx.batches.found = Some(now);
    }

    fn count_turn(&self, end: Instant) {
        let took = end.saturating_duration_since(self.ctx.time);
        self.handle().counters.turns.count(took.as_nanos() as u64, 1);
    }

    /// Executes what is in the queue, or goes on with what the last turn has left of it. `commands`
    /// is empty before and after.
    fn execute_queue(&mut self, commands: &mut Vec<Command>) {
        if self.is_piled_up() {
            // What was queued is written first.
            return;
        }
        let queued = self.ctx.unflushed;
        if self.put_off.is_empty() {
            // Looked up before the queue is taken: what is found settled and flushed has its
            // replies in there.
            self.put_off.ending = self.take_ending();
            self.handle().fifo.take(commands);
            if !commands.is_empty() {
                self.put_off.counted = self.handle().queued.take();
                if commands.len() > self.ctx.turn.bounds.steps {
                    // So many do not fit into one turn: not even moved.
                    self.put_off.commands = std::mem::take(commands).into_iter();
                    self.go_on_with_queue();
                } else {
                    self.execute_all(commands);
                }
            }
        } else {
            self.go_on_with_queue();
        }
        if !self.put_off.is_empty() {
            // What has gone to outboxes counts there.
            let moved = self.put_off.counted.min(self.ctx.unflushed - queued);
            self.put_off.counted -= moved;
            self.ctx.broker.memory.send_changed(moved, 0);
            return;
        }
        self.arena = Bytes::new();
        self.ctx.broker.memory.send_changed(std::mem::take(&mut self.put_off.counted), 0);
        for key in std::mem::take(&mut self.put_off.ending) {
            self.end_at_last(key);
        }
    }

    fn execute_all(&mut self, commands: &mut Vec<Command>) {
        self.ctx.codec.begin_turn();
        let mut commands = commands.drain(..);
        while let Some(command) = commands.next() {
            self.execute(command);
            if self.is_spent() {
                if commands.len() > 0 {
                    self.put_off.commands = commands.collect::<Vec<_>>().into_iter();
                }
                return;
            }
        }
    }

    fn go_on_with_queue(&mut self) {
        self.ctx.codec.begin_turn();
        if let Some(rest) = self.put_off.rest.take() {
            self.go_on(rest);
        }
        let mut commands = std::mem::take(&mut self.put_off.commands);
        while !self.is_spent() {
            let Some(command) = commands.next() else { break };
            self.execute(command);
        }
        self.put_off.commands = commands;
    }

    /// Whether the commands that are left have to wait for the next turn.
    #[inline]
    fn is_spent(&self) -> bool {
        self.ctx.turn.is_spent() || self.ctx.codec.is_spent() || self.is_piled_up()
    }

    /// Many publishes in one turn must not pile up in outboxes that the kernel would take.
    #[inline]
    fn is_piled_up(&self) -> bool {
        self.ctx.unflushed > UNFLUSHED_MAX
    }

    /// The connections whose end comes behind the commands that are in the queue. Connections for
    /// which a worker's cork still holds replies are kept back until that is flushed.
    fn take_ending(&mut self) -> Vec<ConnectionKey> {
        let mut ending = std::mem::take(&mut self.ctx.ending);
        ending.retain(|key| {
            let Some(connection) = self.connections.find(*key) else { return false };
            let awaited = connection.await_flush(&mut self.ctx);
            self.ctx.unflushed_ends.extend(awaited.map(|awaited| (awaited, *key)));
            awaited.is_none()
        });
        ending
    }

    fn end_at_last(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.find(key) {
            connection.end_at_last(&mut self.ctx);
        }
    }

    fn worker_flushed(&mut self, worker: WorkerId, flush: Flush) {
        let come = |(awaited, _): &mut _| *awaited == (worker, flush);
        for (_, key) in self.ctx.unflushed_ends.extract_if(.., come).collect::<Vec<_>>() {
            self.end_at_last(key);
        }
        for (_, key) in self.ctx.unflushed_moves.extract_if(.., come).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.find(key) {
                connection.move_on_flushed(&mut self.ctx);
            }
        }
    }

    /// How long to wait for events. Zero when there is work already.
    fn wait(&mut self) -> Option<Duration> {
        let at_work = !self.ctx.ready.is_empty()
            || !self.ctx.dirty.is_empty()
            || !self.ctx.ending.is_empty()
            || !self.late.is_empty()
            || !self.put_off.is_empty()
            || self.retiring.can_go_on();
        if at_work || !self.handle().fifo.park() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        if !std::mem::replace(&mut self.waits, true) {
            self.count_turn(now);
        }
        let mut sleep = self.ctx.wheel.sleep(now);
        if let Some(due) = self.drain_due() {
            let close = due.saturating_duration_since(now);
            sleep = Some(sleep.map_or(close, |sleep| sleep.min(close)));
        }
        // Nothing tells when the memberships of a socket are free.
        if self.retiring.is_empty() { sleep } else { Some(sleep.map_or(LOCKED, |sleep| sleep.min(LOCKED))) }
    }

    fn note(&mut self, event: &mio::event::Event) {
        if event.token() == WAKE {
            return;
        }
        let Some(connection) = self.connections.at(event.token().0 as u32) else { return };
        if event.is_read_closed() || event.is_error() {
            connection.half_closed(&mut self.ctx);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.mark_ready(&mut self.ctx);
        }
        if event.is_error() {
            connection.broken(&mut self.ctx);
        }
        if event.is_writable() {
            connection.writable(&mut self.ctx);
        }
    }

    fn read_ready(&mut self) {
        if self.ctx.ready.is_empty() {
            return;
        }
        let mut ready = std::mem::take(&mut self.ctx.ready);
        for slot in ready.drain(..) {
            let Some(connection) = self.connections.at(slot) else { continue };
            connection.read_state = ReadState::Readable;
            if connection.read(&mut self.ctx, &mut self.read_buffer, &mut self.read_memory) {
                connection.mark_ready(&mut self.ctx);
            }
        }
        if self.ctx.ready.is_empty() {
            // Keeps the allocation.
            self.ctx.ready = ready;
        }
        self.remove_ended();
    }

    /// Gives the events of this turn to the workers, and then tells the endpoints which connections
    /// have left: a shutdown waits for both in this order.
    fn hand_over(&mut self) {
        self.remove_ended();
        self.show_counts();
        self.ctx.batches.deliver(&self.ctx.broker.dispatch);
        for endpoint in self.ctx.leaving.drain(..) {
            endpoint.left();
        }
    }

    /// Before anything outside can notice what was counted: workers by an event, clients by what is
    /// written to them or by their end.
    fn show_counts(&mut self) {
        self.ctx.tally.show(&self.ctx.broker.shard(self.index).counters);
    }

    /// Writes what became dirty. Of very many connections some wait for the next turn. But those
    /// that became dirty in this turn do not wait for all of these: a reply must not wait behind a
    /// publish to 100,000 subscribers.
    fn flush_dirty(&mut self) {
        if self.ctx.dirty.is_empty() && self.late.is_empty() {
            self.ctx.unflushed = 0;
            return;
        }
        self.show_counts();
        let mut dirty = std::mem::take(&mut self.ctx.dirty);
        let all = self.ctx.turn.bounds.writes;
        let own = if self.late.is_empty() { all } else { all.div_ceil(2) };
        let mut spent = 0;
        let mut fresh = dirty.drain(..);
        while spent < own
            && let Some(slot) = fresh.next()
        {
            spent += self.flush(slot);
        }
        self.late.extend(fresh);
        while spent < all
            && let Some(slot) = self.late.pop_front()
        {
            spent += self.flush(slot);
        }
        if self.late.is_empty() {
            self.ctx.unflushed = 0;
        }
        if self.ctx.dirty.is_empty() {
            self.ctx.dirty = dirty;
        }
        self.remove_ended();
    }

    /// Writes to one connection. What that has cost, in small writes.
    #[inline]
    fn flush(&mut self, slot: u32) -> usize {
        let Some(connection) = self.connections.at(slot) else { return 1 };
        connection.dirty = false;
        let before = self.ctx.tally.flow.wire_out;
        connection.flush(&mut self.ctx);
        budget::write(self.ctx.tally.flow.wire_out - before)
    }

    /// Takes out what has ended in this step: out of registry and lists first, then out of the
    /// table.
    fn remove_ended(&mut self) {
        if !self.ctx.retired.is_empty() {
            self.retire_all();
        }
        if !self.ctx.to_remove.is_empty() {
            self.show_counts();
        }
        while let Some(slot) = self.ctx.to_remove.pop() {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            if let Some(mut stream) = connection.stream.take() {
                stream.deregister(self.poll.registry());
            }
            if connection.progress.slow {
                self.ctx.broker.slow.remove(connection.id());
            }
            self.ctx.settle_outbox(&connection.socket, connection.outbox.len(), 0);
            self.ctx.receive_bytes = self.ctx.receive_bytes.saturating_sub(connection.receive_held);
            if !self.retiring.keep_slot(slot) {
                self.handle().give_slot(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests;
