//! A shard: one thread with an event loop that owns its connections. After the 101 a socket never leaves it.
//!
//! A turn of the loop: wait, read what is readable, hand the events to the workers, carry out the commands, write what became
//! dirty, look at the clock. Nothing here waits for anything but the poll.

mod batches;
mod clock;
mod command;
mod connection;
mod context;
mod deflate;
mod ending;
mod inbound;
mod migrate;
mod outbox;
mod pressure;
mod rate;
mod stream;
mod subscriptions;
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
use parking_lot::Mutex;
use wsbroker_proto::CloseCode;

#[cfg(all(test, feature = "loom"))]
pub(crate) use command::Wake;
pub(crate) use command::{Attach, Broadcast, Command, Fifo, Place, Range, Reserve};
pub use deflate::Compress;
pub(crate) use deflate::Compressed;
pub(crate) use stream::Stream;
pub(crate) use tally::Flow;

use self::{
    connection::{Connection, Pause, Phase},
    context::Context,
    subscriptions::Subscriptions,
    tally::Shown,
};
use crate::{
    broker::Inner,
    dispatch::Flush,
    event::{Event, EventKind},
    ids::{SocketId, WorkerId},
    metrics::{CloseCause, DropCause},
    sync::{AtomicUsize, Ordering},
    sys,
};

/// Readiness events of one poll.
const EVENTS: usize = 1024;
const WAKE: Token = Token(usize::MAX);
/// What one read takes at most. Shared by all connections of the shard.
const READ_BUFFER: usize = 64 << 10;
/// Outgoing bytes that may pile up within a turn before connections are written.
const UNFLUSHED_MAX: usize = 4 << 20;

/// What other threads hold of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    fifo: Fifo,
    slots: Mutex<Slots>,
    fifo_bytes: AtomicUsize,
    /// What its outboxes and its unfinished messages hold.
    send: AtomicUsize,
    receive: AtomicUsize,
    pub(crate) shown: Shown,
}

/// The places of a shard's connections; one that was given back is taken first, so the table stays dense.
#[derive(Debug, Default)]
struct Slots {
    free: Vec<u32>,
    next: u32,
}

impl ShardHandle {
    pub(crate) fn new() -> io::Result<(Poll, Self)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        Ok((
            poll,
            Self {
                fifo: Fifo::new(waker),
                slots: Mutex::default(),
                fifo_bytes: AtomicUsize::new(0),
                send: AtomicUsize::new(0),
                receive: AtomicUsize::new(0),
                shown: Shown::default(),
            },
        ))
    }

    pub(crate) fn push(&self, command: Command) {
        self.fifo.push(command);
    }

    pub(crate) fn push_with(&self, fill: impl FnOnce(&mut Vec<Command>)) {
        self.fifo.push_with(fill);
    }

    /// A place for a connection. Whoever takes it follows up with [`Command::Reserve`].
    pub(crate) fn take_slot(&self) -> u32 {
        let mut slots = self.slots.lock();
        slots.free.pop().unwrap_or_else(|| {
            slots.next += 1;
            slots.next - 1
        })
    }

    fn give_slot(&self, slot: u32) {
        self.slots.lock().free.push(slot);
    }

    pub(crate) fn add_fifo_bytes(&self, bytes: usize) {
        self.fifo_bytes.fetch_add(bytes, Ordering::Release);
    }

    /// Bytes that wait in the queue.
    pub(crate) fn fifo_bytes(&self) -> usize {
        self.fifo_bytes.load(Ordering::Relaxed)
    }

    /// Commands that wait in the queue.
    pub(crate) fn commands(&self) -> usize {
        self.fifo.len()
    }

    pub(crate) fn outbox_bytes(&self) -> usize {
        self.send.load(Ordering::Relaxed)
    }

    pub(crate) fn receive_bytes(&self) -> usize {
        self.receive.load(Ordering::Relaxed)
    }

    /// What has been added since the last call.
    pub(crate) fn take_fifo_bytes(&self) -> usize {
        self.fifo_bytes.swap(0, Ordering::Acquire)
    }
}

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

