//! One connection's state in its shard, and every way it moves forward.

use std::sync::Arc;

use bytes::Bytes;
use wsbroker_proto::{CloseCode, MessageKind, Parser, Role, WindowBits};

use super::{
    clock::Timers,
    closing::Closing,
    context::Context,
    ending::Ending,
    inflating::Inflating,
    outbox::{Outbox, Written},
    progress::Progress,
    rate::Meter,
    stream::Stream,
    timers::Tick,
};
use crate::{
    config::Overflow,
    dispatch::WorkerEntry,
    event::EventKind,
    front::{Endpoint, Seat},
    ids::SocketId,
    metrics::{CloseCause, DropCause},
    registry::{Socket, SocketState},
    worker::Handlers,
};

/// A connection from the upgrade request to the last byte.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Arc<Socket>,
    pub(super) endpoint: Arc<Endpoint>,
    /// `None` while there is no worker at all.
    pub(super) worker: Option<Arc<WorkerEntry>>,
    /// `None` until the 101 may be written.
    pub(super) stream: Option<Stream>,
    /// Comes with the stream, and is given back with it.
    pub(super) seat: Option<Seat>,
    pub(super) parser: Parser,
    pub(super) outbox: Outbox,
    /// Bytes that were read but may not be parsed before there is room.
    pub(super) leftover: Vec<u8>,
    /// A message that was parsed but did not fit the window.
    pub(super) held: Option<Box<(MessageKind, Vec<u8>)>>,
    /// A message that is not inflated to its end yet. Comes before the leftover.
    pub(super) inflating: Option<Box<Inflating>>,
    /// The window to compress for; `None` when compression was not agreed on.
    pub(super) deflate: Option<WindowBits>,
    pub(super) phase: Phase,
    pub(super) paused: Pause,
    /// The kernel may have bytes for us.
    pub(super) readable: bool,
    /// The peer's end has been seen by the poll: read until it is reached.
    pub(super) read_closed: bool,
    /// Stands in the context's list of connections to read.
    pub(super) listed: bool,
    /// The kernel takes no more; a writable event will come.
    pub(super) blocked: bool,
    /// Nothing can be written any more, but what was received may still be read.
    pub(super) write_dead: bool,
    /// Stands in the context's list of connections to write.
    pub(super) dirty: bool,
    pub(super) fin_sent: bool,
    /// When bytes came.
    pub(super) last_seen: Tick,
    /// When the kernel took bytes.
    pub(super) last_sent: Tick,
    pub(super) last_ping: Tick,
    /// What the peer has taken.
    pub(super) progress: Progress,
    pub(super) closing: Closing,
    pub(super) timers: Timers,
    /// What it may still send; `None` is unlimited.
    pub(super) meter: Option<Box<Meter>>,
    /// What was counted of its unfinished inbound messages.
    pub(super) receive_held: usize,
    /// How it ended, for a connection that ended before its 101.
    pub(super) early_end: Option<(CloseCode, Box<str>)>,
    /// Bytes of one inbound message.
    pub(super) max_payload: usize,
    /// Of a realm's connection before its 101: the client's address, to be told.
    pub(super) ip: Option<Box<str>>,
    /// No longer counts among the connections of its listener and of its worker.
    pub(super) left: bool,
    /// How it ends once the handlers at work have settled.
    pub(super) ending: Option<Box<Ending>>,
    /// Why it ends: what came first.
    pub(super) cause: Option<CloseCause>,
}

/// Where a connection stands. Only [`ending`](super::ending) moves it forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Messages flow; before the 101 only outwards, into the outbox.
    Active,
    /// Our close frame is under way and the peer's is awaited.
    CloseSent,
    /// Handlers know its end; what remains is written, and input discarded until the peer is gone too.
    Lingering,
    /// Over: to be removed.
    Dead,
}

/// Why a connection is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pause {
    No,
    /// Its own window is full.
    Window,
    /// Its worker's window is full, or there is no worker.
    Worker,
    /// It has sent more than its rate allows.
    Rate,
    /// It has ended, and handlers of what came before are at work.
    Ending,
}

impl Connection {
    pub(super) fn new(
        socket: Arc<Socket>,
        endpoint: Arc<Endpoint>,
        worker: Option<Arc<WorkerEntry>>,
        deflate: Option<WindowBits>,
    ) -> Self {
        let limits = &endpoint.limits;
        let max_payload = limits.max_first_payload.map_or(limits.max_payload, |first| first.min(limits.max_payload));
        Self {
            socket,
            endpoint,
            worker,
            stream: None,
            seat: None,
            parser: Parser::new(Role::Server),
            outbox: Outbox::default(),
            leftover: Vec::new(),
            held: None,
            inflating: None,
            deflate,
            phase: Phase::Active,
            paused: Pause::No,
            readable: false,
            read_closed: false,
            listed: false,
            blocked: false,
            write_dead: false,
            dirty: false,
            fin_sent: false,
            last_seen: 0,
            last_sent: 0,
            last_ping: 0,
            progress: Progress::default(),
            closing: Closing::default(),
            timers: Timers::default(),
            meter: None,
            receive_held: 0,
            early_end: None,
            max_payload,
            ip: None,
            left: false,
            ending: None,
            cause: None,
        }
    }

