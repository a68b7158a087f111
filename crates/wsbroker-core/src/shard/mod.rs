//! A shard: one thread with an event loop that owns its connections. After the 101 a socket never leaves it.
//!
//! A turn of the loop: wait, read what is readable, hand the events to the workers, carry out the commands, write what became
//! dirty, look at the clock. Nothing here waits for anything but the poll.

mod batches;
mod carry_out;
mod clock;
mod closing;
mod command;
mod connection;
mod context;
mod deflate;
mod ending;
mod handle;
mod inbound;
mod migrate;
mod outbox;
mod pressure;
mod progress;
mod rate;
mod silence;
mod stream;
mod subscriptions;
mod table;
mod tally;
mod timers;
mod tls;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mio::{Events, Poll, Token};
use wsbroker_proto::CloseCode;

#[cfg(all(test, feature = "loom"))]
pub(crate) use command::Wake;
pub(crate) use command::{Attach, Broadcast, Command, Fifo, Place, Range, Reserve};
pub use deflate::Compress;
pub(crate) use deflate::Compressed;
pub(crate) use handle::ShardHandle;
pub(crate) use stream::Stream;
pub(crate) use tally::Flow;

use self::{context::Context, subscriptions::Subscriptions, table::Connections};
use crate::{broker::Inner, dispatch::Flush, ids::WorkerId, sys};

/// Readiness events of one poll.
const EVENTS: usize = 1024;
const WAKE: Token = Token(usize::MAX);
/// What one read takes at most. Shared by all connections of the shard.
const READ_BUFFER: usize = 64 << 10;

/// Starts the thread of a shard. It ends with [`Command::Stop`].
pub(crate) fn spawn(inner: Arc<Inner>, index: usize, poll: Poll) -> io::Result<()> {
    std::thread::Builder::new().name(format!("wsbroker-io-{index}")).spawn(move || {
        sys::prefer_batches();
        Shard::new(inner, index, poll).run();
    })?;
    Ok(())
}

struct Shard {
    index: usize,
    poll: Poll,
    connections: Connections,
    lists: Subscriptions,
    ctx: Context,
    /// Frames of the commands that are being carried out.
    arena: Bytes,
    read_buffer: Box<[u8]>,
    /// Set by a shutdown: whoever comes later is closed at once.
    closing: Option<CloseCode>,
    put_off: PutOff,
    stopped: bool,
    /// What this shard last reported of its outboxes and its unfinished messages.
    reported_send: usize,
    reported_receive: usize,
}

/// What a turn has left undone: compression takes its time, and others shall be read meanwhile.
#[derive(Default)]
struct PutOff {
    commands: Vec<Command>,
    /// Bytes of the queue that these commands came with.
    counted: usize,
    /// Connections whose end comes behind these commands.
    ending: Vec<Place>,
}

impl Shard {
    fn new(inner: Arc<Inner>, index: usize, poll: Poll) -> Self {
        Self {
            index,
            poll,
            connections: Connections::default(),
            lists: Subscriptions::default(),
            ctx: Context::new(inner),
            arena: Bytes::new(),
            read_buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            closing: None,
            put_off: PutOff::default(),
            stopped: false,
            reported_send: 0,
            reported_receive: 0,
        }
    }

    fn handle(&self) -> &ShardHandle {
        self.ctx.inner.shard(self.index)
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        // Turns that timers have waited for the rest of the readiness events.
        let mut behind = 0;
        let mut commands = Vec::new();
        let mut due = Vec::new();
        while !self.stopped {
            let wait = if due.is_empty() { self.wait() } else { Some(Duration::ZERO) };
            if let Err(error) = self.poll.poll(&mut events, wait) {
                if error.kind() != io::ErrorKind::Interrupted {
                    // The poll handle itself is broken; without it nothing can be done here but not to spin.
                    tracing::error!(%error, "cannot poll");
                    std::thread::sleep(Duration::from_millis(100));
                }
                continue;
            }
            self.ctx.time = Instant::now();
            self.ctx.wheel.advance(self.ctx.time, &mut due);
            for event in &events {
                self.note(event);
            }
            self.read_ready();
            self.hand_over();
            self.carry_out_queue(&mut commands);
            // More may be readable than the poll could tell: after a stall nobody is cut before what he sent meanwhile was seen.
            if events.iter().count() >= EVENTS && behind < self.connections.0.len() / EVENTS {
                behind += 1;
            } else {
                behind = 0;
                for entry in due.drain(..) {
                    if let Some(connection) = self.connections.at(entry.slot) {
                        connection.timer(&mut self.ctx, entry.due);
                    }
                }
            }
            self.flush_dirty();
            self.relieve();
            self.hand_over();
        }
        let late = self.handle().fifo.stop();
        drop(late);
    }

