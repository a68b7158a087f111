//! One connection's state in its shard, and every way it moves forward.

use std::sync::Arc;

use bytes::Bytes;
use wsbroker_proto::{CloseCode, MessageKind, Parser, Role};

use super::{
    command::Place,
    context::Context,
    outbox::{Outbox, Written},
    stream::Stream,
    timers::{Entry, Tick, ticks},
};
use crate::{
    config::Overflow,
    dispatch::WorkerEntry,
    event::EventKind,
    front::Endpoint,
    ids::{SocketId, WorkerId},
    registry::{Awaited, Socket, SocketState},
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
    pub(super) parser: Parser,
    pub(super) outbox: Outbox,
    /// Bytes that were read but may not be parsed before there is room.
    pub(super) leftover: Vec<u8>,
    /// A message that was parsed but did not fit the window.
    pub(super) held: Option<Box<(MessageKind, Vec<u8>)>>,
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
    /// A ping is out since the last byte came.
    pinged: bool,
    fin_sent: bool,
    last_seen: Tick,
    /// When the timer that counts fires; 0 = none. Others in the wheel are stale.
    timer: Tick,
    /// When the close handshake is given up.
    deadline: Tick,
    /// What was counted of its unfinished inbound messages.
    pub(super) receive_held: usize,
    /// How it ended, for a connection that ended before its 101.
    early_end: Option<(CloseCode, Box<str>)>,
    /// Counts no more among its listener's connections.
    left: bool,
    /// How it ends once the handlers at work have settled.
    ending: Option<Box<Ending>>,
}

/// Where a connection stands. Only this module moves it forward.
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
    /// It has ended, and handlers of what came before are at work.
    Ending,
}

/// The end of a connection as the peer brought it about, by a close frame or by breaking the protocol.
#[derive(Debug)]
pub(super) enum Ending {
    Peer(Option<CloseCode>, Box<str>),
    Failure(CloseCode),
}

impl Connection {
    pub(super) fn new(socket: Arc<Socket>, endpoint: Arc<Endpoint>, worker: Option<Arc<WorkerEntry>>) -> Self {
        Self {
            socket,
            endpoint,
            worker,
            stream: None,
            parser: Parser::new(Role::Server),
            outbox: Outbox::default(),
            leftover: Vec::new(),
            held: None,
            phase: Phase::Active,
            paused: Pause::No,
            readable: false,
            read_closed: false,
            listed: false,
            blocked: false,
            write_dead: false,
            dirty: false,
            pinged: false,
            fin_sent: false,
            last_seen: 0,
            timer: 0,
            deadline: 0,
            receive_held: 0,
            early_end: None,
            left: false,
            ending: None,
        }
    }

    pub(super) fn id(&self) -> SocketId {
        self.socket.id()
    }

    fn slot(&self) -> u32 {
        self.socket.slot()
    }

    /// Whether the 101 has been written, or is about to be.
    pub(super) fn is_attached(&self) -> bool {
        self.stream.is_some()
    }

    // --- the beginning ------------------------------------------------------------------------------------------------------------