    pub(super) fn id(&self) -> SocketId {
        self.socket.id()
    }

    pub(super) fn slot(&self) -> u32 {
        self.socket.slot()
    }

    /// Whether the 101 has been written, or is about to be.
    pub(super) fn is_attached(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether it may join a channel's list: not once it has left the registry.
    pub(super) fn takes_part(&self) -> bool {
        matches!(self.phase, Phase::Active | Phase::CloseSent)
    }

    // --- the beginning ------------------------------------------------------------------------------------------------------------

    /// The connection is in: from now on it has a stream. `head` goes out before what waits.
    pub(super) fn attach(&mut self, ctx: &mut Context, stream: Stream, head: Vec<u8>, rest: Vec<u8>, seat: Seat) {
        self.stream = Some(stream);
        self.seat = Some(seat);
        self.account(ctx, |outbox, _| outbox.push_front(head));
        ctx.tally.flow.wire_in += rest.len() as u64;
        self.leftover = rest;
        ctx.inner.sockets.opened(&self.socket);
        ctx.tally.flow.opened += 1;
        self.tell_joined(ctx);
        match self.phase {
            Phase::Active => {
                self.socket.set_state(SocketState::Open);
                let limit = self.endpoint.limits.rate_limit.as_ref();
                self.meter = limit.and_then(|limit| Meter::new(limit, ctx.time)).map(Box::new);
                self.start_clocks(ctx);
            }
            Phase::CloseSent | Phase::Lingering => {
                self.start_closing(ctx);
                if let Some((code, reason)) = self.early_end.take() {
                    self.told(ctx, code, &reason);
                }
            }
            Phase::Dead => {
                let (code, reason) = self.early_end.take().unwrap_or((CloseCode::ABNORMAL, "".into()));
                self.told(ctx, code, &reason);
                ctx.doom(self.slot());
            }
        }
        self.mark_dirty(ctx);
        self.mark_ready(ctx);
    }

    /// A realm's worker was not asked: it is told, before anything else.
    fn tell_joined(&mut self, ctx: &mut Context) {
        let Some(ip) = self.ip.take() else { return };
        match &self.worker {
            Some(worker) => ctx.batches.push(worker, &self.socket, EventKind::Joined(ip)),
            None => self.orphan(ctx),
        }
    }

    // --- sending ------------------------------------------------------------------------------------------------------------------

    /// Queues a frame that lies in `arena`. `counted` tells that it is counted in the socket's queued bytes already.
    pub(super) fn enqueue(&mut self, ctx: &mut Context, arena: &Bytes, start: usize, end: usize, counted: bool) {
        let length = end - start;
        if !self.takes_messages() {
            self.forgo(ctx, length, counted);
            return;
        }
        let limit = self.endpoint.limits.max_backpressure;
        if self.outbox.len() >= limit {
            // What piled up within this turn is no fault of the client: let the kernel have its say first.
            self.flush_all(ctx);
            if !self.takes_messages() {
                self.forgo(ctx, length, counted);
                return;
            }
            if self.outbox.len() >= limit {
                match self.endpoint.limits.overflow {
                    Overflow::Close => {
                        self.forgo(ctx, length, counted);
                        self.overflow(ctx, CloseCause::MaxBackpressure);
                        return;
                    }
                    // `send` promised to queue what it counted; it looked at the limit itself.
                    Overflow::DropNewest if counted => {}
                    Overflow::DropNewest => {
                        self.count_drops(ctx, DropCause::Newest, 1);
                        self.socket.want_drain();
                        return;
                    }
                    Overflow::DropOldest => {
                        let before = self.outbox.len();
                        let dropped = self.outbox.drop_oldest(limit, &mut ctx.spare);
                        ctx.settle_outbox(&self.socket, before, self.outbox.len());
                        self.count_drops(ctx, DropCause::Oldest, dropped);
                        self.socket.want_drain();
                    }
                }
            }
        }
        if !counted {
            self.socket.add_queued(length);
        }
        ctx.tally.message_out(length);
        let waits = self.blocked || self.stream.is_none();
        self.outbox.push(arena, start, end, waits, &mut ctx.spare);
        ctx.outbox_bytes += length;
        ctx.unflushed += length;
        self.mark_dirty(ctx);
    }

    /// Messages are not sent because the client reads too slowly, or memory is used up.
    #[cold]
    pub(super) fn count_drops(&self, ctx: &mut Context, cause: DropCause, count: u64) {
        ctx.tally.count_drops(cause, count);
        if let Some(worker) = &self.worker {
            worker.drop_frames(count);
        }
    }

    /// Whether a message may still go out.
    pub(super) fn takes_messages(&self) -> bool {
        self.phase == Phase::Active && !self.write_dead
    }

    /// A message that cannot go out any more.
    pub(super) fn forgo(&mut self, ctx: &mut Context, length: usize, counted: bool) {
        ctx.tally.count_drop(DropCause::Gone);
        if counted {
            self.socket.sub_queued(length);
        }
    }

    /// Writes what waits, as far as the kernel takes it at all.
    pub(super) fn flush_all(&mut self, ctx: &mut Context) {
        while self.flush(ctx) {}
    }

    /// Writes what waits, as far as the kernel takes it in a moment. True when it would take more; that is written in the next turn.
    pub(super) fn flush(&mut self, ctx: &mut Context) -> bool {
        let Some(stream) = self.stream.as_mut() else { return false };
        if self.blocked || self.write_dead || self.phase == Phase::Dead {
            return false;
        }
        let (before, given) = (self.outbox.len(), stream.given());
        let written = self.outbox.write(stream, &mut ctx.spare, &mut ctx.tally.flow.wire_out);
        if stream.given() != given {
            self.last_sent = ctx.now();
        }
        ctx.settle_outbox(&self.socket, before, self.outbox.len());
        match written {
            Written::All => self.written_all(ctx),
            Written::Enough => self.mark_dirty(ctx),
            Written::Blocked => {
                self.blocked = true;
                if self.outbox.len() > self.endpoint.limits.max_backpressure {
                    self.socket.want_drain();
                }
            }
            Written::Lost => {
                // What the peer sent before it went may still be there: reading finds the end.
                self.drop_outbox(ctx);
                self.write_dead = true;
                self.mark_ready(ctx);
            }
        }
        self.tell_drain(ctx);
        written == Written::Enough
    }

    fn written_all(&mut self, ctx: &mut Context) {
        if self.phase == Phase::Lingering && !self.fin_sent {
            if self.stream.as_mut().is_some_and(|stream| !stream.shutdown_write()) {
                self.blocked = true;
                return;
            }
            self.fin_sent = true;
            if self.read_closed {
                self.die(ctx);
            }
        }
    }

    fn tell_drain(&mut self, ctx: &mut Context) {
        if self.phase != Phase::Active || !self.socket.take_drain() {
            return;
        }
        match &self.worker {
            Some(worker) if worker.handlers.contains(Handlers::DRAIN) => {
                ctx.batches.push(worker, &self.socket, EventKind::Drain);
            }
            // Whoever sends nothing until he hears of room would wait for ever.
            None if self.socket.realm().is_none() => {
                ctx.keep(&self.socket, EventKind::Drain, Bytes::new());
            }
            _ => {}
        }
    }

    /// The kernel takes bytes again.
    pub(super) fn writable(&mut self, ctx: &mut Context) {
        if self.blocked {
            self.blocked = false;
            self.mark_dirty(ctx);
        }
    }

    pub(super) fn mark_dirty(&mut self, ctx: &mut Context) {
        if !self.dirty && !self.blocked {
            self.dirty = true;
            ctx.dirty.push(self.slot());
        }
    }

    pub(super) fn mark_ready(&mut self, ctx: &mut Context) {
        self.readable = true;
        if !self.listed && self.stream.is_some() {
            self.listed = true;
            ctx.ready.push(self.slot());
        }
    }

    /// Changes the outbox by frames of our own, and counts them.
    pub(super) fn account(&mut self, ctx: &mut Context, change: impl FnOnce(&mut Outbox, &mut super::outbox::Spare)) {
        let before = self.outbox.len();
        change(&mut self.outbox, &mut ctx.spare);
        ctx.settle_outbox(&self.socket, before, self.outbox.len());
    }

    pub(super) fn drop_outbox(&mut self, ctx: &mut Context) {
        self.account(ctx, |outbox, _| outbox.clear());
    }

    // --- reading ------------------------------------------------------------------------------------------------------------------

    /// The peer's end has been seen by the poll.
    pub(super) fn half_closed(&mut self, ctx: &mut Context) {
        self.read_closed = true;
        self.bound_by_its_end(ctx);
    }

    /// Answers a ping: each while the kernel takes what we write, of those that come meanwhile only the newest.
    pub(super) fn pong(&mut self, ctx: &mut Context, payload: &[u8]) {
        if self.phase != Phase::Active {
            return;
        }
        if self.blocked {
            self.outbox.set_pong(payload);
        } else {
            self.account(ctx, |outbox, spare| outbox.push_pong(payload, spare));
            self.mark_dirty(ctx);
        }
    }
}
