//! From bytes to events: reads a connection, parses, and stops where there is no room.

use std::io;

use wsbroker_proto::{CloseCode, Input, Item, Limits, MessageKind, Opcode, Payload, ProtocolError};

use bytes::Bytes;

use super::{
    batches::MessageBytes,
    connection::Connection,
    connection_state::{ConnectionPhase, Pause, PeerEnd, WriteState},
    context::ShardContext,
};
use crate::{
    channel_protocol::PING,
    counters::CloseCause,
    dispatch,
    event::{self, OVERHEAD},
    registry::WindowUse,
    stream::Stream,
    worker::Handlers,
};

/// Reads of one connection per turn, so that one busy peer does not keep the others waiting.
const READS: usize = 4;
/// From so many bytes of payload on that are still to come, they are read straight into the memory
/// of their message, and
const STRAIGHT_MIN: usize = 16 << 10;
/// this many at a time.
const STRAIGHT_MAX: usize = 128 << 10;
/// What they may cost besides, whatever the peer makes of so many bytes: that many bytes that are
/// inflated, or, as [`ITEM`] says, 4,096 messages and control frames. One item may cost more, a
/// slice of [`inflating`](super::inflating) at most.
const ALLOWANCE: usize = 256 << 10;
const ITEM: usize = 64;

