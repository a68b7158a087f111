//! One connection's state in its shard, what is queued for it, and how that is written. Its
//! beginning, its reading, its clocks and its end are in modules of their own.

use std::sync::Arc;

use bytes::Bytes;
use wsbroker_proto::{CloseCode, MessageKind, Parser, Role, WindowBits};

use super::{
    codec::Inflating,
    connection_state::{ConnectionPhase, Pause, PeerEnd, ReadState, WithThe101, WriteState},
    context::ShardContext,
    cursors::Cursors,
    leftover::Leftover,
    meter::RateMeter,
    outbox::{Outbox, Written},
    progress::{ClosingProgress, WriteProgress},
    timers::ConnectionTimers,
    wheel::Tick,
};
use crate::{
    admission::{ConnectionPermit, Endpoint},
    config::Overflow,
    counters::{CloseCause, DropCause, payload_of},
    dispatch::WorkerEntry,
    event::EventKind,
    ids::SocketId,
    registry::{Socket, SocketState},
    stream::Stream,
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
    pub(super) permit: Option<ConnectionPermit>,
    pub(super) parser: Parser,
    pub(super) outbox: Outbox,
    /// Bytes that were read but may not be parsed before there is room.
    pub(super) leftover: Leftover,
    /// A message that was parsed but did not fit the window.
    pub(super) held: Option<Box<(MessageKind, Vec<u8>)>>,
    /// A message that is not inflated to its end yet. Comes before the leftover.
    pub(super) inflating: Option<Box<Inflating>>,
    /// The window to compress for; `None` when compression was not agreed on.
    pub(super) deflate: Option<WindowBits>,
    pub(super) phase: ConnectionPhase,
    pub(super) paused: Pause,
    pub(super) read_state: ReadState,
    /// The peer's end has been seen by the poll: read until it is reached.
    pub(super) peer_ended: bool,
    pub(super) write_state: WriteState,
    /// Its subprotocol is `wsbroker.v1`.
    pub(super) speaks_channels: bool,
    /// What was read last began with a long message that had come whole.
    pub(super) reads_long: bool,
    /// It is in the list of connections that are written next.
    pub(super) dirty: bool,
    /// When bytes came.
    pub(super) last_seen: Tick,
    /// When the kernel took bytes.
    pub(super) last_sent: Tick,
    pub(super) last_ping: Tick,
    /// When it got its 101.
    pub(super) opened_at: Tick,
    /// When the ping went out that has not been answered, in microseconds of the shard's time that
    /// wrap; 0: there is none.
    pub(super) ping_sent: u32,
    /// What the peer has taken.
    pub(super) progress: WriteProgress,
    pub(super) closing: ClosingProgress,
    pub(super) timers: ConnectionTimers,
    /// The rate at which it may send; `None` is unlimited.
    pub(super) meter: Option<Box<RateMeter>>,
    /// What was counted of its unfinished inbound messages.
    pub(super) receive_held: usize,
    /// How it ended, for a connection that ended before its 101.
    pub(super) early_end: Option<Box<(CloseCode, Box<str>)>>,
    /// Bytes of one inbound message.
    pub(super) max_payload: usize,
    pub(super) with_the_101: WithThe101,
    /// It no longer counts among the connections of its listener and of its worker.
    pub(super) uncounted: bool,
    /// How it ends once the handlers at work have settled.
    pub(super) ending: Option<Box<PeerEnd>>,
    /// Why it ends: what came first.
    pub(super) cause: Option<CloseCause>,
    /// The channels with history in which it is behind; `None` in most.
    pub(super) cursors: Option<Box<Cursors>>,
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
            permit: None,
            parser: Parser::new(Role::Server),
            outbox: Outbox::default(),
            leftover: Leftover::default(),
            held: None,
            inflating: None,
            deflate,
            phase: ConnectionPhase::Active,
            paused: Pause::No,
            read_state: ReadState::Drained,
            peer_ended: false,
            write_state: WriteState::Open,
            speaks_channels: false,
            reads_long: false,
            dirty: false,
            last_seen: 0,
            last_sent: 0,
            last_ping: 0,
            opened_at: 0,
            ping_sent: 0,
            progress: WriteProgress::default(),
            closing: ClosingProgress::default(),
            timers: ConnectionTimers::default(),
            meter: None,
            receive_held: 0,
            early_end: None,
            max_payload,
            with_the_101: WithThe101::Nothing,
            uncounted: false,
            ending: None,
            cause: None,
            cursors: None,
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
        matches!(self.phase, ConnectionPhase::Active | ConnectionPhase::CloseSent)
    }

    // --- the beginning ---------------------------------------------------------------------------

    /// The connection is in: from now on it has a stream. `head` goes out before what waits.
    pub(super) fn attach(
        &mut self,
        ctx: &mut ShardContext,
        stream: Stream,
        head: Vec<u8>,
        rest: Vec<u8>,
        permit: ConnectionPermit,
    ) {
        self.stream = Some(stream);
        self.permit = Some(permit);
        self.speaks_channels = self.socket.speaks_channels();
        self.account(ctx, |outbox, _| outbox.push_front(head));
        ctx.tally.flow.wire_in += rest.len() as u64;
        self.leftover.extend(&rest);
        ctx.broker.sockets.opened(&self.socket);
        ctx.tally.flow.opened += 1;
        self.opened_at = ctx.now();
        match std::mem::take(&mut self.with_the_101) {
            WithThe101::Nothing => {}
            WithThe101::TellWorker => self.tell_joined(ctx),
            WithThe101::Close => {
                self.close_without_worker(ctx);
            }
        }
        match self.phase {
            ConnectionPhase::Active => {
                self.socket.set_state(SocketState::Open);
                let limit = self.endpoint.limits.rate_limit.as_ref();
                self.meter = limit.and_then(|limit| RateMeter::new(limit, ctx.time)).map(Box::new);
                self.start_clocks(ctx);
            }
            ConnectionPhase::CloseSent | ConnectionPhase::Lingering => {
                self.start_closing(ctx);
                if let Some(end) = self.early_end.take() {
                    self.report_close(ctx, end.0, &end.1);
                }
            }
            ConnectionPhase::Dead => {
                let end = self.early_end.take().unwrap_or_else(|| Box::new((CloseCode::ABNORMAL, "".into())));
                self.report_close(ctx, end.0, &end.1);
                ctx.remove_later(self.slot());
            }
        }
        self.mark_dirty(ctx);
        self.mark_ready(ctx);
    }

    /// A namespace's worker was not asked: it is told, before anything else.
    fn tell_joined(&mut self, ctx: &mut ShardContext) {
        let ip = self.socket.origin().and_then(|origin| origin.ip);
        let ip = ip.map_or_else(String::new, |ip| ip.to_string()).into();
        match &self.worker {
            Some(worker) => {
                self.socket.enter_other();
                ctx.batches.push(worker, &self.socket, EventKind::Joined(ip));
            }
            None => {
                self.close_without_worker(ctx);
            }
        }
    }

    // --- sending ---------------------------------------------------------------------------------

    /// Queues a frame that lies in `arena`. `counted` tells that it is counted in the socket's
    /// queued bytes already.
    pub(super) fn enqueue(&mut self, ctx: &mut ShardContext, arena: &Bytes, start: usize, end: usize, counted: bool) {
        let length = end - start;
        if !self.takes_messages() {
            self.drop_message(ctx, length, counted);
            return;
        }
        let limit = self.endpoint.limits.max_backpressure;
        if self.outbox.len() >= limit {
            // What piled up within this turn is not the client's fault: first write what the kernel
            // takes.
            self.flush_all(ctx);
            if !self.takes_messages() {
                self.drop_message(ctx, length, counted);
                return;
            }
            if self.outbox.len() >= limit {
                match self.overflow_policy() {
                    Overflow::Close => {
                        self.drop_message(ctx, length, counted);
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
        self.socket.count_out(payload_of(length));
        let waits = self.write_state == WriteState::Blocked || self.stream.is_none();
        self.outbox.push(arena, start, end, waits, &mut ctx.spare);
        ctx.outbox_bytes += length;
        ctx.unflushed += length;
        self.mark_dirty(ctx);
    }

    /// What becomes of a message for which there is no room. A client of `wsbroker.v1` that misses
    /// one of its control messages does not know where it is, so it is closed, and comes back.
    pub(super) fn overflow_policy(&self) -> Overflow {
        if self.speaks_channels { Overflow::Close } else { self.endpoint.limits.overflow }
    }

    /// Messages are not sent because the client reads too slowly, or memory is used up.
    #[cold]
    pub(super) fn count_drops(&self, ctx: &mut ShardContext, cause: DropCause, count: u64) {
        ctx.tally.count_drops(cause, count);
        ctx.broker.slow.count_drops(self.id(), count);
        if let Some(worker) = &self.worker {
            worker.drop_frames(count);
        }
    }

    /// Whether a message may still go out.
    pub(super) fn takes_messages(&self) -> bool {
        self.phase == ConnectionPhase::Active && self.write_state != WriteState::Dead
    }

    /// A message that cannot go out any more.
    pub(super) fn drop_message(&mut self, ctx: &mut ShardContext, length: usize, counted: bool) {
        ctx.tally.count_drop(DropCause::Gone);
        if counted {
            self.socket.sub_queued(length);
        }
    }

    /// Writes what waits, as far as the kernel takes it at all.
    pub(super) fn flush_all(&mut self, ctx: &mut ShardContext) {
        while self.flush(ctx) {}
    }

    /// Writes what waits, as far as the kernel takes it in a moment. True when it would take more;
    /// that is written in the next turn.
    pub(super) fn flush(&mut self, ctx: &mut ShardContext) -> bool {
        let Some(stream) = self.stream.as_mut() else { return false };
        let closed = matches!(self.write_state, WriteState::Blocked | WriteState::Dead);
        if closed || self.phase == ConnectionPhase::Dead {
            return false;
        }
        if self.phase == ConnectionPhase::Lingering {
            stream.announce_end();
        }
        let (before, given) = (self.outbox.len(), stream.given());
        let written = self.outbox.write(stream, &mut ctx.spare, &mut ctx.tally.flow.wire_out);
        if stream.given() != given {
            self.last_sent = ctx.now();
        }
        ctx.settle_outbox(&self.socket, before, self.outbox.len());
        match written {
            Written::All => {
                if self.progress.slow {
                    self.progress.slow = false;
                    ctx.broker.slow.remove(self.id());
                }
                self.written_all(ctx);
            }
            Written::Enough => self.mark_dirty(ctx),
            Written::Blocked => {
                if self.write_state == WriteState::Open {
                    self.write_state = WriteState::Blocked;
                }
                if !std::mem::replace(&mut self.progress.slow, true) {
                    ctx.broker.slow.insert(&self.socket);
                }
                if self.outbox.len() > self.endpoint.limits.max_backpressure {
                    self.socket.want_drain();
                }
            }
            Written::Lost => {
                // What the peer sent before it went may still be there: reading finds the end.
                self.drop_outbox(ctx);
                self.write_state = WriteState::Dead;
                self.mark_ready(ctx);
            }
        }
        self.tell_drain(ctx);
        if self.cursors.is_some() {
            self.refill(ctx);
        }
        written == Written::Enough
    }

    fn written_all(&mut self, ctx: &mut ShardContext) {
        if self.phase == ConnectionPhase::Lingering && self.write_state != WriteState::Ended {
            if self.stream.as_mut().is_some_and(|stream| !stream.shutdown_write()) {
                self.write_state = WriteState::Blocked;
                return;
            }
            self.write_state = WriteState::Ended;
            if self.peer_ended {
                self.set_dead(ctx);
            }
        }
    }

    fn tell_drain(&mut self, ctx: &mut ShardContext) {
        if self.phase != ConnectionPhase::Active || !self.socket.take_drain() {
            return;
        }
        match &self.worker {
            Some(worker) if worker.handlers.contains(Handlers::DRAIN) => {
                self.socket.enter_other();
                ctx.batches.push(worker, &self.socket, EventKind::Drain);
            }
            // An application that sends nothing before it hears of room would wait for ever.
            None if self.socket.namespace().is_none() => {
                self.socket.enter_other();
                ctx.keep(&self.socket, EventKind::Drain, Bytes::new());
            }
            _ => {}
        }
    }

    /// The kernel takes bytes again.
    pub(super) fn writable(&mut self, ctx: &mut ShardContext) {
        if self.write_state == WriteState::Blocked {
            self.write_state = WriteState::Open;
            self.mark_dirty(ctx);
        }
    }

    pub(super) fn mark_dirty(&mut self, ctx: &mut ShardContext) {
        if !self.dirty && self.write_state != WriteState::Blocked {
            self.dirty = true;
            ctx.dirty.push(self.slot());
        }
    }

    pub(super) fn mark_ready(&mut self, ctx: &mut ShardContext) {
        if self.read_state == ReadState::Listed {
            return;
        }
        self.read_state = if self.stream.is_some() {
            ctx.ready.push(self.slot());
            ReadState::Listed
        } else {
            ReadState::Readable
        };
    }

    /// Changes the outbox by frames of our own, and counts them.
    pub(super) fn account(
        &mut self,
        ctx: &mut ShardContext,
        change: impl FnOnce(&mut Outbox, &mut super::outbox::Spare),
    ) {
        let before = self.outbox.len();
        change(&mut self.outbox, &mut ctx.spare);
        ctx.settle_outbox(&self.socket, before, self.outbox.len());
    }

    pub(super) fn drop_outbox(&mut self, ctx: &mut ShardContext) {
        self.account(ctx, |outbox, _| outbox.clear());
    }

    // --- reading ---------------------------------------------------------------------------------

    /// The peer's end has been seen by the poll.
    pub(super) fn half_closed(&mut self, ctx: &mut ShardContext) {
        self.peer_ended = true;
        self.bound_by_its_end(ctx);
    }

    /// The last read has emptied the stream.
    pub(super) fn set_drained(&mut self) {
        // While it is in the list it is read once more.
        if self.read_state != ReadState::Listed {
            self.read_state = ReadState::Drained;
        }
    }

    /// Answers a ping of `wsbroker.v1`, before what waits and was not begun.
    #[cold]
    pub(super) fn pong_in_text(&mut self, ctx: &mut ShardContext) {
        if self.takes_messages() {
            self.outbox.set_text_pong();
            self.mark_dirty(ctx);
        }
    }

    /// Answers a ping: each while the kernel takes what we write, of those that come meanwhile only
    /// the newest.
    pub(super) fn pong(&mut self, ctx: &mut ShardContext, payload: &[u8]) {
        if self.phase != ConnectionPhase::Active {
            return;
        }
        if self.write_state == WriteState::Open {
            self.account(ctx, |outbox, spare| outbox.push_pong(payload, spare));
            self.mark_dirty(ctx);
        } else {
            self.outbox.set_pong(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker has as many as its memory holds.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_connection_stays_small() {
        assert!(size_of::<Connection>() <= 400, "{} bytes", size_of::<Connection>());
    }
}