/// The connections of a shard by slot.
#[derive(Default)]
struct Connections(Vec<Option<Box<Connection>>>);

impl Connections {
    fn at(&mut self, slot: u32) -> Option<&mut Connection> {
        self.0.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The connection that a command means, unless it has ended and its slot may be another's.
    fn find(&mut self, place: Place) -> Option<&mut Connection> {
        self.at(place.slot).filter(|connection| connection.id() == place.id)
    }

    fn put(&mut self, slot: u32, connection: Connection) {
        let at = slot as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(Box::new(connection));
    }

    fn take(&mut self, slot: u32) -> Option<Box<Connection>> {
        self.0.get_mut(slot as usize)?.take()
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.0.iter_mut().filter_map(|place| place.as_deref_mut())
    }
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
            connection.read_closed = true;
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

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Arena(arena) => self.arena = arena,
            Command::Send(place, range) => {
                match self.connections.find(place) {
                    Some(connection) => {
                        let (start, end) = (range.start as usize, range.end as usize);
                        if connection.deflate.is_none() {
                            connection.enqueue(&mut self.ctx, &self.arena, start, end, true);
                        } else {
                            connection.enqueue_own(&mut self.ctx, &self.arena, start, end, range.compress);
                        }
                    }
                    None => self.ctx.tally.count_drop(DropCause::Gone),
                }
                self.flush_if_much();
            }
            Command::Publish(channel, range, broadcast) => {
                let (start, end) = (range.start as usize, range.end as usize);
                let broadcast = broadcast.as_deref();
                let exclude: &[SocketId] = broadcast.map_or(&[], |broadcast| &broadcast.exclude);
                let compressed = broadcast.and_then(|broadcast| broadcast.compressed.as_deref());
                let held = self.lists.held_since(channel.id(), broadcast.map_or(0, |broadcast| broadcast.epoch));
                for slot in self.lists.of(channel.id()).iter().chain(&held) {
                    let Some(connection) = self.connections.at(*slot) else { continue };
                    if !exclude.is_empty() && exclude.binary_search(&connection.id()).is_ok() {
                        continue;
                    }
                    match compressed {
                        Some(compressed) if connection.deflate.is_some() => {
                            let compress = range.compress;
                            connection.enqueue_shared(&mut self.ctx, &self.arena, start, end, compress, compressed);
                        }
                        _ => connection.enqueue(&mut self.ctx, &self.arena, start, end, false),
                    }
                }
                self.flush_if_much();
            }
            Command::Subscribe(place, channel) => {
                if self.connections.find(place).is_some_and(|connection| connection.takes_part()) {
                    self.lists.add(channel.id(), place.slot);
                }
            }
            // Also for a connection that has ended: its list entry may still be there.
            Command::Unsubscribe(place, channel) => self.lists.remove(channel.id(), place.slot),
            Command::Hold(place, channels, epoch) => {
                let takes_part = self.connections.find(place).is_some_and(|connection| connection.takes_part());
                for channel in channels {
                    self.lists.remove(channel, place.slot);
                    if takes_part {
                        self.lists.hold(channel, place.slot, epoch);
                    }
                }
            }
            Command::Close(place, what) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.begin_close(&mut self.ctx, CloseCause::Application, what.0, &what.1);
                }
            }
            Command::LiftPayload(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.max_payload = connection.endpoint.limits.max_payload;
                }
            }
            Command::Terminate(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.cut(&mut self.ctx, CloseCause::Terminated);
                }
            }
            Command::CloseMany(places, what) => {
                for place in &places {
                    if let Some(connection) = self.connections.find(*place) {
                        connection.begin_close(&mut self.ctx, CloseCause::Application, what.0, &what.1);
                    }
                }
            }
            Command::Reserve(reserve) => self.reserve(*reserve),
            Command::Attach(place, attach) => self.attach(place, *attach),
            Command::Abandon(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.abandon(&mut self.ctx);
                }
            }
            Command::AcceptedLate(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.accepted_late(&mut self.ctx);
                }
            }
            Command::Unanswered(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.leave_endpoint(&mut self.ctx);
                }
            }
            Command::Resume(place) => {
                if let Some(connection) = self.connections.find(place) {
                    connection.go_ahead(&mut self.ctx);
                }
            }
            Command::WorkerRoom(worker) => {
                self.feed(|connection| connection.worker.as_ref().is_some_and(|own| own.id == worker.id))
            }
            Command::WorkerFlushed(worker, flush) => self.worker_flushed(worker.id, flush),
            Command::WorkerJoined => self.worker_joined(),
            Command::WorkerGone(worker, events) => self.worker_gone(&worker, events),
            Command::CloseAll(endpoint, code) => {
                if endpoint.is_none() {
                    self.closing = Some(code);
                }
                for connection in self.connections.all() {
                    if connection.is_attached() && endpoint.is_none_or(|id| connection.endpoint.id == id) {
                        connection.begin_close(&mut self.ctx, CloseCause::Shutdown, code, "");
                    }
                }
            }
            Command::TerminateOf(worker) => {
                let id = worker.map(|worker| worker.id);
                let is_meant =
                    |own: &Connection| id.is_none_or(|id| own.worker.as_ref().is_some_and(|worker| worker.id == id));
                for connection in self.connections.all().filter(|own| is_meant(own)) {
                    connection.cut(&mut self.ctx, CloseCause::Shutdown);
                }
            }
            // The turn ends with it.
            Command::Relieve => {}
            Command::Stop => self.stopped = true,
        }
    }

    /// Many publishes in one turn must not pile up in outboxes that the kernel would take.
    fn flush_if_much(&mut self) {
        if self.ctx.unflushed > UNFLUSHED_MAX {
            self.flush_dirty();
        }
    }

    fn reserve(&mut self, reserve: Reserve) {
        let Reserve { socket, endpoint, worker, open, deflate, ip } = reserve;
        let realm = socket.realm_id();
        // Chosen before this command: by now the worker may have ended, and its end may have been dealt with here already.
        let worker = match worker {
            Some(worker) if worker.is_gone() => {
                worker.release();
                self.ctx.inner.dispatch.assign(realm)
            }
            // There was none when it was admitted, and who has joined since knows nothing of it.
            None => self.ctx.inner.dispatch.assign(realm),
            other => other,
        };
        socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        let mut connection = Connection::new(Arc::clone(&socket), endpoint, worker, deflate);
        connection.ip = ip;
        self.connections.put(socket.slot(), connection);
        if let Some(open) = open {
            // The worker may be another than the one that was chosen, without a handler for this.
            self.redispatch([(Event { socket, kind: EventKind::Open(open) }, Bytes::new())]);
        }
    }

    fn attach(&mut self, place: Place, attach: Attach) {
        let Some(connection) = self.connections.find(place) else { return };
        let Attach { mut stream, head, rest, seat } = attach;
        let registered = stream.register(self.poll.registry(), Token(place.slot as usize));
        connection.attach(&mut self.ctx, stream, head, rest, seat);
        if let Err(error) = registered {
            tracing::warn!(%error, "cannot watch a connection");
            connection.cut(&mut self.ctx, CloseCause::Lost);
        } else if let Some(code) = self.closing {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, code, "");
        } else if connection.endpoint.is_closed() {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, CloseCode::GOING_AWAY, "");
        }
    }

    /// Reads on where reading stopped for want of room towards a worker.
    fn feed(&mut self, whose: impl Fn(&Connection) -> bool) {
        let mut starved = std::mem::take(&mut self.ctx.starved);
        starved.retain(|slot| {
            let Some(connection) = self.connections.at(*slot) else { return false };
            if connection.paused != Pause::Worker {
                return false;
            }
            let mine = whose(connection);
            if mine {
                connection.resume(&mut self.ctx);
            }
            !mine
        });
        self.ctx.starved.append(&mut starved);
    }
}

impl Connection {
    /// Whether it may join a channel's list: not once it has left the registry.
    fn takes_part(&self) -> bool {
        matches!(self.phase, Phase::Active | Phase::CloseSent)
    }
}

#[cfg(test)]
mod tests;