    /// The connection is in: from now on it has a stream. `head` goes out before what waits.
    pub(super) fn attach(&mut self, ctx: &mut Context, stream: Stream, head: Vec<u8>, rest: Vec<u8>) {
        self.stream = Some(stream);
        self.account(ctx, |outbox, _| outbox.push_front(head));
        self.leftover = rest;
        self.last_seen = ctx.now();
        ctx.inner.sockets.opened();
        match self.phase {
            Phase::Active => {
                self.socket.set_state(SocketState::Open);
                if let Some(first) = self.next_idle_check() {
                    self.set_timer(ctx, first);
                }
            }
            Phase::CloseSent | Phase::Lingering => {
                self.start_deadline(ctx);
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

    // --- sending ------------------------------------------------------------------------------------------------------------------

    /// Queues a frame that lies in `arena`. `counted` tells that it is counted in the socket's queued bytes already.
    pub(super) fn enqueue(&mut self, ctx: &mut Context, arena: &Bytes, start: usize, end: usize, counted: bool) {
        let length = end - start;
        if self.phase != Phase::Active || self.write_dead {
            if counted {
                self.socket.sub_queued(length);
            }
            return;
        }
        let limit = self.endpoint.limits.max_backpressure;
        if self.outbox.len() >= limit {
            // What piled up within this turn is no fault of the client: let the kernel have its say first.
            self.flush(ctx);
            if self.phase != Phase::Active || self.write_dead {
                if counted {
                    self.socket.sub_queued(length);
                }
                return;
            }
            if self.outbox.len() >= limit {
                match self.endpoint.limits.overflow {
                    Overflow::Close => {
                        if counted {
                            self.socket.sub_queued(length);
                        }
                        self.overflow(ctx);
                        return;
                    }
                    // `send` promised to queue what it counted; it looked at the limit itself.
                    Overflow::DropNewest if counted => {}
                    Overflow::DropNewest | Overflow::DropOldest => {
                        self.socket.want_drain();
                        return;
                    }
                }
            }
        }
        if !counted {
            self.socket.add_queued(length);
        }
        let waits = self.blocked || self.stream.is_none();
        self.outbox.push(arena, start, end, waits, &mut ctx.spare);
        ctx.outbox_bytes += length;
        ctx.unflushed += length;
        self.mark_dirty(ctx);
    }

    /// Writes what waits, as far as the kernel takes it.
    pub(super) fn flush(&mut self, ctx: &mut Context) {
        let Some(stream) = self.stream.as_mut() else { return };
        if self.blocked || self.write_dead || self.phase == Phase::Dead {
            return;
        }
        let before = self.outbox.len();
        let written = self.outbox.write(stream, &mut ctx.spare);
        ctx.settle_outbox(&self.socket, before, self.outbox.len());
        match written {
            Written::All => self.written_all(ctx),
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
    }

    fn written_all(&mut self, ctx: &mut Context) {
        if self.phase == Phase::Lingering && !self.fin_sent {
            self.fin_sent = true;
            if let Some(stream) = &self.stream {
                stream.shutdown_write();
            }
            if self.read_closed {
                self.die(ctx);
            }
        }
    }

    fn tell_drain(&mut self, ctx: &mut Context) {
        if self.phase == Phase::Active
            && self.socket.wants_drain()
            && self.socket.queued() <= self.endpoint.limits.max_backpressure / 2
            && self.socket.take_drain()
            && let Some(worker) = &self.worker
            && worker.handlers.contains(Handlers::DRAIN)
        {
            ctx.batches.push(worker, &self.socket, EventKind::Drain);
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
    fn account(&mut self, ctx: &mut Context, change: impl FnOnce(&mut Outbox, &mut super::outbox::Spare)) {
        let before = self.outbox.len();
        change(&mut self.outbox, &mut ctx.spare);
        ctx.settle_outbox(&self.socket, before, self.outbox.len());
    }

    fn drop_outbox(&mut self, ctx: &mut Context) {
        self.account(ctx, |outbox, _| outbox.clear());
    }

    // --- reading ------------------------------------------------------------------------------------------------------------------

    /// Bytes came: the peer is alive.
    pub(super) fn seen(&mut self, ctx: &Context) {
        self.last_seen = ctx.now();
        self.pinged = false;
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

    /// The peer's end, without a close frame.
    pub(super) fn end_of_stream(&mut self, ctx: &mut Context) {
        if self.phase != Phase::Lingering {
            self.ended(ctx, CloseCode::ABNORMAL, "");
            self.die(ctx);
        } else if self.fin_sent || self.write_dead {
            self.die(ctx);
        } else {
            // It may have closed its side only: our close frame goes out first.
            self.read_closed = true;
            self.mark_dirty(ctx);
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------------------------

    /// Starts the close handshake (RFC 6455 §7.1.2), behind what is queued.
    pub(super) fn begin_close(&mut self, ctx: &mut Context, code: CloseCode, reason: &str) {
        if self.phase != Phase::Active {
            return;
        }
        if self.ending.is_some() {
            // The peer was first.
            self.end_now(ctx);
            return;
        }
        self.phase = Phase::CloseSent;
        // As what comes behind it: discarded. Else it would pause the reading, and the peer's close frame would not be seen.
        self.held = None;
        self.socket.set_state(SocketState::Closing);
        self.account(ctx, |outbox, spare| {
            outbox.push_close(Some(code), reason, spare);
        });
        self.unpause();
        if self.is_attached() {
            self.start_deadline(ctx);
            self.mark_dirty(ctx);
            self.mark_ready(ctx);
        }
    }

    /// The peer brought it to an end. Our close frame goes out behind what the handlers of earlier messages send, if they settle within
    /// the close timeout; nothing is read meanwhile.
    pub(super) fn end_behind_handlers(&mut self, ctx: &mut Context, ending: Ending) {
        self.ending = Some(Box::new(ending));
        if self.phase != Phase::Active {
            self.end_now(ctx);
            return;
        }
        self.paused = Pause::Ending;
        if self.socket.window().messages > 0 {
            self.socket.set_awaited(Awaited::Rest);
            // The last handler may have settled in between, before it could see that somebody waits.
            if self.socket.window().messages > 0 {
                self.start_deadline(ctx);
                return;
            }
            self.socket.set_awaited(Awaited::Nothing);
        }
        // What they have sent is on its way, but not here yet.
        ctx.ending.push(Place::of(&self.socket));
    }

    /// The worker whose flush its end has to wait for.
    pub(super) fn await_flush(&mut self, ctx: &mut Context) -> Option<WorkerId> {
        let worker = self.worker.as_ref().filter(|worker| worker.await_flush())?.id;
        self.start_deadline(ctx);
        Some(worker)
    }

    fn end_now(&mut self, ctx: &mut Context) {
        self.deadline = 0;
        match self.ending.take().as_deref() {
            Some(Ending::Peer(code, reason)) => self.peer_closed(ctx, *code, reason),
            Some(Ending::Failure(code)) => self.fail(ctx, *code),
            None => {}
        }
    }

    /// What was awaited has come: room, or the end of all handlers.
    pub(super) fn go_ahead(&mut self, ctx: &mut Context) {
        match self.paused {
            Pause::Window => self.resume(ctx),
            Pause::Ending => self.end_now(ctx),
            Pause::No | Pause::Worker => {}
        }
    }

    /// The peer's close frame: answered if it came first (RFC 6455 §5.5.1).
    fn peer_closed(&mut self, ctx: &mut Context, code: Option<CloseCode>, reason: &str) {
        if self.phase == Phase::Active {
            self.account(ctx, |outbox, spare| {
                outbox.push_close(code, "", spare);
            });
        }
        self.linger(ctx, code.unwrap_or(CloseCode::NO_STATUS), reason);
    }

    /// Fails the connection (RFC 6455 §7.1.7): a close frame with this code, and nothing more is taken from the peer.
    pub(super) fn fail(&mut self, ctx: &mut Context, code: CloseCode) {
        if self.phase == Phase::Active {
            self.account(ctx, |outbox, spare| {
                outbox.push_close(Some(code), "", spare);
            });
        }
        self.linger(ctx, code, "");
    }

    /// Closes a slow socket (1013): what it has not read is dropped, so that the close frame comes soon and memory is free at once.
    pub(super) fn overflow(&mut self, ctx: &mut Context) {
        if self.phase == Phase::Dead {
            return;
        }
        let active = self.phase == Phase::Active;
        self.account(ctx, |outbox, spare| {
            outbox.discard_unsent();
            if active {
                outbox.push_close(Some(CloseCode::TRY_AGAIN), "too slow", spare);
            }
        });
        self.linger(ctx, CloseCode::TRY_AGAIN, "too slow");
    }

    /// Cuts the connection without a word.
    pub(super) fn cut(&mut self, ctx: &mut Context) {
        self.ended(ctx, CloseCode::ABNORMAL, "");
        self.die(ctx);
    }

    fn linger(&mut self, ctx: &mut Context, code: CloseCode, reason: &str) {
        if matches!(self.phase, Phase::Lingering | Phase::Dead) {
            return;
        }
        self.ended(ctx, code, reason);
        self.phase = Phase::Lingering;
        self.ending = None;
        self.leftover = Vec::new();
        self.parser = Parser::new(Role::Server);
        self.count_receive(ctx);
        self.unpause();
        if self.is_attached() {
            self.start_deadline(ctx);
            self.mark_dirty(ctx);
            self.mark_ready(ctx);
        }
    }

    /// Handlers are told, once; before the 101 the telling waits for it.
    fn ended(&mut self, ctx: &mut Context, code: CloseCode, reason: &str) {
        if matches!(self.phase, Phase::Lingering | Phase::Dead) {
            return;
        }
        self.socket.set_state(SocketState::Closed);
        self.held = None;
        if self.is_attached() {
            self.told(ctx, code, reason);
        } else {
            self.early_end = Some((code, reason.into()));
        }
    }

    /// The close event, and the end of its place among the open sockets.
    fn told(&mut self, ctx: &mut Context, code: CloseCode, reason: &str) {
        ctx.inner.sockets.closed();
        self.close_event(ctx, code, reason);
    }

    fn close_event(&mut self, ctx: &mut Context, code: CloseCode, reason: &str) {
        // The lists of subscribers may be in use by a publish right now, so this socket leaves them when the turn is over.
        ctx.retired.push(Arc::clone(&self.socket));
        let kind = EventKind::Close { code: code.get(), reason: reason.into() };
        // Without one since before its 101: whoever has joined since was not told of it.
        match self.worker.take().or_else(|| ctx.inner.dispatch.assign()) {
            Some(worker) => {
                if worker.handlers.contains(Handlers::CLOSE) {
                    ctx.batches.push(&worker, &self.socket, kind);
                }
                worker.release();
            }
            None => ctx.homeless.push(Arc::clone(&self.socket), kind, Bytes::new()),
        }
        self.leave_endpoint(ctx);
    }

    /// Counts no more among its listener's connections.
    pub(super) fn leave_endpoint(&mut self, ctx: &mut Context) {
        if !std::mem::replace(&mut self.left, true) {
            ctx.leaving.push(Arc::clone(&self.endpoint));
        }
    }

    /// Let in by a worker after its client had been answered 503: it has its close event, and nothing else.
    pub(super) fn accepted_late(&mut self, ctx: &mut Context) {
        self.early_end = None;
        self.socket.set_state(SocketState::Closed);
        self.close_event(ctx, CloseCode::ABNORMAL, "");
        self.die(ctx);
    }

    /// Refused, or lost before the verdict: as if it had never been.
    pub(super) fn abandon(&mut self, ctx: &mut Context) {
        self.early_end = None;
        self.socket.set_state(SocketState::Closed);
        ctx.retired.push(Arc::clone(&self.socket));
        if let Some(worker) = self.worker.take() {
            worker.release();
        }
        self.leave_endpoint(ctx);
        self.die(ctx);
    }

    fn die(&mut self, ctx: &mut Context) {
        self.phase = Phase::Dead;
        if self.is_attached() || self.early_end.is_none() {
            ctx.doom(self.slot());
        }
        // Otherwise the place is kept until the 101 is due, which tells handlers.
    }

    // --- time ---------------------------------------------------------------------------------------------------------------------

    /// The clocks stand still while we ourselves do not read.
    pub(super) fn resume(&mut self, ctx: &mut Context) {
        self.unpause();
        self.seen(ctx);
        self.mark_ready(ctx);
    }

    fn unpause(&mut self) {
        self.paused = Pause::No;
        self.socket.set_awaited(Awaited::Nothing);
    }

    fn next_idle_check(&self) -> Option<Tick> {
        let idle = self.endpoint.limits.idle_timeout?;
        let wait = if self.endpoint.limits.pings && !self.pinged { idle / 2 } else { idle };
        // One more, since `last_seen` is rounded down.
        Some(self.last_seen + ticks(wait) + 1)
    }

    fn start_deadline(&mut self, ctx: &mut Context) {
        let deadline = ctx.now() + ticks(self.endpoint.limits.close_timeout) + 1;
        // A deadline that runs is not put off.
        if self.deadline == 0 {
            self.deadline = deadline;
            self.set_timer(ctx, deadline);
        }
    }

    fn set_timer(&mut self, ctx: &mut Context, due: Tick) {
        self.timer = due;
        ctx.wheel.set(Entry { slot: self.slot(), due });
    }

    /// A timer that was set for this slot has fired; perhaps not the one that counts.
    pub(super) fn timer(&mut self, ctx: &mut Context, due: Tick) {
        if due != self.timer {
            return;
        }
        self.timer = 0;
        match self.phase {
            Phase::Dead => {}
            Phase::CloseSent | Phase::Lingering => self.cut(ctx),
            Phase::Active if self.ending.is_some() => self.end_now(ctx),
            Phase::Active => {
                if self.paused != Pause::No || self.readable {
                    // We are behind, not the peer.
                    self.seen(ctx);
                }
                let Some(next) = self.next_idle_check() else { return };
                if next > ctx.now() {
                    self.set_timer(ctx, next);
                } else if self.endpoint.limits.pings && !self.pinged {
                    self.pinged = true;
                    if !self.blocked {
                        self.account(ctx, |outbox, spare| {
                            outbox.push_ping(spare);
                        });
                        self.mark_dirty(ctx);
                    }
                    if let Some(next) = self.next_idle_check() {
                        self.set_timer(ctx, next);
                    }
                } else {
                    self.cut(ctx);
                }
            }
        }
    }
}