    /// Carries out what is in the queue, or goes on with what the last turn has left of it. `commands` is empty before and after.
    fn carry_out_queue(&mut self, commands: &mut Vec<Command>) {
        if self.put_off.commands.is_empty() {
            // Looked up before the queue is taken: what is found settled and flushed has its replies in there.
            self.put_off.ending = self.take_ending();
            self.handle().fifo.take(commands);
            if !commands.is_empty() {
                self.put_off.counted = self.handle().take_fifo_bytes();
            }
        } else {
            std::mem::swap(commands, &mut self.put_off.commands);
        }
        if !commands.is_empty() {
            self.ctx.codec.begin_turn();
            let mut commands = commands.drain(..);
            while let Some(command) = commands.next() {
                self.carry_out(command);
                if self.ctx.codec.is_spent() {
                    self.put_off.commands.extend(commands);
                    break;
                }
            }
            if !self.put_off.commands.is_empty() {
                return;
            }
            self.arena = Bytes::new();
            self.ctx.inner.memory.send_changed(std::mem::take(&mut self.put_off.counted), 0);
        }
        for place in std::mem::take(&mut self.put_off.ending) {
            self.end_at_last(place);
        }
    }

    /// The connections whose end comes behind the commands that are in the queue. Those that a worker has replies for are kept back until it has
    /// flushed them.
    fn take_ending(&mut self) -> Vec<Place> {
        let mut ending = std::mem::take(&mut self.ctx.ending);
        ending.retain(|place| {
            let Some(connection) = self.connections.find(*place) else { return false };
            let awaited = connection.await_flush(&mut self.ctx);
            self.ctx.unflushed_ends.extend(awaited.map(|awaited| (awaited, *place)));
            awaited.is_none()
        });
        ending
    }

    fn end_at_last(&mut self, place: Place) {
        if let Some(connection) = self.connections.find(place) {
            connection.end_at_last(&mut self.ctx);
        }
    }

    fn worker_flushed(&mut self, worker: WorkerId, flush: Flush) {
        let come = |(awaited, _): &mut _| *awaited == (worker, flush);
        for (_, place) in self.ctx.unflushed_ends.extract_if(.., come).collect::<Vec<_>>() {
            self.end_at_last(place);
        }
    }

    /// How long to wait for events. Zero when there is work already.
    fn wait(&self) -> Option<Duration> {
        let at_work = !self.ctx.ready.is_empty()
            || !self.ctx.dirty.is_empty()
            || !self.ctx.ending.is_empty()
            || !self.put_off.commands.is_empty();
        if at_work || !self.handle().fifo.park() {
            return Some(Duration::ZERO);
        }
        self.ctx.wheel.sleep(Instant::now())
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
            connection.listed = false;
            if connection.read(&mut self.ctx, &mut self.read_buffer) {
                connection.mark_ready(&mut self.ctx);
            }
        }
        if self.ctx.ready.is_empty() {
            // Keeps the allocation.
            self.ctx.ready = ready;
        }
        self.reap();
    }

    /// Gives the events of this turn to the workers, and then says who has left: a shutdown waits for both in this order.
    fn hand_over(&mut self) {
        self.reap();
        self.show_counts();
        self.ctx.batches.deliver(&self.ctx.inner.dispatch);
        for endpoint in self.ctx.leaving.drain(..) {
            endpoint.left();
        }
    }

    /// Before anybody outside hears of what was counted: workers by an event, clients by what is written to them or by their end.
    fn show_counts(&mut self) {
        self.ctx.tally.show(&self.ctx.inner.shard(self.index).shown);
    }

    fn flush_dirty(&mut self) {
        if !self.ctx.dirty.is_empty() {
            self.show_counts();
        }
        self.ctx.unflushed = 0;
        let mut dirty = std::mem::take(&mut self.ctx.dirty);
        for slot in dirty.drain(..) {
            if let Some(connection) = self.connections.at(slot) {
                connection.dirty = false;
                connection.flush(&mut self.ctx);
            }
        }
        if self.ctx.dirty.is_empty() {
            self.ctx.dirty = dirty;
        }
        self.reap();
    }

    /// Takes out what has ended in this step: out of registry and lists first, then out of the table.
    fn reap(&mut self) {
        while let Some(socket) = self.ctx.retired.pop() {
            for channel in self.ctx.inner.retire(&socket) {
                self.lists.remove(channel, socket.slot());
            }
            self.lists.release(socket.slot());
        }
        if !self.ctx.doomed.is_empty() {
            self.show_counts();
        }
        while let Some(slot) = self.ctx.doomed.pop() {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            if let Some(mut stream) = connection.stream.take() {
                stream.deregister(self.poll.registry());
            }
            self.ctx.settle_outbox(&connection.socket, connection.outbox.len(), 0);
            self.ctx.receive_bytes = self.ctx.receive_bytes.saturating_sub(connection.receive_held);
            self.handle().give_slot(slot);
        }
    }
}

#[cfg(test)]
mod tests;