impl Connection {
    /// Reads what the kernel has, up to a bound, and turns it into events. True when there may be
    /// more.
    pub(super) fn read(&mut self, ctx: &mut ShardContext, buffer: &mut [u8]) -> bool {
        if self.phase == ConnectionPhase::Dead || self.paused != Pause::No {
            return false;
        }
        ctx.allowance = ALLOWANCE;
        if self.held.is_some() || self.is_behind() {
            self.go_on(ctx);
        }
        for _ in 0..READS {
            if self.paused != Pause::No || self.phase == ConnectionPhase::Dead {
                return false;
            }
            if self.is_behind() {
                return true;
            }
            let straight = self.reads_straight();
            if straight && !(self.within_rate(ctx) && self.room_for(ctx, 0)) {
                return false;
            }
            let Some(stream) = self.stream.as_mut() else { return false };
            let (read, room) = match self.parser.room_for_payload(STRAIGHT_MIN) {
                Some((memory, room)) if straight => {
                    let room = room.min(STRAIGHT_MAX);
                    (stream.read_behind(memory, room), room)
                }
                _ => (stream.read(buffer), buffer.len()),
            };
            match read {
                Ok(0) => {
                    self.set_drained();
                    self.end_of_stream(ctx);
                    return false;
                }
                Ok(count) => {
                    let drained = stream.is_drained(count, room);
                    self.seen(ctx);
                    ctx.tally.flow.wire_in += count as u64;
                    if straight {
                        self.take_appended(ctx, count);
                    } else {
                        self.take(ctx, buffer.get_mut(..count).unwrap_or_default());
                    }
                    if drained && !self.peer_ended && !self.is_behind() {
                        self.set_drained();
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.set_drained();
                    if self.write_state == WriteState::Dead {
                        // A write failed and nothing is left to read: the peer has gone.
                        self.end_of_stream(ctx);
                    }
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    // Bytes, but of a record that is not whole yet.
                    self.seen(ctx);
                    self.count_receive(ctx);
                }
                Err(_) => {
                    self.set_drained();
                    self.write_state = WriteState::Dead;
                    self.end_of_stream(ctx);
                    return false;
                }
            }
        }
        true
    }

    /// Whether it has not done yet with what was read.
    fn is_behind(&self) -> bool {
        !self.leftover.is_empty() || self.inflating.is_some()
    }

    /// Goes on with what was kept when there was no room, or no time.
    fn go_on(&mut self, ctx: &mut ShardContext) {
        if let Some(held) = self.held.take() {
            let (kind, bytes) = *held;
            if !self.deliver(ctx, kind, MessageBytes::Owned(bytes)) {
                return;
            }
        }
        match self.go_on_inflating(ctx) {
            Ok(true) => {}
            Ok(false) => return self.count_receive(ctx),
            Err(error) => {
                self.violated(ctx, error);
                self.leftover.clear();
                return self.count_receive(ctx);
            }
        }
        let mut rest = self.leftover.take();
        self.take(ctx, &mut rest);
    }

    /// Parses bytes, as far as there is room for what is in them; the rest is kept.
    fn take(&mut self, ctx: &mut ShardContext, bytes: &mut [u8]) {
        if self.phase == ConnectionPhase::Lingering {
            return;
        }
        let limits = Limits { max_message: self.max_payload, allow_rsv1: self.deflate.is_some() };
        let mut input = Input::new(bytes);
        let mut put_off = false;
        ctx.room.keep();
        while !input.is_empty() {
            put_off = self.phase == ConnectionPhase::Active && ctx.allowance == 0;
            if put_off || self.phase == ConnectionPhase::Active && !self.may_take(ctx, &input) {
                break;
            }
            ctx.allowance = ctx.allowance.saturating_sub(ITEM);
            let memory = &ctx.batches.memory;
            match self.parser.next_in(&mut input, &limits, &mut |length| memory.take(length)) {
                Ok(None) => break,
                Ok(Some(Item::Message { .. })) if self.phase != ConnectionPhase::Active => {}
                Ok(Some(Item::Message { kind, payload, compressed: true })) => {
                    match self.take_compressed(ctx, kind, payload) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            self.violated(ctx, error);
                            break;
                        }
                    }
                }
                Ok(Some(Item::Message { kind, payload, compressed: false })) => {
                    let payload = match payload {
                        Payload::Borrowed(bytes) => MessageBytes::Borrowed(bytes),
                        Payload::Owned(bytes) => MessageBytes::Owned(bytes),
                    };
                    if !self.take_message(ctx, kind, payload) {
                        break;
                    }
                }
                Ok(Some(Item::Ping(payload) | Item::Pong(payload)))
                    if self.phase == ConnectionPhase::Active && !self.charge(ctx, payload.len()) =>
                {
                    self.too_much(ctx);
                    break;
                }
                Ok(Some(Item::Ping(payload))) => self.pong(ctx, payload.as_ref()),
                Ok(Some(Item::Pong(payload))) => self.ponged(ctx, payload.as_ref()),
                Ok(Some(Item::Close(frame))) => {
                    let (code, reason) = frame.map_or((None, "".into()), |frame| (Some(frame.code), frame.reason));
                    self.end_behind_handlers(ctx, PeerEnd::Peer(code, (*reason).into()));
                    break;
                }
                Err(error) => {
                    self.violated(ctx, error);
                    break;
                }
            }
        }
        if let Some(taken) = ctx.room.end() {
            self.socket.enter_window(taken);
        }
        let waits = put_off || matches!(self.paused, Pause::Window | Pause::Worker | Pause::Rate | Pause::Moving);
        if waits && matches!(self.phase, ConnectionPhase::Active | ConnectionPhase::CloseSent) {
            self.leftover.extend(input.into_rest());
        }
        self.count_receive(ctx);
    }

    /// Whether what comes is a long payload that goes straight to the memory of its message.
    #[inline]
    fn reads_straight(&mut self) -> bool {
        self.parser.room_for_payload(STRAIGHT_MIN).is_some()
            && self.phase == ConnectionPhase::Active
            && self.stream.as_ref().is_some_and(Stream::can_read_behind)
    }

    /// Goes on with payload that was read straight into the memory of its message.
    fn take_appended(&mut self, ctx: &mut ShardContext, count: usize) {
        match self.parser.appended(count) {
            // Bytes of a data frame make nothing but a message.
            Ok(Some(Item::Message { kind, payload, compressed: true })) => {
                if let Err(error) = self.take_compressed(ctx, kind, payload) {
                    self.violated(ctx, error);
                }
            }
            Ok(Some(Item::Message { kind, payload, compressed: false })) => {
                self.take_message(ctx, kind, MessageBytes::Owned(payload.into_vec()));
            }
            Ok(_) => {}
            Err(error) => self.violated(ctx, error),
        }
        self.count_receive(ctx);
    }

    /// Counts what its unfinished messages hold, in all and here.
    pub(super) fn count_receive(&mut self, ctx: &mut ShardContext) {
        let now = self.parser.buffered()
            + self.leftover.capacity()
            + self.held.as_ref().map_or(0, |held| held.1.capacity())
            + self.inflating.as_ref().map_or(0, |inflating| inflating.held())
            + self.stream.as_ref().map_or(0, Stream::received);
        if now != self.receive_held {
            ctx.receive_bytes = (ctx.receive_bytes + now).saturating_sub(self.receive_held);
            self.receive_held = now;
        }
    }

    /// Whether what comes next may be taken now. If not, the connection is paused until it is told
    /// to go on. Control frames need no room, so that a peer's close is seen however busy its
    /// worker is; a close frame is never too much.
    fn may_take(&mut self, ctx: &mut ShardContext, input: &Input<'_>) -> bool {
        let ahead = self.parser.opcode_ahead(input);
        let is_close = ahead == Some(Opcode::Close);
        (is_close || self.within_rate(ctx)) && (ahead.is_some_and(Opcode::is_control) || self.room_for(ctx, 0))
    }

    /// Sends more than its rate allows, and is not to be slowed down.
    fn too_much(&mut self, ctx: &mut ShardContext) {
        self.end_behind_handlers(ctx, PeerEnd::Failure(CloseCause::RateLimit, CloseCode::POLICY));
    }

    #[inline]
    fn room_for(&mut self, ctx: &mut ShardContext, payload: usize) -> bool {
        ctx.room.fits(payload) || self.find_room(ctx, payload)
    }

    /// What was taken must be in the socket's window before anything looks at that, or hands events
    /// over.
    pub(super) fn enter_window(&self, ctx: &mut ShardContext) {
        if let Some(taken) = ctx.room.take_taken() {
            self.socket.enter_window(taken);
        }
    }

    fn find_room(&mut self, ctx: &mut ShardContext, payload: usize) -> bool {
        self.enter_window(ctx);
        if self.worker.as_ref().is_some_and(|worker| worker.is_superseded()) {
            // The next worker gets it.
            self.paused = Pause::Moving;
            return false;
        }
        let limit = ctx.broker.config.in_flight;
        let cost = payload + OVERHEAD;
        if !self.socket.has_room(cost, &limit) {
            self.paused = Pause::Window;
            return false;
        }
        let fits = match &self.worker {
            Some(worker) => worker.has_room(cost, ctx.batches.cost(worker), limit.worker_bytes),
            None => dispatch::fits(ctx.unassigned.cost(), cost, limit.worker_bytes),
        };
        if fits {
            let worker = match &self.worker {
                Some(worker) => worker.room(ctx.batches.cost(worker), limit.worker_bytes),
                None => limit.worker_bytes.saturating_sub(ctx.unassigned.cost()),
            };
            let window = self.socket.window().left_of(&limit);
            ctx.room.found(WindowUse { bytes: window.bytes.min(worker), ..window });
            return true;
        }
        self.paused = Pause::Worker;
        ctx.waiting_for_room.push(self.socket.slot());
        false
    }

    /// What the peer sent fails the connection.
    fn violated(&mut self, ctx: &mut ShardContext, error: ProtocolError) {
        tracing::debug!(socket = self.id().get(), %error, "protocol error");
        self.end_behind_handlers(ctx, PeerEnd::Failure(cause_of(error), error.close_code()));
    }

    /// Counts a message and delivers it. False when nothing more may be taken.
    pub(super) fn take_message(&mut self, ctx: &mut ShardContext, kind: MessageKind, bytes: MessageBytes<'_>) -> bool {
        if !self.charge(ctx, bytes.as_ref().len()) {
            self.too_much(ctx);
            return false;
        }
        ctx.tally.message_in(bytes.as_ref().len());
        self.socket.count_in(bytes.as_ref().len());
        if self.speaks_channels && kind == MessageKind::Text && bytes.as_ref() == PING {
            self.pong_in_text(ctx);
            return true;
        }
        self.deliver(ctx, kind, bytes)
    }

    /// Hands a message to the worker's batch. False when there is no room: then it is kept, and the
    /// connection paused.
    fn deliver(&mut self, ctx: &mut ShardContext, kind: MessageKind, bytes: MessageBytes<'_>) -> bool {
        let text = kind == MessageKind::Text;
        let wanted = if text { Handlers::TEXT } else { Handlers::BINARY };
        if self.worker.as_ref().is_some_and(|worker| !worker.handlers.contains(wanted)) {
            return true;
        }
        let length = bytes.as_ref().len();
        if !self.room_for(ctx, length) {
            let bytes = match bytes {
                MessageBytes::Borrowed(bytes) => bytes.to_vec(),
                MessageBytes::Owned(bytes) => bytes,
            };
            self.held = Some(Box::new((kind, bytes)));
            return false;
        }
        if !ctx.room.take(length) {
            self.socket.enter_window(WindowUse::one(length + OVERHEAD));
        }
        match &self.worker {
            Some(worker) => {
                if ctx.batches.push_message(worker, &self.socket, text, bytes) {
                    self.enter_window(ctx);
                    ctx.batches.deliver(&ctx.broker.dispatch);
                }
            }
            None => {
                let data = Bytes::copy_from_slice(bytes.as_ref());
                let payload = event::EventPayload::Owned(data);
                let kind = if text { event::EventKind::Text(payload) } else { event::EventKind::Binary(payload) };
                ctx.keep(&self.socket, kind, Bytes::new());
            }
        }
        true
    }
}

fn cause_of(error: ProtocolError) -> CloseCause {
    match error {
        ProtocolError::MessageTooBig => CloseCause::MaxPayload,
        ProtocolError::InvalidUtf8 | ProtocolError::InvalidCloseReason | ProtocolError::CorruptMessage => {
            CloseCause::InvalidPayload
        }
        _ => CloseCause::Protocol,
    }
}
